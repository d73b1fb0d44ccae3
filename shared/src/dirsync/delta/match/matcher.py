"""Computing a delta: which parts of a target are in a basis of which only the Signature is known.

This is the algorithm of the rsync technical report, with an aligned comparison first. Most edits leave most blocks
where they were, or shift them all by one constant. So the first thing that is tried at each position is the block that
comes next in the basis; its strong checksum decides. Where that fails, basis and target are *out of step*:

1. Blocks of zeros are skipped: a run of zeros is sent as a number, whatever the basis has. A block that repeats the one
   before it is copied again.
2. If one of the next blocks matches at the same shift, the blocks before it were edited in place. They are searched for
   blocks that moved there only if there are enough of them.
3. Otherwise all offsets of the window ahead are searched. A match is extended backwards, because in a sparse signature
   only every n-th block can be found by searching, and then followed forwards.
4. What matches nothing is a literal. Searching is slower than sending, so after much searching in vain only an
   occasional window is searched, until something is found.

Every decision waits until all the data that it depends on is there. So the delta does not depend on how the target is
divided into frames.
"""

from typing import NamedTuple

from dirsync.delta.arrays import np
from dirsync.delta.match.aligned import AlignedMatcher
from dirsync.delta.match.literals import trailing_zeros
from dirsync.delta.match.output import Output
from dirsync.delta.match.search import Hit, Search
from dirsync.delta.match.target_buffer import TargetBuffer
from dirsync.delta.pieces import Piece
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature
from dirsync.limits import LIMITS, Limits

_NEAR_BLOCKS = 3
"""Blocks ahead that are compared before the candidates of an earlier search."""
_FIRST_RUN = 2
"""Blocks that are compared at a time after a match was found."""
_LONGEST_RUN = 4096
"""Blocks that are compared at a time: this many at most. Each time that all of them match, four times as many."""


class Effort(NamedTuple):
    """What a delta has cost so far, in bytes unless stated otherwise."""

    matched_bytes: int
    """Content found in the basis."""
    searched_bytes: int
    """Offsets whose weak checksum was computed."""
    hashed_bytes: int
    """Content of blocks that were compared in step."""
    checks: int
    """How many strong checksums were computed because a weak one matched."""
    failed_checks: int
    """How many of those did not match."""


