"""A delta from an offset on makes what is left of the target."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.pieces import Piece, Zeros, copy_span
from dirsync_client.transfer.uploads.skip import Skip

BLOCK_SIZE = 7


def made(pieces: list[Piece], basis: bytes) -> bytes:
    """What pieces make of a basis."""
    target = b""
    for piece in pieces:
        match piece:
            case BlockRange():
                offset, length = copy_span(piece, BLOCK_SIZE, len(basis))
                target += basis[offset : offset + length]
            case Zeros(length=length):
                target += bytes(length)
            case _:
                target += piece
    return target


@given(st.data(), st.binary(min_size=1, max_size=60))
def test_makes_the_rest(data: st.DataObject, basis: bytes) -> None:
    """At any offset, also in the middle of a block."""
    last = block_count(len(basis), BLOCK_SIZE) - 1
    copies = st.integers(0, last).flatmap(
        lambda first: st.builds(BlockRange, st.just(first), st.integers(1, last - first + 1))
    )
    piece = st.binary(min_size=1, max_size=20) | st.builds(Zeros, st.integers(1, 20)) | copies
    pieces: list[Piece] = [*data.draw(st.lists(piece, max_size=8))]
    target = made(pieces, basis)
    offset = data.draw(st.integers(0, len(target)))
    skip = Skip(offset, BLOCK_SIZE, len(basis), lambda at, size: target[at : at + size])
    left = list(skip.pieces(pieces[:3])) + list(skip.pieces(pieces[3:]))

    assert target[offset:] == made(left, basis)
    assert all(not isinstance(piece, bytes) or piece for piece in left)
