"""Which fine blocks are asked for."""

import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.coarse import Found, Gap, Outline, wanted_blocks
from dirsync.delta.pieces import Piece, Zeros
from dirsync.limits import Limits

B = 10
LIMITS = Limits(min_block_size=1, coarse_factor=4, max_signature_ranges=2)


def outlined(*pieces: Piece, size: int = 1000) -> Outline:
    """The outline of coarse pieces against a basis of ``size`` bytes."""
    outline = Outline(B, size, LIMITS)
    for piece in pieces:
        outline.add([piece])
    return outline


def test_coarse_copies_are_fine_ones() -> None:
    """In numbers of fine blocks, neighbours joined; the short last coarse block has as many fine ones as it has."""
    assert [Found(0, 120, BlockRange(4, 12)), Found(120, 25, BlockRange(96, 3))] == outlined(
        BlockRange(1, 2), BlockRange(3, 1), BlockRange(24, 1), size=985
    ).spans()


def test_a_gap_asks_for_what_is_between() -> None:
    """The blocks of the basis between the copies on both sides, or from its start, or up to its end."""
    spans = outlined(b"x" * 90, BlockRange(2, 2), b"x" * 30, b"y" * 15, BlockRange(5, 18), b"x" * 90).spans()

    assert [
        Gap(0, 90, 0, (BlockRange(0, 8),)),
        Found(90, 80, BlockRange(8, 8)),
        Gap(170, 45, 16, (BlockRange(16, 4),)),
        Found(215, 720, BlockRange(20, 72)),
        Gap(935, 90, 92, (BlockRange(92, 8),)),
    ] == spans


@pytest.mark.parametrize(
    "gap, following, expected",
    [
        (b"x" * 9, BlockRange(9, 1), ()),
        (b"x" * 10, BlockRange(1, 1), ()),
        (b"x" * 10, BlockRange(0, 1), ()),
        (b"x" * 20, BlockRange(2, 1), (BlockRange(4, 4),)),
        (b"x" * 20, BlockRange(9, 1), (BlockRange(4, 2), BlockRange(34, 2))),
    ],
    ids=["too short", "nothing between", "not ascending", "all between", "much between"],
)
def test_a_gap_asks_for_no_more_than_it_may_hold(
    gap: bytes, following: BlockRange, expected: tuple[BlockRange, ...]
) -> None:
    """Nothing where no block fits or none is between; next to both copies where there is more between than fits."""
    spans = outlined(BlockRange(0, 1), gap, following).spans()

    assert Gap(40, len(gap), 4, expected) == spans[1]


def test_long_zeros_are_decided() -> None:
    """Zeros of a coarse block and more are not read again; shorter ones are part of a gap."""
    spans = outlined(b"x", Zeros(39), b"y", Zeros(40), b"z").spans()

    assert [(0, 41), (41, 40), (81, 1)] == [(span.offset, span.length) for span in spans]
    assert Found(41, 40, Zeros(40)) == spans[1]


@pytest.mark.parametrize(
    "worth, expected",
    [
        ([], []),
        ([BlockRange(5, 2), BlockRange(1, 2)], [BlockRange(1, 2), BlockRange(5, 2)]),
        ([BlockRange(1, 4), BlockRange(2, 9)], [BlockRange(1, 10)]),
        ([BlockRange(1, 4), BlockRange(5, 1)], [BlockRange(1, 5)]),
        ([BlockRange(1, 9), BlockRange(2, 3)], [BlockRange(1, 9)]),
        ([BlockRange(1, 1), BlockRange(3, 1), BlockRange(5, 1)], [BlockRange(1, 3), BlockRange(5, 1)]),
        (
            [BlockRange(1, 1), BlockRange(3, 1), BlockRange(5, 1), BlockRange(7, 1), BlockRange(9, 1)],
            [BlockRange(1, 7), BlockRange(9, 1)],
        ),
    ],
)
def test_ranges_ascend_and_are_few(worth: list[BlockRange], expected: list[BlockRange]) -> None:
    """Overlapping ones are one; too many are joined with their neighbours."""
    assert expected == wanted_blocks([Gap(0, 1, 0, tuple(worth))], LIMITS)
