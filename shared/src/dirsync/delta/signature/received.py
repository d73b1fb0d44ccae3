"""A Signature from the checksums that a server sent."""

from collections.abc import Sequence

import numpy as np

from dirsync.delta.blocks import block_count
from dirsync.delta.pieces import Copy, DeltaError
from dirsync.delta.signature.packed import ROW_BYTES
from dirsync.delta.signature.signature import Signature, sums_dtype
from dirsync.delta.strong import SHA256

_ROW = np.dtype([("weak", "<u4"), ("strong", sums_dtype(SHA256))])


def received_signature(
    block_size: int, size: int, packed: bytes | bytearray, ranges: Sequence[Copy] | None = None
) -> Signature:
    """The signature that packed checksums (:mod:`dirsync.delta.signature.packed`) make.

    Args:
        block_size: in bytes.
        size: of the basis, in bytes.
        packed: the checksums of the blocks of all ranges, in order. They are kept and not copied.
        ranges: the blocks that were asked for, ascending and disjoint; None means all.

    Raises:
        DeltaError: not as many checksums as blocks, or blocks that a basis of this size has not got.
    """
    blocks = block_count(size, block_size)
    ranges = ((Copy(0, blocks),) if blocks else ()) if ranges is None else ranges
    end = 0
    for first, count in ranges:
        if first < end or count < 1 or first + count > blocks:
            msg = f"checksums of {count} blocks from block {first} on, of a basis of {blocks} blocks"
            raise DeltaError(msg)
        end = first + count
    if len(packed) != ROW_BYTES * sum(known.count for known in ranges):
        msg = f"{len(packed)} bytes of checksums for {sum(known.count for known in ranges)} blocks"
        raise DeltaError(msg)
    rows = np.frombuffer(packed, _ROW)
    return Signature(
        block_size, size, SHA256, rows["strong"], np.ascontiguousarray(rows["weak"], np.uint32), ranges=ranges
    )
