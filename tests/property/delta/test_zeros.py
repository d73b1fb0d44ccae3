"""What lies around the data of a sparse file."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.pieces import Zeros
from dirsync.delta.zeros import split_zeros
from dirsync.limits import KIB

BLOCK = 4 * KIB
blocks = st.sampled_from((bytes(BLOCK), b"data" * (BLOCK // 4), bytes(BLOCK - 1) + b"x", b"x" + bytes(BLOCK - 1)))
tails = st.sampled_from((b"", b"x", bytes(100), b"end" * 100))


@given(st.lists(blocks, max_size=12).map(b"".join), tails)
def test_every_block_of_zeros_is_a_run(head: bytes, tail: bytes) -> None:
    """Together the pieces are the frame; runs and literals take turns, and no literal has a block of zeros."""
    frame = head + tail
    pieces = split_zeros(frame)
    runs = [isinstance(piece, Zeros) for piece in pieces]

    assert frame == b"".join(bytes(piece.length) if isinstance(piece, Zeros) else bytes(piece) for piece in pieces)
    assert all(one != other for one, other in pairwise(runs))
    assert sum(piece.length for piece in pieces if isinstance(piece, Zeros)) == sum(
        BLOCK for at in range(0, len(frame), BLOCK) if frame[at : at + BLOCK] == bytes(BLOCK)
    )
