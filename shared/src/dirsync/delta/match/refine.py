"""The fine pass over a target, after a coarse pass that found most of it (:mod:`dirsync.delta.match.coarse`)."""

from collections.abc import Iterable

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.coarse import Found, Gap, Span
from dirsync.delta.match.matcher import Matcher
from dirsync.delta.pieces import Piece
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature


class Refiner:
    """Computes the delta of a target, fed in frames: found spans are copied, gaps are matched with fine blocks.

    A copy comes out with the frame that it ends in, so a reader of the pieces never has more to do at a time than the
    frame has bytes. If the target changed since the first pass, its digest will not match.

    Args:
        spans: the whole target, as the first pass found it.
        fine: the signature of the blocks that were asked for; ``None`` if none were.
        builder: is fed the target too.
    """

    def __init__(
        self, spans: Iterable[Span], fine: Signature | None, block_size: int, builder: SignatureBuilder | None = None
    ) -> None:
        self._spans = iter(spans)
        self._fine = fine
        self._block_size = block_size
        self._builder = builder
        self._span: Span | None = None
        self._passed = 0
        """Bytes of the span fed so far."""
        self._copied = 0
        """Blocks of the span copied so far."""
        self._matcher: Matcher | None = None

    def feed(self, frame: bytes | bytearray | memoryview) -> list[Piece]:
        """Take the next part of the target, of any length; returns the pieces that this decides."""
        view = memoryview(frame).cast("B")
        if self._builder is not None:
            self._builder.feed(view)
        pieces: list[Piece] = []
        while view:
            if self._span is None and not self._enter():
                pieces.append(view)
                break
            assert self._span is not None
            part = view[: self._span.length - self._passed]
            view = view[len(part) :]
            self._passed += len(part)
            pieces += self._within(self._span, part)
            if self._passed == self._span.length:
                pieces += self._leave(self._span)
        return pieces

    def finish(self) -> list[Piece]:
        """End the target; returns the remaining pieces."""
        return self._leave(self._span) if self._span is not None else []

    def _enter(self) -> bool:
        self._span = next(self._spans, None)
        self._passed = self._copied = 0
        if isinstance(self._span, Gap) and self._fine is not None:
            self._matcher = Matcher(self._fine, expected=self._span.expected)
        return self._span is not None

    def _within(self, span: Span, part: memoryview) -> list[Piece]:
        if isinstance(span, Gap):
            return [part] if self._matcher is None else self._matcher.feed(part)
        if not isinstance(span.piece, BlockRange):
            return []
        blocks = min(self._passed // self._block_size, span.piece.count) - self._copied
        return self._copy(span.piece, blocks)

    def _leave(self, span: Span) -> list[Piece]:
        self._span, matcher, self._matcher = None, self._matcher, None
        if isinstance(span, Gap):
            return [] if matcher is None else matcher.finish()
        return self._rest(span)

    def _rest(self, span: Found) -> list[Piece]:
        if isinstance(span.piece, BlockRange):
            return self._copy(span.piece, span.piece.count - self._copied)
        return [span.piece]

    def _copy(self, piece: BlockRange, blocks: int) -> list[Piece]:
        if not blocks:
            return []
        first = piece.first + self._copied
        self._copied += blocks
        return [BlockRange(first, blocks)]
