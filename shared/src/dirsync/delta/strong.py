"""Strong checksums, which decide whether two blocks are equal. They are never truncated.

SHA-256 is used between client and server. XXH3 with 128 bits is used for what a client keeps for itself: it is several
times as fast and detects accidental changes. It need not be trusted, because the server checks the digest of the whole
file.
"""

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

import xxhash


class Strong(NamedTuple):
    """A strong checksum: its name, its length in bytes, and the function from bytes to it.

    ``slow`` means that an Adler-32 costs less, so that it pays to compare the weak checksum first.
    """

    name: str
    size: int
    digest: Callable[[bytes | memoryview], bytes]
    slow: bool

    def of_blocks(self, data: memoryview, block_size: int) -> bytes:
        """The checksums of the whole blocks at the start of ``data``, one after the other."""
        digest = self.digest
        end = len(data) - len(data) % block_size
        return b"".join([digest(data[at : at + block_size]) for at in range(0, end, block_size)])


def _sha256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()


SHA256: Final = Strong("sha256", 32, _sha256, slow=True)
XXH3: Final = Strong("xxh3-128", 16, xxhash.xxh3_128_digest, slow=False)
