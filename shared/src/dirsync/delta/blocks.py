"""Blocks: how a basis is cut, and which bytes a run of blocks covers. Everything counts in bytes or whole blocks."""

from dirsync.limits import LIMITS, Limits


def block_size_for(size: int, wanted: int, limits: Limits = LIMITS) -> int:
    """The block size in bytes for a file of ``size`` bytes: ``wanted``, doubled until the file has few enough blocks.

    Two sides that agree on ``wanted`` agree on the block size of every file. The result exceeds
    ``limits.max_block_size`` where only that would do; such a file has no delta.
    """
    block_size = max(wanted, limits.min_block_size)
    while block_count(size, block_size) > limits.max_blocks:
        block_size *= 2
    return block_size


def block_count(size: int, block_size: int) -> int:
    """How many blocks a file of ``size`` bytes has; the last may be short."""
    return -(-size // block_size)


def whole_blocks(size: int, block_size: int) -> int:
    """How many blocks of full length a file of ``size`` bytes has."""
    return size // block_size


def span(first: int, count: int, block_size: int, size: int) -> tuple[int, int]:
    """Offset and length in bytes of ``count`` blocks of a file of ``size`` bytes, from block ``first`` on.

    Blocks that the file has not got count nothing.
    """
    offset = min(first * block_size, size)
    return offset, min((first + count) * block_size, size) - offset
