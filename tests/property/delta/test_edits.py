"""What one edit of random content costs, wherever it is: each kind finds what it should."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dirsync.limits import Limits
from tests.support.inside.matching import Delta, delta_of, fetched, signed
from tests.support.inside.patch import patch

SIZE = 64
"""Of a block, in bytes."""
BASIS = random.Random(1).randbytes(200 * SIZE + 30)
FRESH = random.Random(2).randbytes(3000)
SIGNATURES = (signed(BASIS, SIZE), signed(BASIS, SIZE, stride=4), fetched(BASIS, SIZE))

offsets = st.integers(0, len(BASIS))
signatures = st.sampled_from(SIGNATURES)
lengths = st.integers(1, len(FRESH))


def checked(target: bytes, signature_number: int) -> Delta:
    """The delta of a target; it makes the target."""
    delta = delta_of(SIGNATURES[signature_number], target, limits=Limits(min_block_size=1))

    assert target == patch(BASIS, delta.pieces, SIZE)
    return delta


numbers = st.integers(0, len(SIGNATURES) - 1)


@given(st.integers(0, len(BASIS) - 1), numbers)
def test_one_byte_overwritten(at: int, number: int) -> None:
    """A byte that changed costs the block that it is in, and no search."""
    delta = checked(BASIS[:at] + bytes([BASIS[at] ^ 1]) + BASIS[at + 1 :], number)

    assert delta.literal_bytes <= SIZE
    assert delta.effort.searched_bytes <= SIZE


@given(offsets, lengths, numbers)
def test_overwritten(at: int, length: int, number: int) -> None:
    """A stretch overwritten in place costs itself and the rest of the blocks that it begins and ends in."""
    fresh = FRESH[:length]
    delta = checked((BASIS[:at] + fresh + BASIS[at + length :])[: max(len(BASIS), at + length)], number)

    assert delta.literal_bytes <= length + 2 * SIZE


@given(offsets, lengths, numbers)
def test_inserted(at: int, length: int, number: int) -> None:
    """An insertion costs itself and less than two blocks, whether it is a whole number of blocks long or not."""
    delta = checked(BASIS[:at] + FRESH[:length] + BASIS[at:], number)

    assert delta.literal_bytes <= length + 2 * SIZE


@given(offsets, lengths, numbers)
def test_deleted(at: int, length: int, number: int) -> None:
    """A deletion costs less than two blocks."""
    delta = checked(BASIS[:at] + BASIS[at + length :], number)

    assert delta.literal_bytes <= 2 * SIZE


@given(lengths, numbers)
def test_appended(length: int, number: int) -> None:
    """What is appended costs itself and the short block that it goes on from."""
    delta = checked(BASIS + FRESH[:length], number)

    assert delta.literal_bytes <= length + SIZE


@given(offsets, numbers)
def test_truncated(size: int, number: int) -> None:
    """What is left of a truncated file costs the last block's remainder."""
    delta = checked(BASIS[:size], number)

    assert delta.literal_bytes <= SIZE


@given(offsets, offsets, st.integers(10 * SIZE, 60 * SIZE), numbers)
def test_moved(at: int, to: int, length: int, number: int) -> None:
    """A stretch that moved costs less than two blocks at each of its three seams."""
    moved, rest = BASIS[at : at + length], BASIS[:at] + BASIS[at + length :]
    delta = checked(rest[:to] + moved + rest[to:], number)

    assert delta.literal_bytes <= 6 * SIZE


@given(st.lists(st.integers(0, 199), min_size=1, max_size=40), numbers)
def test_blocks_edited_in_place(blocks: list[int], number: int) -> None:
    """Scattered edits cost the blocks that they are in, each of them whole."""
    target = bytearray(BASIS)
    for block in blocks:
        target[block * SIZE + 5] ^= 0xFF
    delta = checked(bytes(target), number)

    assert delta.literal_bytes <= len(set(blocks)) * SIZE