class Matcher:
    """Computes the delta of a target, fed in frames, against a signature.

    Pieces come out in order as soon as they are decided. Literals are views of the frames or of internal copies: they
    are valid as long as the caller does not change the frame.

    Args:
        signature: of the basis.
        builder: is fed the target too. It makes the target's own signature at little extra cost where it uses the
            same block size and strong checksum.
        expected: the block of the basis that the target probably starts with.
        limits: the bounds in force.
    """

    def __init__(
        self,
        signature: Signature,
        builder: SignatureBuilder | None = None,
        *,
        expected: int = 0,
        limits: Limits = LIMITS,
    ) -> None:
        self._signature = signature
        self._builder = builder
        self._limits = limits
        self._size = signature.block_size
        self._window = max(1, min(limits.search_window_bytes // self._size, limits.search_window_blocks)) * self._size
        kept = signature.stride * self._size
        self._kept = kept if kept <= limits.max_pending_bytes else 0
        self._buffer = TargetBuffer()
        self._aligned = AlignedMatcher(self._buffer, signature, builder)
        self._search: Search | None = None
        self._output = Output(limits.min_zero_run)
        # Everything before `position` is decided, except for the pending literal, which starts where the buffer does.
        self._position = 0
        self._expected = expected
        self._run = _FIRST_RUN
        self._rejoins: Hit | None = None
        self._wanted = 0
        self._matched = 0
        # Offsets that may still be searched in vain. Finding something earns more, but never above the start value: a
        # target that begins like the basis and then goes on differently is not searched longer for that.
        self._search_budget = limits.search_free_bytes

    @property
    def effort(self) -> Effort:
        """The cost so far."""
        search = self._search
        found = (search.searched_bytes, search.checks, search.failed_checks) if search else (0, 0, 0)
        return Effort(self._matched, found[0], self._aligned.hashed_bytes, *found[1:])

    def feed(self, frame: bytes | bytearray | memoryview) -> list[Piece]:
        """Take the next part of the target, of any length; returns the pieces that this decides, often none."""
        view = memoryview(frame).cast("B")
        if self._builder:
            self._builder.feed(view)
        self._buffer.append(view)
        if self._buffer.end >= self._wanted:
            self._advance(ended=False)
        self._buffer.keep()
        return self._output.take()

    def finish(self) -> list[Piece]:
        """End the target; returns the remaining pieces."""
        self._advance(ended=True)
        self._buffer.keep()
        return self._output.take()

    def restart(self, expected: int) -> None:
        """Start with another range of the target, after :meth:`finish`; budget and effort continue.

        Args:
            expected: the block of the basis that it probably starts with.

        Raises:
            ValueError: there is a builder, which would take the ranges for one target.
        """
        if self._builder:
            raise ValueError("a matcher with a builder cannot restart")
        self._expected, self._rejoins, self._run = expected, None, _FIRST_RUN

    def _advance(self, *, ended: bool) -> None:
        """Decide as much as possible."""
        while True:
            if self._follow():
                continue
            there = self._buffer.end - self._position
            in_step = there < self._size and self._signature.known_from(self._expected) > 0
            needed = self._size if in_step else self._window + self._size
            if there < needed and not ended:
                self._wanted = self._position + needed
                return
            if there < self._size:
                self._end()
                return
            self._recover(ended=ended)

    def _follow(self) -> bool:
        """Copy the expected blocks; returns whether there may be more."""
        known = self._signature.known_from(self._expected)
        count = min(known, (self._buffer.end - self._position) // self._size, self._run)
        if not count:
            return False
        run = self._aligned.run(self._position, self._expected, count)
        if run:
            self._copy(Hit(self._position, self._expected), run)
            self._run = min(4 * self._run, _LONGEST_RUN)
        return run == count

    def _recover(self, *, ended: bool) -> None:
        """Get basis and target back into step, or skip a window."""
        position, size = self._position, self._size
        last = self._buffer.end - size
        blocks = min(self._window, self._buffer.end - position) // size
        if self._pass_zeros(blocks) or self._repeat():
            return
        rejoins = self._rejoin(blocks)
        limit = rejoins.offset - size + 1 if rejoins else min(position + self._window, last + 1)
        hit = None
        if not rejoins or rejoins.offset - position > self._limits.quiet_edit_blocks * size:
            hit = self._find(position, limit)
        self._rejoins = rejoins
        if hit:
            self._take(hit)
        elif rejoins:
            self._position, self._expected = rejoins
        elif ended and limit > last:
            self._position = self._buffer.end
        else:
            self._pass(self._window // size)

    def _pass(self, blocks: int) -> None:
        """Add blocks of the target to the literal."""
        self._position += blocks * self._size
        self._expected += blocks
        self._earn(blocks * self._size // self._limits.search_share)
        if self._position - self._buffer.start >= self._kept + self._window // 2:
            self._flush(self._position - self._kept)

    def _pass_zeros(self, blocks: int) -> bool:
        """Skip blocks of zeros, at most this many; returns whether there were any."""
        size, zeros = self._size, 0
        while zeros < blocks:
            more = min(max(zeros, 1), blocks - zeros)
            start = self._position + zeros * size
            if np.frombuffer(self._buffer.view(start, start + more * size), np.uint8).any():
                break
            zeros += more
        if zeros:
            self._pass(zeros)
        return zeros > 0

    def _repeat(self) -> bool:
        """Copy the last copied block once more, if it is there; returns whether it is."""
        copied = self._buffer.start == self._position and self._matched > 0
        if not copied or not self._aligned.is_block(self._position, self._expected - 1):
            return False
        self._copy(Hit(self._position, self._expected - 1), 1)
        return True

    def _rejoin(self, blocks: int) -> Hit | None:
        """Find where the target is in step again: at this shift, or at the one before it."""
        found = self._ahead(1, min(blocks, 1 + _NEAR_BLOCKS), likely=True)
        if not found and not (self._search and self._search.has_candidates(self._position)):
            found = self._ahead(1 + _NEAR_BLOCKS, blocks, likely=False)
        former = self._rejoins
        if former and former.offset >= self._position and (not found or former.offset < found.offset):
            return former
        return found

    def _ahead(self, first: int, end: int, *, likely: bool) -> Hit | None:
        """Find the first of the blocks ahead, counted from the position, that matches at the present shift."""
        offset, block = self._position + first * self._size, self._expected + first
        at = self._aligned.first(offset, block, end - first, likely=likely)
        return None if at is None else Hit(offset + at * self._size, block + at)

    def _find(self, start: int, end: int) -> Hit | None:
        """Find the first block of the basis at any of the offsets, within the budget for searching."""
        if not len(self._signature.lookup):
            return None
        if not self._search:
            self._search = Search(self._signature, self._buffer, self._limits)
        before = self._search.searched_bytes
        hit = self._search.find(start, end, self._expected, self._search_budget)
        self._search_budget -= self._search.searched_bytes - before
        return hit

    def _earn(self, offsets: int) -> None:
        """Allow so many more offsets to be searched in vain, up to the start value."""
        self._search_budget = min(self._limits.search_free_bytes, self._search_budget + offsets)

    def _take(self, hit: Hit) -> None:
        """Copy a block that was found, and the matching blocks before it that are in the pending literal."""
        offset, block = hit
        while offset - self._size >= self._buffer.start and self._aligned.is_block(offset - self._size, block - 1):
            offset, block = offset - self._size, block - 1
        self._copy(Hit(offset, block), hit.block - block + 1)
        self._run = _FIRST_RUN

    def _end(self) -> None:
        """Decide the end of the target, the only place where the short last block of the basis can match."""
        signature, end = self._signature, self._buffer.end
        last = signature.count - 1
        if signature.whole < signature.count:
            offset = end - signature.block_length(last)
            if offset >= self._buffer.start:
                digest = signature.strong.digest(self._buffer.view(offset, end))
                if digest == signature.strong_sum(last):
                    self._take(Hit(offset, last))
        self._position = end
        self._flush(end, followed=True)

    def _copy(self, at: Hit, count: int) -> None:
        """Output the pending literal before these blocks, and copy them."""
        self._flush(at.offset, followed=True)
        end = min(at.offset + count * self._size, self._buffer.end)
        self._matched += end - at.offset
        self._earn(self._limits.search_reward * (end - at.offset))
        self._buffer.release(end)
        self._position, self._expected = end, at.block + count
        self._output.copy(at.block, count)

    def _flush(self, end: int, *, followed: bool = False) -> None:
        """Output the pending literal up to ``end``; if it continues, a possible start of a run of zeros stays."""
        start, shortest = self._buffer.start, self._limits.min_zero_run
        if end == start:
            return
        data = self._buffer.view(start, end)
        if not followed and (pending := trailing_zeros(data[-shortest:])) < shortest:
            data = data[: len(data) - pending]
        self._buffer.release(start + len(data))
        self._output.literal(data)
