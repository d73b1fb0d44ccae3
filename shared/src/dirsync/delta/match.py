"""Deltas: what of a target is in a basis of which only the Signature is known.

The algorithm of the rsync technical report, but aligned first. Most edits leave most blocks where they were, or shift
them all by one constant, so what is tried first at each position is the block that comes next in the basis, and its
strong checksum decides. Where that fails basis and target are *out of step*:

1. Zeros are passed over; they travel as a number, whatever the basis has.
2. If one of the next blocks fits at the same shift, the blocks before it were edited in place. They are searched for
   blocks that moved there only if there are enough of them.
3. Else all offsets of the window ahead are searched. What is found is extended backwards, because of a sparse
   signature only every so manieth block can be found by searching, and is followed from there on.
4. What nothing fits is a literal. Searching is slower than sending, so once it has found nothing for long only now and
   then a window is searched, until one finds something.

Every decision waits until all that it looks at is there, so the delta does not depend on how the target is framed.
"""

from typing import NamedTuple

import numpy as np

from dirsync.delta.builder import SignatureBuilder
from dirsync.delta.lane import Lane
from dirsync.delta.literals import split_zeros, trailing_zeros
from dirsync.delta.pieces import Copy, Piece, Zeros
from dirsync.delta.rolling import weak_sum
from dirsync.delta.search import Hit, Search
from dirsync.delta.signature import Signature
from dirsync.delta.tape import Tape
from dirsync.limits import LIMITS, Limits

_NEAR_BLOCKS = 3
"""Blocks ahead that are tried before what a search found already."""
_FIRST_RUN = 2
_LONGEST_RUN = 4096
"""Blocks hashed ahead after a find, and at most: each time all of them fit four times as many."""


class Effort(NamedTuple):
    """What a delta has cost so far, in bytes unless said otherwise."""

    matched_bytes: int
    searched_bytes: int
    hashed_bytes: int
    failed_bytes: int
    checks: int


