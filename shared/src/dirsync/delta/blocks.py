"""Dividing a file into blocks, and the bytes that a range of blocks covers."""

from typing import NamedTuple

from dirsync.limits import LIMITS, Limits


class BlockRange(NamedTuple):
    """``count`` consecutive blocks of a file from block ``first`` on; count is at least 1."""

    first: int
    count: int  # type: ignore[assignment] # tuples have a method of that name, which is not needed here


def block_size_for(size: int, wanted: int, limits: Limits = LIMITS) -> int:
    """The block size in bytes for a file of ``size`` bytes: ``wanted``, doubled until the file has few enough blocks.

    Two sides that agree on ``wanted`` agree on the block size of every file. The result may exceed
    ``limits.max_block_size``; such a file has no delta.
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

    Blocks that the file does not have count nothing.
    """
    offset = min(first * block_size, size)
    return offset, min((first + count) * block_size, size) - offset
