"""Pieces on their way out: neighbours that can be one piece are, and long runs of zeros are taken out of literals."""

from dirsync.delta.match.literals import split_zeros
from dirsync.delta.pieces import Copy, Piece, Zeros


class Output:
    """Pieces that were decided and not taken yet.

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
        former = self._pieces[-1] if self._pieces else None
        if isinstance(former, Copy) and former.first + former.count == first:
            self._pieces[-1] = Copy(former.first, former.count + count)
        else:
            self._pieces.append(Copy(first, count))

    def literal(self, data: memoryview) -> None:
        """Add content that is in no block; it is not copied."""
        for piece in split_zeros(data, self._min_zero_run, continued=self._in_zeros):
            self._in_zeros = isinstance(piece, Zeros)
            former = self._pieces[-1] if self._pieces else None
            if isinstance(former, Zeros) and isinstance(piece, Zeros):
                self._pieces[-1] = Zeros(former.length + piece.length)
            else:
                self._pieces.append(piece)

    def take(self) -> list[Piece]:
        """The pieces, which are the caller's from now on."""
        pieces, self._pieces = self._pieces, []
        return pieces
