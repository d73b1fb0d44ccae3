"""The Signature of a basis: its size, its block size, and the checksums of the blocks that are known.

A signature may be partial (only some ranges of blocks were requested) and sparse (it has the weak checksum of every
``stride``-th known block only: weak checksums cost far more than a fast strong checksum, and a matcher that found one
block of a moved range finds its neighbours by their strong checksums). The checksums are kept in *rows*, one for each
known block in ascending order; in a complete signature, row and block are the same number.

A signature that we make for ourselves has a second level: one strong checksum for each *group* of blocks. It tells at
the speed of memory that all blocks of a group are what they were.

Memory: one strong checksum for each known block and group, and four bytes for each weak one, plus what searching needs
once it starts (:mod:`dirsync.delta.match.lookup`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from itertools import accumulate
from typing import Any

from dirsync.delta.arrays import NDArray, np
from dirsync.delta.blocks import BlockRange, block_count, span, whole_blocks
from dirsync.delta.match.lookup import Lookup
from dirsync.delta.strong import Strong


class Signature:
    """What is known of a basis. Immutable.

    Args:
        block_size: in bytes.
        size: of the basis, in bytes.
        strong: which strong checksum ``strong_sums`` holds.
        strong_sums: those of the known blocks, an array of (rows,) values of ``strong.size`` bytes each.
        weak_sums: Adler-32 of the rows 0, ``stride``, 2 ``stride``, ...
        stride: 1 if the weak checksums of all rows are there.
        ranges: the known blocks, ascending, disjoint and within the basis; ``None`` means all.
    """

    def __init__(
        self,
        block_size: int,
        size: int,
        strong: Strong,
        strong_sums: NDArray[np.void],
        weak_sums: NDArray[np.uint32],
        *,
        stride: int = 1,
        ranges: Sequence[BlockRange] | None = None,
    ) -> None:
        self.block_size = block_size
        self.size = size
        self.strong = strong
        self.strong_sums = strong_sums
        self.weak_sums = weak_sums
        self.stride = stride
        self.group = 0
        """Blocks of a group; 0 if there are no groups."""
        self.group_sums = memoryview(b"")
        """The strong checksum of each group, one after the other; the last group may be short."""
        self.count = block_count(size, block_size)
        """Blocks of the basis, known or not."""
        self.whole = whole_blocks(size, block_size)
        """Blocks of full length."""
        everything = (BlockRange(0, self.count),) if self.count else ()
        self.ranges = everything if ranges is None else tuple(ranges)
        self.complete = self.ranges == everything
        self._firsts = [known.first for known in self.ranges]
        self._rows = [0, *accumulate(known.count for known in self.ranges)]

    def with_groups(self, group: int, sums: memoryview) -> "Signature":
        """The same with a second level: the strong checksums of groups of ``group`` blocks, one after the other."""
        grouped = copy(self)
        grouped.group, grouped.group_sums = group, sums
        return grouped

    @cached_property
    def lookup(self) -> Lookup:
        """Finds blocks by weak checksum; a short last block is left out."""
        rows = np.arange(0, self._rows[-1], self.stride, dtype=np.uint32)
        weak = self.weak_sums
        if len(rows) and self.block(int(rows[-1])) >= self.whole:
            rows, weak = rows[:-1], weak[:-1]
        return Lookup(weak, rows)

    def row(self, block: int) -> int | None:
        """The row of a block, or ``None`` if the block is not known."""
        at = bisect_right(self._firsts, block) - 1
        if at < 0 or block >= self.ranges[at].first + self.ranges[at].count:
            return None
        return self._rows[at] + block - self._firsts[at]

    def block(self, row: int) -> int:
        """The block of a row."""
        at = bisect_right(self._rows, row) - 1
        return self._firsts[at] + row - self._rows[at]

    def known_from(self, block: int) -> int:
        """How many consecutive blocks of full length are known from ``block`` on."""
        if self.complete:
            return max(0, self.whole - block)
        at = bisect_right(self._firsts, block) - 1
        if at < 0:
            return 0
        return max(0, min(self.ranges[at].first + self.ranges[at].count, self.whole) - block)

    def knows_any(self, first: int, count: int) -> bool:
        """Whether any of these blocks is known and of full length."""
        if self.known_from(first):
            return True
        at = bisect_right(self._firsts, first)
        return at < len(self._firsts) and self._firsts[at] < min(first + count, self.whole)

    def strong_sum(self, block: int) -> bytes | None:
        """The strong checksum of a block, or ``None`` if the block is not known."""
        row = self.row(block)
        return None if row is None else self.strong_sums[row].tobytes()

    def block_length(self, block: int) -> int:
        """The length of a block, in bytes."""
        return span(block, 1, self.block_size, self.size)[1]

    def equal(self, first: int, sums: bytes) -> NDArray[np.bool_]:
        """Which of the blocks from ``first`` on have these consecutive strong checksums; unknown blocks do not."""
        return self._compare(first, np.frombuffer(sums, self.strong_sums.dtype), self.strong_sums)

    def equal_groups(self, first: int, sums: bytes) -> int:
        """How many groups from that of block ``first`` on, which begins it, have these consecutive strong checksums."""
        size, at = self.strong.size, first // self.group * self.strong.size
        known = self.group_sums[at : at + len(sums)]
        if known == sums:
            return len(sums) // size
        return next(n // size for n in range(0, len(sums), size) if known[n : n + size] != sums[n : n + size])

    def equal_weak(self, first: int, sums: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """The same for weak checksums; the signature must have them all."""
        return self._compare(first, sums, self.weak_sums)

    def _compare(self, first: int, sums: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
        end = first + len(sums)
        if self.complete and end <= self.count:
            whole: NDArray[np.bool_] = sums == column[first:end]
            return whole
        same = np.zeros(len(sums), np.bool_)
        for at in range(max(0, bisect_right(self._firsts, first) - 1), bisect_left(self._firsts, end)):
            known = self.ranges[at]
            start, stop = max(first, known.first), min(end, known.first + known.count)
            if start < stop:
                row = self._rows[at] + start - known.first
                same[start - first : stop - first] = sums[start - first : stop - first] == column[row:][: stop - start]
        return same


def sums_dtype(strong: Strong) -> np.dtype[np.void]:
    """The type of one strong checksum in an array: opaque bytes, so that trailing zeros count."""
    return np.dtype(f"V{strong.size}")
