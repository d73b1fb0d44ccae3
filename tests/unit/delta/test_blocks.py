"""How a basis is cut."""

import subprocess
import sys

import pytest

from dirsync.delta.blocks import block_count, block_size_for, span, whole_blocks
from dirsync.limits import LIMITS, Limits

KIB, MIB, GIB, TIB = (1 << shift for shift in (10, 20, 30, 40))


@pytest.mark.parametrize(
    "size, wanted, expected",
    [
        (0, 4 * KIB, 4 * KIB),
        (2 * GIB, 4 * KIB, 4 * KIB),
        (2 * GIB + 1, 4 * KIB, 8 * KIB),
        (2 * GIB + 1, 1 * MIB, 1 * MIB),
        (100 * GIB, 4 * KIB, 256 * KIB),
        (8 * TIB, 4 * KIB, 16 * MIB),
        (8 * TIB + 1, 4 * KIB, 32 * MIB),
        (10 * MIB, 5000, 5000),
        (10 * MIB, 0, 512),
    ],
)
def test_block_size_doubles_until_there_are_few_enough(size: int, wanted: int, expected: int) -> None:
    """The wanted size, unless a file would have more than 524,288 blocks; never less than the smallest."""
    actual = block_size_for(size, wanted)

    assert expected == actual
    assert block_count(size, actual) <= LIMITS.max_blocks


def test_the_bounds_are_those_given() -> None:
    """Other limits, other block sizes."""
    assert block_size_for(100, 1, Limits(min_block_size=3, max_blocks=10)) == 12


@pytest.mark.parametrize("size, count, whole", [(0, 0, 0), (1, 1, 0), (9, 1, 0), (10, 1, 1), (11, 2, 1), (20, 2, 2)])
def test_the_last_block_may_be_short(size: int, count: int, whole: int) -> None:
    """A remainder is a block, but not one of full length."""
    assert (count, whole) == (block_count(size, 10), whole_blocks(size, 10))


@pytest.mark.parametrize(
    "first, count, expected", [(0, 1, (0, 10)), (1, 2, (10, 15)), (2, 1, (20, 5)), (2, 9, (20, 5)), (3, 1, (25, 0))]
)
def test_a_span_ends_with_the_file(first: int, count: int, expected: tuple[int, int]) -> None:
    """Blocks cover the bytes that the file has."""
    assert expected == span(first, count, 10, 25)


def test_those_who_only_copy_need_no_numpy() -> None:
    """A sync that finds nothing to do, and a server that only rebuilds and signs, do not pay for the import."""
    light = "import dirsync.delta.blocks, dirsync.delta.pieces, dirsync.delta.signature.packed"
    program = f"{light}; import sys; print(sorted(sys.modules.keys() & {{'numpy', 'xxhash'}}))"

    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "[]\n"
