"""The checksums of blocks as they travel: for each block Adler-32 (4 bytes, little-endian), then SHA-256 (32 bytes).

This is the server's half, which needs no numpy; the other one is :mod:`dirsync.delta.signature.received`.
"""

import hashlib
import zlib
from typing import Final

ROW_BYTES: Final = 36
"""What the checksums of one block take, in bytes."""


def pack_checksums(data: bytes | bytearray | memoryview, block_size: int) -> bytes:
    """The checksums of consecutive blocks of ``block_size`` bytes; the last may be short."""
    view = memoryview(data)
    packed: list[bytes] = []
    for at in range(0, len(view), block_size):
        block = view[at : at + block_size]
        packed += (zlib.adler32(block).to_bytes(4, "little"), hashlib.sha256(block).digest())
    return b"".join(packed)
