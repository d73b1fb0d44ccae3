"""Copies that were held back come out in order, and in as few pieces as they can be."""

from copy import copy
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync_client.transfer.uploads.joined_copies import JoinedCopies
from tests.support.inside.matching import merged

BLOCK_SIZE = 10
copies = st.builds(BlockRange, st.integers(0, 6), st.integers(1, 6))
pieces_of_a_frame = st.lists(
    copies | st.builds(Zeros, st.integers(1, 9)) | st.binary(min_size=1, max_size=3), max_size=4
)


@given(st.lists(pieces_of_a_frame, max_size=8), st.integers(0, 200))
def test_nothing_is_lost(frames: list[list[Piece]], most_bytes: int) -> None:
    """However the pieces come, and however much is held back."""
    joined = JoinedCopies(BLOCK_SIZE, most_bytes)
    sent = [piece for frame in frames for piece in joined.pieces(frame)]
    sent += joined.rest()

    assert merged(chain.from_iterable(frames)) == merged(sent)
    assert [] == list(joined.rest())


@given(st.lists(pieces_of_a_frame, max_size=8), st.integers(0, 200))
def test_little_is_held_back(frames: list[list[Piece]], most_bytes: int) -> None:
    """After each frame everything was sent but one copy, which is smaller than that."""
    joined = JoinedCopies(BLOCK_SIZE, most_bytes)
    came: list[Piece] = []
    sent: list[Piece] = []
    for frame in frames:
        came += frame
        sent += joined.pieces(frame)
        held = list(copy(joined).rest())

        assert merged(came) == merged([*sent, *held])
        assert all(isinstance(piece, BlockRange) and piece.count * BLOCK_SIZE < most_bytes for piece in held)
        assert len(held) <= 1


def test_copies_of_many_frames_are_one() -> None:
    """Up to the bound, at which it is sent."""
    joined = JoinedCopies(BLOCK_SIZE, 8 * BLOCK_SIZE)
    sent = [list(joined.pieces([BlockRange(at, 3)])) for at in range(0, 12, 3)]

    assert [[], [], [BlockRange(0, 9)], []] == sent
    assert [BlockRange(9, 3)] == list(joined.rest())
