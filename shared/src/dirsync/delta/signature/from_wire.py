"""Making a Signature from the checksums that a server sent."""

from collections.abc import Sequence

from dirsync.delta.arrays import np
from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.pieces import DeltaError
from dirsync.delta.signature.packed import CHECKSUMS_SIZE
from dirsync.delta.signature.signature import Signature, sums_dtype
from dirsync.delta.strong import SHA256

_ROW = np.dtype([("weak", "<u4"), ("strong", sums_dtype(SHA256))])


def signature_from_wire(
    block_size: int, size: int, packed: bytes | bytearray, ranges: Sequence[BlockRange] | None = None
) -> Signature:
    """Make a signature from packed checksums (:mod:`dirsync.delta.signature.packed`).

    Args:
        block_size: in bytes.
        size: of the basis, in bytes.
        packed: the checksums of the blocks of all ranges, in order. They are kept, not copied.
        ranges: the requested blocks, ascending and disjoint; ``None`` means all.

    Raises:
        DeltaError: the number of checksums is not that of the blocks, or the basis does not have such blocks.
    """
    blocks = block_count(size, block_size)
    ranges = ((BlockRange(0, blocks),) if blocks else ()) if ranges is None else ranges
    end = 0
    for first, count in ranges:
        if first < end or count < 1 or first + count > blocks:
            msg = f"checksums of {count} blocks from block {first} on, of a basis of {blocks} blocks"
            raise DeltaError(msg)
        end = first + count
    if len(packed) != CHECKSUMS_SIZE * sum(known.count for known in ranges):
        msg = f"{len(packed)} bytes of checksums for {sum(known.count for known in ranges)} blocks"
        raise DeltaError(msg)
    rows = np.frombuffer(packed, _ROW)
    return Signature(
        block_size, size, SHA256, rows["strong"], np.ascontiguousarray(rows["weak"], np.uint32), ranges=ranges
    )
