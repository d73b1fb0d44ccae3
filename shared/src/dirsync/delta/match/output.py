"""Collecting the pieces of a delta: adjacent pieces are joined, long runs of zeros are split from literals."""

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.literals import split_zeros
from dirsync.delta.pieces import Piece, Zeros


class Output:
    """Pieces that are decided and not taken yet.

    Args:
        min_zero_run: the shortest run of zeros, in bytes, that is a piece of its own.
    """

    def __init__(self, min_zero_run: int) -> None:
        self._min_zero_run = min_zero_run
        self._pieces: list[Piece] = []
        self._in_zeros = False

    def copy(self, first: int, count: int) -> None:
        """Add blocks of the basis."""
        self._in_zeros = False
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, BlockRange) and last.first + last.count == first:
            self._pieces[-1] = BlockRange(last.first, last.count + count)
        else:
            self._pieces.append(BlockRange(first, count))

    def literal(self, data: memoryview) -> None:
        """Add content that is in no block, without copying it."""
        for piece in split_zeros(data, self._min_zero_run, continued=self._in_zeros):
            self._in_zeros = isinstance(piece, Zeros)
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, Zeros) and isinstance(piece, Zeros):
                self._pieces[-1] = Zeros(last.length + piece.length)
            else:
                self._pieces.append(piece)

    def take(self) -> list[Piece]:
        """Return the pieces and start a new list."""
        pieces, self._pieces = self._pieces, []
        return pieces
