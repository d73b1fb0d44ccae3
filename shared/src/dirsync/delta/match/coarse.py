"""A delta in two passes, for a signature that has to be fetched: coarse blocks first, then fine ones in the gaps.

Coarse checksums of the whole basis cost a sixteenth of the fine ones. With them the first pass finds nearly everything
that did not change; fine checksums are then fetched only for the gaps. The caller does all reading:

1. Feed the target to a Matcher with the coarse signature, and its pieces to an :class:`Outline`.
2. Fetch the fine checksums of :func:`wanted_blocks`, if there are any.
3. Take the spans in order. A :class:`Found` is decided. A :class:`Gap` is read again and fed to a Matcher with the
   (partial) fine signature, restarted at ``gap.expected``; if nothing was fetched, the gap is a literal.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.pieces import Piece, Zeros, copy_span
from dirsync.limits import LIMITS, Limits


class Found(NamedTuple):
    """A range of the target that is decided: fine blocks of the basis, or zeros."""

    offset: int
    length: int
    piece: BlockRange | Zeros


class Gap(NamedTuple):
    """A range of the target for which the coarse pass found nothing."""

    offset: int
    length: int
    expected: int
    """The fine block that comes next in the basis after what is before the gap."""
    worth: tuple[BlockRange, ...] = ()
    """Fine blocks that are probably in it."""


Span = Found | Gap


class Outline:
    """The result of the coarse pass over a target.

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
        """Take the next pieces of the coarse pass."""
        for piece in pieces:
            match piece:
                case BlockRange(first, count):
                    self._add_copy(first, count)
                case Zeros(length) if length >= self._factor * self._block_size:
                    self._spans.append(Found(self._end, length, piece))
                    self._end += length
                case Zeros(length):
                    self._add_gap(length)
                case _:
                    self._add_gap(len(piece))

    def spans(self) -> list[Span]:
        """The whole target, in order. Nothing may be added after this."""
        following = self._blocks
        spans = self._spans
        for at in range(len(spans) - 1, -1, -1):
            span = spans[at]
            if isinstance(span, Gap):
                spans[at] = span._replace(worth=self._worth(span, following))
            elif isinstance(span.piece, BlockRange):
                following = span.piece.first
        return spans

    def _add_copy(self, first: int, count: int) -> None:
        _, length = copy_span(BlockRange(first, count), self._factor * self._block_size, self._basis_size)
        fine = BlockRange(first * self._factor, block_count(length, self._block_size))
        last = self._spans[-1] if self._spans else None
        if isinstance(last, Found) and isinstance(last.piece, BlockRange) and fine.first == self._expected:
            joined = BlockRange(last.piece.first, last.piece.count + fine.count)
            self._spans[-1] = Found(last.offset, last.length + length, joined)
        else:
            self._spans.append(Found(self._end, length, fine))
        self._end += length
        self._expected = fine.first + fine.count

    def _add_gap(self, length: int) -> None:
        last = self._spans[-1] if self._spans else None
        if isinstance(last, Gap):
            self._spans[-1] = last._replace(length=last.length + length)
        else:
            self._spans.append(Gap(self._end, length, self._expected))
        self._end += length

    def _worth(self, gap: Gap, following: int) -> tuple[BlockRange, ...]:
        """The blocks between those on both sides of the gap, if they ascend; if too many, those next to the sides."""
        room = gap.length // self._block_size
        between = following - gap.expected
        if not room or between <= 0:
            return ()
        if between <= 2 * room:
            return (BlockRange(gap.expected, between),)
        return BlockRange(gap.expected, room), BlockRange(following - room, room)


def wanted_blocks(spans: Iterable[Span], limits: Limits = LIMITS) -> list[BlockRange]:
    """The fine blocks to fetch, as ascending disjoint ranges; not more ranges than one request may have."""
    ranges: list[BlockRange] = []
    for first, count in sorted(wanted for span in spans if isinstance(span, Gap) for wanted in span.worth):
        last = ranges[-1] if ranges else BlockRange(0, 0)
        if ranges and first <= last.first + last.count:
            ranges[-1] = BlockRange(last.first, max(last.count, first + count - last.first))
        else:
            ranges.append(BlockRange(first, count))
    while len(ranges) > limits.max_signature_ranges:
        ranges = [_joined(*pair) for pair in zip(ranges[::2], ranges[1::2], strict=False)] + ranges[len(ranges) & ~1 :]
    return ranges


def _joined(one: BlockRange, following: BlockRange) -> BlockRange:
    return BlockRange(one.first, following.first + following.count - one.first)
