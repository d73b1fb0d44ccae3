"""Applying a delta in memory: what every other way of applying one must come to."""

from collections.abc import Iterable

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros, copy_span


def patch(basis: bytes | memoryview, pieces: Iterable[Piece], block_size: int) -> bytes:
    """The target that pieces make from the basis.

    Raises:
        DeltaError: a copy of blocks that the basis does not have.
    """
    target = bytearray()
    for piece in pieces:
        match piece:
            case BlockRange():
                offset, length = copy_span(piece, block_size, len(basis))
                target += basis[offset : offset + length]
            case Zeros(length):
                target += bytes(length)
            case _:
                target += piece
    return bytes(target)
