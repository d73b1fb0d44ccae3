"""Making the target from the basis and a delta."""

from collections.abc import Iterable

from dirsync.delta.blocks import block_count, span
from dirsync.delta.pieces import Copy, DeltaError, Piece, Zeros


def copy_span(copy: Copy, block_size: int, basis_size: int) -> tuple[int, int]:
    """Offset and length in the basis, in bytes, of what a copy copies; the length is at least 1.

    Numbers may be of any size. A copy that ends with the last block copies as much as that has.

    Raises:
        DeltaError: the basis has no such blocks, or there is nothing to copy.
    """
    first, count = copy
    if block_size < 1:
        msg = f"blocks of {block_size} bytes"
        raise DeltaError(msg)
    blocks = block_count(basis_size, block_size)
    if first < 0 or count < 1 or first + count > blocks:
        msg = f"a copy of {count} blocks from block {first} on, of a basis of {blocks} blocks"
        raise DeltaError(msg)
    return span(first, count, block_size, basis_size)


def patch(basis: bytes | memoryview, pieces: Iterable[Piece], block_size: int) -> bytes:
    """The target, in memory: what every other way of applying a delta must come to.

    Raises:
        DeltaError: a copy of blocks that the basis has not got.
    """
    target = bytearray()
    for piece in pieces:
        match piece:
            case Copy():
                offset, length = copy_span(piece, block_size, len(basis))
                target += basis[offset : offset + length]
            case Zeros(length):
                target += bytes(length)
            case _:
                target += piece
    return bytes(target)
