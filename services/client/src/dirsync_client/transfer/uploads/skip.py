"""The pieces of a delta from an offset of the target on. Pure."""

from collections.abc import Callable, Iterable, Iterator

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros, copy_span


class Skip:
    """Leaves out what comes before an offset; a block of the basis that reaches over it is sent as it is."""

    def __init__(self, offset: int, block_size: int, basis_size: int, read: Callable[[int, int], bytes]) -> None:
        """``read`` returns content of the target, by offset and length; all numbers are bytes."""
        self._left = offset
        self._at = 0
        self._block_size = block_size
        self._basis_size = basis_size
        self._read = read

    def pieces(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """What is left of the next pieces."""
        for piece in pieces:
            if not self._left:
                yield piece
            else:
                yield from self._cut(piece)

    def _cut(self, piece: Piece) -> Iterator[Piece]:
        match piece:
            case Zeros(length=length):
                skipped = self._take(length)
                if length > skipped:
                    yield Zeros(length - skipped)
            case BlockRange():
                yield from self._cut_copy(piece)
            case _:
                skipped = self._take(len(piece))
                if len(piece) > skipped:
                    yield piece[skipped:]

    def _cut_copy(self, copy: BlockRange) -> Iterator[Piece]:
        _, length = copy_span(copy, self._block_size, self._basis_size)
        start = self._at
        skipped = self._take(length)
        if length == skipped:
            return
        blocks, inside = divmod(skipped, self._block_size)
        if inside:
            # The rest of the block that the offset lies in has no number.
            rest = min(self._block_size - inside, length - skipped)
            literal = self._read(start + skipped, rest)
            if literal:
                yield literal
            blocks += 1
        if blocks < copy.count:
            yield BlockRange(copy.first + blocks, copy.count - blocks)

    def _take(self, length: int) -> int:
        """How many of the next bytes are left out."""
        skipped = min(self._left, length)
        self._left -= skipped
        self._at += length
        return skipped
