"""Searching the target, at all of its offsets, for blocks of the basis.

The work is bounded for any content. Weak checksums are computed once for each offset, for a bounded number of offsets.
Strong checksums that contradict a weak one are bounded by the number of searched offsets, because a file can be made in
which every offset has the weak checksum of some block.
"""

from typing import Final, NamedTuple

from dirsync.delta.arrays import np
from dirsync.delta.match.lookup import Candidates
from dirsync.delta.match.target_buffer import TargetBuffer
from dirsync.delta.rolling import Rolling, Totals
from dirsync.delta.signature.signature import Signature
from dirsync.limits import Limits


class Hit(NamedTuple):
    """Block ``block`` of the basis is at ``offset`` of the target."""

    offset: int
    block: int


_CHECK_COST: Final = 2048
_HASH_COST: Final = 8
"""The cost of a strong checksum, in searched offsets: the former, plus one for each of the latter in bytes hashed."""
_NONE: Final = Candidates(np.empty(0, np.intp), np.empty(0, np.intp))


class Search:
    """Finds blocks of a signature in the target in a buffer."""

    def __init__(self, signature: Signature, buffer: TargetBuffer, limits: Limits) -> None:
        self._signature = signature
        self._buffer = buffer
        self._limits = limits
        self._tile = limits.search_tile_bytes
        self._rolling = Rolling(signature.block_size, self._tile + 1)
        self._scratch = signature.lookup.scratch(self._tile + 1)
        # Offsets below `_done` are searched already. `_candidates` are those of the last tile that may be blocks.
        self._done = 0
        self._tile_at = 0
        self._candidates = _NONE
        self._next = 0
        self._totals: Totals | None = None
        self.searched_bytes = 0
        """Offsets whose weak checksums were computed."""
        self.checks = 0
        """Strong checksums computed because a weak one matched that of a block."""
        self.failed_checks = 0
        """Those of them that did not match."""

    def has_candidates(self, start: int) -> bool:
        """Whether an offset from ``start`` on is known to be a candidate."""
        self._drop(start)
        return self._next < len(self._candidates.offsets)

    def find(self, start: int, end: int, near: int, budget: int) -> Hit | None:
        """The first block at one of the offsets from ``start`` up to, not including, ``end``.

        Args:
            start: not below that of any earlier call.
            end: the buffer has a whole block from each of these offsets on.
            near: of several equal blocks, the first one from here on is preferred.
            budget: how many offsets may be searched that were not searched yet.
        """
        while True:
            hit = self._check(start, end, near)
            if hit:
                return hit
            at = max(start, self._done)
            stop = min(at + self._tile, end)
            if at >= stop or stop - at > budget:
                return None
            budget -= stop - at
            self._look(at, stop)

    def _drop(self, start: int) -> None:
        """Forget candidates before ``start``."""
        offsets = self._candidates.offsets
        if self._next < len(offsets) and offsets[self._next] < start - self._tile_at:
            self._next += int(np.searchsorted(offsets[self._next :], start - self._tile_at))

    def _look(self, start: int, end: int) -> None:
        """Compute the weak checksums of the offsets from ``start`` up to, not including, ``end``."""
        size = self._signature.block_size
        count = end - start
        known = self._totals if start == self._done else None
        # If there is one more byte, the offset after the last is computed as well: the next tile starts there.
        window = self._buffer.view(start, min(end + size, self._buffer.end))
        sums = self._rolling.sums(window, known)
        self._totals = self._rolling.last if len(sums) > count else None
        self._candidates = self._signature.lookup.candidates(sums[:count], self._scratch)
        self._tile_at, self._done, self._next = start, end, 0
        self.searched_bytes += count

    def _check(self, start: int, end: int, near: int) -> Hit | None:
        """The first candidate from ``start`` on, and before ``end``, that is a block."""
        self._drop(start)
        signature = self._signature
        size = signature.block_size
        offsets, places = self._candidates
        while self._next < len(offsets):
            offset = self._tile_at + int(offsets[self._next])
            if offset >= end:
                return None
            cost = self.failed_checks * (_CHECK_COST + size // _HASH_COST)
            # A short search is allowed as much as that of a tile: a few failures at the start happen by chance.
            if cost > self._limits.failed_check_share * max(self.searched_bytes, self._tile):
                self._candidates, self._next = _NONE, 0
                return None
            block = self._decide(offset, int(places[self._next]), near)
            if block is not None:
                return Hit(offset, block)
            self._next += 1
            self.failed_checks += 1
        return None

    def _decide(self, offset: int, place: int, near: int) -> int | None:
        """Which of the blocks with this weak checksum is at ``offset``, if any."""
        signature = self._signature
        self.checks += 1
        digest = signature.strong.digest(self._buffer.view(offset, offset + signature.block_size))
        nearest = signature.row(near) or 0
        for row in signature.lookup.rows(place, nearest, self._limits.max_candidates).tolist():
            if signature.strong_sums[row].tobytes() == digest:
                return signature.block(row)
        return None
