"""What a delta is made of: the target's content as literals, runs of zeros, and copies of blocks of the basis.

Terms are those of the rsync technical report (Tridgell and Mackerras, 1996): the *basis* is the old file, the *target*
the new one; *blocks* are the basis cut every ``block_size`` bytes, the last one possibly shorter.
"""

from typing import NamedTuple

from dirsync.errors import InvalidMessage


class Copy(NamedTuple):
    """``count`` blocks of the basis from block ``first`` on; count is at least 1."""

    first: int
    count: int  # type: ignore[assignment] # tuples have a method of that name, which nobody needs here


class Zeros(NamedTuple):
    """A run of zero bytes; its length, in bytes, is at least 1."""

    length: int


Piece = bytes | memoryview | Zeros | Copy
"""A part of the target; its parts follow one another in order. Bytes are a literal, never empty."""


class DeltaError(InvalidMessage):
    """A copy of blocks that the basis has not got, or checksums that do not fit its size."""

    default_reason = "INVALID_DELTA"
