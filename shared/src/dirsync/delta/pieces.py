"""The pieces of a delta: literals, runs of zeros, and copies of blocks of the basis.

The terms are those of the rsync technical report (Tridgell and Mackerras, 1996): the *basis* is the old file, the
*target* the new one. *Blocks* are the parts of the basis of ``block_size`` bytes each; the last may be shorter.
"""

from typing import NamedTuple

from dirsync.delta.blocks import BlockRange, block_count, span
from dirsync.errors import InvalidMessage


class Zeros(NamedTuple):
    """A run of zero bytes; its length, in bytes, is at least 1."""

    length: int


Piece = bytes | memoryview | Zeros | BlockRange
"""A part of the target; the parts follow one another in order. Bytes are a literal, never empty; a range of blocks is
copied from the basis."""


class DeltaError(InvalidMessage):
    """A copy of blocks that the basis does not have, or checksums that do not fit its size."""

    default_reason = "INVALID_DELTA"


def copy_span(copy: BlockRange, block_size: int, basis_size: int) -> tuple[int, int]:
    """Offset and length in the basis, in bytes, of what a copy copies; the length is at least 1.

    Numbers may be of any size. A copy that ends with the last block copies as much as that block has.

    Raises:
        DeltaError: the basis has no such blocks, or there is nothing to copy.
    """
    first, count = copy
    if block_size < 1:
        msg = f"blocks of {block_size} bytes"
        raise DeltaError(msg)
    blocks = block_count(basis_size, block_size)
    if first < 0 or count < 1 or first + count > blocks:
        msg = f"a copy of {count} blocks from block {first} on, of a basis of {blocks} blocks"
        raise DeltaError(msg)
    return span(first, count, block_size, basis_size)
