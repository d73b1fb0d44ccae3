"""A delta in two passes, for a signature that has to be fetched: first with coarse blocks, then with fine ones in gaps.

Coarse checksums of the whole basis cost a sixteenth of the fine ones. The first pass finds with them nearly all of what
did not change; fine checksums are then asked for only next to what it left open. The caller does all reading:

1. feed the target to a Matcher with the coarse signature, its pieces to an :class:`Outline`;
2. ask for the fine checksums of :func:`wanted_blocks`, if there are any;
3. go through the spans in order: a :class:`Found` is done; a :class:`Gap` is read again and fed to a Matcher with the
   (partial) fine signature that is restarted at ``gap.expected``; or, where nothing was asked for, it is a literal.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.delta.blocks import block_count
from dirsync.delta.patch import copy_span
from dirsync.delta.pieces import Copy, Piece, Zeros
from dirsync.limits import LIMITS, Limits


class Found(NamedTuple):
    """A stretch of the target that is decided: fine blocks of the basis, or zeros."""

    offset: int
    length: int
    piece: Copy | Zeros


class Gap(NamedTuple):
    """A stretch of the target that the coarse pass found nothing for."""

    offset: int
    length: int
    expected: int
    """The fine block that comes next in the basis after what is before the gap."""
    worth: tuple[Copy, ...] = ()
    """Fine blocks that are probably in it."""


Span = Found | Gap


class Outline:
    """What the coarse pass says about the target.

    Args:
        block_size: of the fine blocks, in bytes; coarse ones have ``limits.coarse_factor`` times as many.
        basis_size: in bytes.
    """

    def __init__(self, block_size: int, basis_size: int, limits: Limits = LIMITS) -> None:
        self._block_size = block_size
        self._basis_size = basis_size
        self._factor = limits.coarse_factor
        self._blocks = block_count(basis_size, block_size)
        self._spans: list[Span] = []
        self._end = 0
        self._expected = 0

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take pieces of the coarse pass, in order."""
        for piece in pieces:
            match piece:
                case Copy(first, count):
                    self._add_copy(first, count)
                case Zeros(length) if length >= self._factor * self._block_size:
                    self._spans.append(Found(self._end, length, piece))
                    self._end += length
                case Zeros(length):
                    self._add_gap(length)
                case _:
                    self._add_gap(len(piece))

    def spans(self) -> list[Span]:
        """The whole target, in order. Nothing is added any more."""
        following = self._blocks
        spans = self._spans
        for at in range(len(spans) - 1, -1, -1):
            span = spans[at]
            if isinstance(span, Gap):
                spans[at] = span._replace(worth=self._worth(span, following))
            elif isinstance(span.piece, Copy):
                following = span.piece.first
        return spans

    def _add_copy(self, first: int, count: int) -> None:
        _, length = copy_span(Copy(first, count), self._factor * self._block_size, self._basis_size)
        fine = Copy(first * self._factor, block_count(length, self._block_size))
        former = self._spans[-1] if self._spans else None
        if isinstance(former, Found) and isinstance(former.piece, Copy) and fine.first == self._expected:
            joined = Copy(former.piece.first, former.piece.count + fine.count)
            self._spans[-1] = Found(former.offset, former.length + length, joined)
        else:
            self._spans.append(Found(self._end, length, fine))
        self._end += length
        self._expected = fine.first + fine.count

    def _add_gap(self, length: int) -> None:
        former = self._spans[-1] if self._spans else None
        if isinstance(former, Gap):
            self._spans[-1] = former._replace(length=former.length + length)
        else:
            self._spans.append(Gap(self._end, length, self._expected))
        self._end += length

    def _worth(self, gap: Gap, following: int) -> tuple[Copy, ...]:
        """Blocks between those on both sides of the gap, where they ascend; next to them, if there are too many."""
        room = gap.length // self._block_size
        between = following - gap.expected
        if not room or between <= 0:
            return ()
        if between <= 2 * room:
            return (Copy(gap.expected, between),)
        return Copy(gap.expected, room), Copy(following - room, room)


def wanted_blocks(spans: Iterable[Span], limits: Limits = LIMITS) -> list[Copy]:
    """The fine blocks worth asking for, as disjoint ranges, ascending; not more ranges than one request may have."""
    ranges: list[Copy] = []
    for first, count in sorted(wanted for span in spans if isinstance(span, Gap) for wanted in span.worth):
        former = ranges[-1] if ranges else Copy(0, 0)
        if ranges and first <= former.first + former.count:
            ranges[-1] = Copy(former.first, max(former.count, first + count - former.first))
        else:
            ranges.append(Copy(first, count))
    while len(ranges) > limits.max_signature_ranges:
        ranges = [_joined(*pair) for pair in zip(ranges[::2], ranges[1::2], strict=False)] + ranges[len(ranges) & ~1 :]
    return ranges


def _joined(former: Copy, latter: Copy) -> Copy:
    return Copy(former.first, latter.first + latter.count - former.first)
