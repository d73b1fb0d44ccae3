"""Copies that follow one another travel as one, as far as the server need not wait for its work. Pure."""

from collections.abc import Iterable, Iterator

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece
from dirsync.limits import LIMITS


class JoinedCopies:
    """Holds back the copy that the pieces end with, because the next pieces may go on with it.

    Without this, each frame of a file that hardly changed is a message of its own that says "the same again".
    """

    def __init__(self, block_size: int, most_bytes: int = LIMITS.joined_copy_bytes) -> None:
        """A copy of ``most_bytes`` is not held back any more; with 0 nothing is. Blocks have ``block_size`` bytes."""
        self._most_blocks = most_bytes // block_size
        self._held: BlockRange | None = None

    def pieces(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces that are to be sent now. Take all of them."""
        for piece in pieces:
            held = self._held
            if not isinstance(piece, BlockRange):
                yield from self.rest()
                yield piece
            elif held is not None and held.first + held.count == piece.first:
                self._held = BlockRange(held.first, held.count + piece.count)
            else:
                yield from self.rest()
                self._held = piece
        if self._held is not None and self._held.count >= self._most_blocks:
            yield from self.rest()

    def rest(self) -> Iterator[Piece]:
        """What is held back."""
        held, self._held = self._held, None
        if held is not None:
            yield held