class Matcher:
    """The delta of a target, fed in frames, against a signature.

    Pieces come out in order as soon as they are decided. Literals are views of the frames fed or of copies of our own:
    they hold as long as the caller leaves the frame alone.

    Args:
        signature: of the basis.
        builder: is fed the target too. It makes the target's own signature almost for nothing where it uses the same
            block size and strong checksum.
        expected: the block of the basis that the target probably begins with.
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
        self._window = -(-limits.search_window_bytes // self._size) * self._size
        self._kept = signature.stride * self._size
        self._tape = Tape()
        self._lane = Lane(self._tape, self._size, signature.strong, builder)
        self._search: Search | None = None
        self._pieces: list[Piece] = []
        # Everything before `position` is decided, but for the literal that is pending: it begins where the tape does.
        self._position = 0
        self._expected = expected
        self._run = _FIRST_RUN
        self._rejoins: Hit | None = None
        self._wanted = 0
        self._matched = 0

    @property
    def effort(self) -> Effort:
        """What it has cost so far."""
        search = self._search
        return Effort(
            self._matched,
            search.searched_bytes if search else 0,
            self._lane.hashed_bytes,
            search.failed_bytes if search else 0,
            search.checks if search else 0,
        )

    def feed(self, frame: bytes | bytearray | memoryview) -> list[Piece]:
        """Take what follows in the target, of any length; the pieces that it decides, often none."""
        view = memoryview(frame).cast("B")
        if self._builder:
            self._builder.feed(view)
        self._tape.append(view)
        if self._tape.end >= self._wanted:
            self._advance(ended=False)
        self._tape.keep()
        return self._taken()

    def finish(self) -> list[Piece]:
        """The target ends here; the remaining pieces."""
        self._advance(ended=True)
        self._tape.keep()
        return self._taken()

    def restart(self, expected: int) -> None:
        """Begin with another stretch, after :meth:`finish`; budgets and effort go on.

        Args:
            expected: the block of the basis that it probably begins with.

        Raises:
            ValueError: there is a builder, which would take the stretches for one target.
        """
        if self._builder:
            raise ValueError("a matcher with a builder cannot restart")
        self._expected, self._rejoins, self._run = expected, None, _FIRST_RUN

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _advance(self, *, ended: bool) -> None:
        """Decide as much as can be decided."""
        while True:
            if self._follow():
                continue
            there = self._tape.end - self._position
            in_step = self._signature.known_from(self._expected) and there < self._size
            needed = self._size if in_step else self._window + self._size
            if there < needed and not ended:
                self._wanted = self._position + needed
                return
            if there < self._size:
                self._end()
                return
            self._recover(ended=ended)

    def _follow(self) -> bool:
        """Copy the blocks that are expected; whether there may be more."""
        known = self._signature.known_from(self._expected)
        count = min(known, (self._tape.end - self._position) // self._size, self._run)
        if not count:
            return False
        same = self._signature.equal(self._expected, self._lane.sums(self._position, count))
        run = count if same.all() else int(same.argmin())
        if run:
            self._copy(Hit(self._position, self._expected), run)
            self._run = min(4 * self._run, _LONGEST_RUN)
        return run == count

    def _recover(self, *, ended: bool) -> None:
        """Get basis and target back into step, or pass over a window."""
        position, size = self._position, self._size
        last = self._tape.end - size
        blocks = min(self._window, self._tape.end - position) // size
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
            self._position = self._tape.end
        else:
            self._pass(self._window // size)

    def _pass(self, blocks: int) -> None:
        """Leave blocks of the target to the literal."""
        self._position += blocks * self._size
        self._expected += blocks
        if self._position - self._tape.start >= self._kept + self._window // 2:
            self._flush(self._position - self._kept)

    def _pass_zeros(self, blocks: int) -> bool:
        """Pass over blocks of zeros, at most so many; whether there were any."""
        size, zeros = self._size, 0
        while zeros < blocks:
            more = min(max(zeros, 1), blocks - zeros)
            start = self._position + zeros * size
            if bytes(self._tape.view(start, start + more * size)) != bytes(more * size):
                break
            zeros += more
        if zeros:
            self._pass(zeros)
        return zeros > 0

    def _repeat(self) -> bool:
        """Copy the block that was copied last once more; whether it was there."""
        position, block = self._position, self._expected - 1
        copied = self._tape.start == position and self._matched > 0
        if not copied or self._signature.strong_sum(block) != self._lane.sums(position, 1):
            return False
        self._copy(Hit(position, block), 1)
        return True

    def _rejoin(self, blocks: int) -> Hit | None:
        """Where the target is in step again: at this shift, or at the one that was left last."""
        found = self._ahead(1, min(blocks, 1 + _NEAR_BLOCKS))
        if not found and not (self._search and self._search.has_candidates(self._position)):
            found = self._ahead(1 + _NEAR_BLOCKS, blocks)
        former = self._rejoins
        if former and former.offset >= self._position and (not found or former.offset < found.offset):
            return former
        return found

    def _ahead(self, first: int, end: int) -> Hit | None:
        """The first of the blocks ahead, counted from the position, that fits at the present shift."""
        offset, block = self._position + first * self._size, self._expected + first
        if first >= end or not self._signature.knows_any(block, end - first):
            return None
        if self._signature.strong.slow and self._signature.stride == 1 and first > 1:
            return self._ahead_by_weak(offset, block, end - first)
        same = self._signature.equal(block, self._lane.sums(offset, end - first))
        at = int(same.argmax())
        return Hit(offset + at * self._size, block + at) if same[at] else None

    def _ahead_by_weak(self, offset: int, block: int, count: int) -> Hit | None:
        data, size = self._tape.view(offset, offset + count * self._size), self._size
        sums = np.array([weak_sum(data[at : at + size]) for at in range(0, len(data), size)], np.uint32)
        for at in np.flatnonzero(self._signature.equal_weak(block, sums)).tolist():
            if self._signature.strong_sum(block + at) == self._signature.strong.digest(data[at * size :][:size]):
                return Hit(offset + at * size, block + at)
        return None

    def _find(self, start: int, end: int) -> Hit | None:
        """The first block of the basis at any of the offsets, as far as the budget for searching goes."""
        if not len(self._signature.lookup):
            return None
        if not self._search:
            self._search = Search(self._signature, self._tape, self._limits)
        unmatched = self._position - self._matched
        budget = self._limits.search_free_bytes + self._matched + unmatched // self._limits.search_share
        return self._search.find(start, end, self._expected, budget - self._search.searched_bytes)

    def _take(self, hit: Hit) -> None:
        """Copy a block that was found, with those before it that are in the pending literal."""
        first = self._extended(hit)
        self._copy(first, hit.block - first.block + 1)
        self._run = _FIRST_RUN

    def _extended(self, hit: Hit) -> Hit:
        """The first of the blocks that end with this one, in target and basis alike."""
        offset, block = hit
        while offset - self._size >= self._tape.start and block > 0:
            digest = self._signature.strong.digest(self._tape.view(offset - self._size, offset))
            if self._signature.strong_sum(block - 1) != digest:
                break
            offset, block = offset - self._size, block - 1
        return Hit(offset, block)

    def _end(self) -> None:
        """Decide about the end of the target, where alone the short last block of the basis may be."""
        signature = self._signature
        last = signature.count - 1
        if signature.whole < signature.count:
            offset = self._tape.end - signature.block_length(last)
            if offset >= self._tape.start and signature.strong_sum(last) == signature.strong.digest(
                self._tape.view(offset, self._tape.end)
            ):
                self._take(Hit(offset, last))
        self._position = self._tape.end
        self._flush(self._tape.end, followed=True)

    def _copy(self, at: Hit, count: int) -> None:
        """Put out what is pending before these blocks, and copy them."""
        self._flush(at.offset, followed=True)
        end = min(at.offset + count * self._size, self._tape.end)
        self._matched += end - at.offset
        self._tape.release(end)
        self._position, self._expected = end, at.block + count
        former = self._pieces[-1] if self._pieces else None
        if isinstance(former, Copy) and former.first + former.count == at.block:
            self._pieces[-1] = Copy(former.first, former.count + count)
        else:
            self._pieces.append(Copy(at.block, count))

    def _flush(self, end: int, *, followed: bool = False) -> None:
        """Put out the pending literal up to ``end``; if it goes on, what may be the start of a run of zeros stays."""
        start = self._tape.start
        data = self._tape.view(start, end)
        shortest = self._limits.min_zero_run
        if not followed and (pending := trailing_zeros(data[-shortest:])) < shortest:
            data = data[: len(data) - pending]
        if not data:
            return
        self._tape.release(start + len(data))
        for piece in split_zeros(data, shortest):
            former = self._pieces[-1] if self._pieces else None
            if isinstance(former, Zeros) and isinstance(piece, Zeros):
                self._pieces[-1] = Zeros(former.length + piece.length)
            else:
                self._pieces.append(piece)
