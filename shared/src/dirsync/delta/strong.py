"""Strong checksums: what decides whether two blocks are equal. Never truncated, wherever they come from.

SHA-256 is the one that both sides speak. XXH3 in 128 bits is for what a client remembers by itself: several times as
fast, and good against accidents. Nobody has to trust it, because the digest of the whole file decides at the server.
"""

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

import xxhash


class Strong(NamedTuple):
    """A strong checksum: its name, its length in bytes, and the function from bytes to it.

    ``slow`` says that an Adler-32 costs less, so that asking the weak checksum first pays.
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
