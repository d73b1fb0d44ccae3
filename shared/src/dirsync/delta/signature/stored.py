"""Encoding a signature for a file in the state directory, and decoding it.

The file is a cache. Whatever is wrong with it (truncated, damaged, another version, another program's file) means that
there is no signature, never an error. The checksum at the end protects against damage, not against forgery: an attacker
who can write the state directory can only make deltas larger, or make a transfer fail its digest and be repeated.
"""

import struct
import zlib
from typing import TYPE_CHECKING, Final

from dirsync.delta.blocks import block_count
from dirsync.delta.signature.built import BuiltSignature
from dirsync.delta.strong import SHA256, XXH3, Strong
from dirsync.limits import LIMITS, Limits

if TYPE_CHECKING:
    from dirsync.delta.signature.signature import Signature

_MAGIC: Final = b"dirsyncS"
_VERSION: Final = 2
_HEADER: Final = struct.Struct("<8sHBIIIQ")
"""Magic, version, strong checksum, stride, blocks of a group, block size, size of the basis."""
_TRAILER: Final = struct.Struct("<I")
"""CRC-32 of everything before it."""
_CODES: Final[dict[Strong, int]] = {SHA256: 1, XXH3: 2}
_STRONG: Final = {code: strong for strong, code in _CODES.items()}


def dump_signature(signature: BuiltSignature) -> bytes:
    """Encode a signature."""
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        _CODES[signature.strong],
        signature.stride,
        signature.group,
        signature.block_size,
        signature.size,
    )
    body = b"".join((header, signature.weak_sums, signature.strong_sums, signature.group_sums))
    return body + _TRAILER.pack(zlib.crc32(body))


def load_signature(data: bytes, limits: Limits = LIMITS) -> "Signature | None":
    """Decode a signature; ``None`` if the data is not one. It keeps ``data`` and copies nothing."""
    # Loaded here, because who stores a signature may never load one.
    from dirsync.delta.arrays import np  # noqa: PLC0415
    from dirsync.delta.signature.signature import Signature, sums_dtype  # noqa: PLC0415

    if len(data) < _HEADER.size + _TRAILER.size:
        return None
    magic, version, code, stride, group, block_size, size = _HEADER.unpack_from(data)
    strong = _STRONG.get(code)
    if (magic, version) != (_MAGIC, _VERSION) or strong is None or not (stride and block_size):
        return None
    blocks = block_count(size, block_size)
    weak = -(-blocks // stride)
    groups_at = _HEADER.size + 4 * weak + strong.size * blocks
    end = groups_at + strong.size * (-(-blocks // group) if group else 0)
    if blocks > limits.max_blocks or len(data) != end + _TRAILER.size:
        return None
    if _TRAILER.unpack_from(data, end) != (zlib.crc32(memoryview(data)[:end]),):
        return None
    weak_sums = np.frombuffer(data, "<u4", weak, _HEADER.size).astype(np.uint32, copy=False)
    strong_sums = np.frombuffer(data, sums_dtype(strong), blocks, _HEADER.size + 4 * weak)
    signature = Signature(block_size, size, strong, strong_sums, weak_sums, stride=stride)
    return signature.with_groups(group, memoryview(data)[groups_at:end])
