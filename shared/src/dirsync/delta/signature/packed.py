"""The checksums of blocks as they are sent: for each block Adler-32 (4 bytes, little-endian), then SHA-256 (32 bytes).

This is the server's side, which needs no numpy; the client's side is :mod:`dirsync.delta.signature.from_wire`.
"""

import hashlib
import zlib
from typing import Final

CHECKSUMS_SIZE: Final = 36
"""Size of the checksums of one block, in bytes."""


def pack_checksums(data: bytes | bytearray | memoryview, block_size: int) -> bytes:
    """The checksums of consecutive blocks of ``block_size`` bytes; the last may be short."""
    view = memoryview(data)
    packed: list[bytes] = []
    for at in range(0, len(view), block_size):
        block = view[at : at + block_size]
        packed += (zlib.adler32(block).to_bytes(4, "little"), hashlib.sha256(block).digest())
    return b"".join(packed)
