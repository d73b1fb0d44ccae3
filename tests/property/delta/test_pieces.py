"""Copies, with numbers of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import DeltaError, copy_span
from tests.support.inside.patch import patch

numbers = st.integers(-2, 12) | st.sampled_from((2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70))


@given(numbers, numbers, st.integers(1, 7), st.integers(0, 40))
@pytest.mark.case("I06")
def test_a_copy_is_in_the_basis_or_refused(first: int, count: int, block_size: int, size: int) -> None:
    """A span covers exactly the bytes of its blocks; a copy of any other block, or of none, is refused."""
    blocks = [range(at, min(at + block_size, size)) for at in range(0, size, block_size)]
    if first >= 0 and count >= 1 and first + count <= len(blocks):
        offset, length = copy_span(BlockRange(first, count), block_size, size)

        assert [at for block in blocks[first : first + count] for at in block] == list(range(offset, offset + length))
    else:
        with pytest.raises(DeltaError):
            copy_span(BlockRange(first, count), block_size, size)


@given(st.binary(max_size=50), numbers, numbers, st.integers(-1, 5))
@pytest.mark.case("I06")
def test_a_patch_copies_only_from_the_basis(basis: bytes, first: int, count: int, block_size: int) -> None:
    """For any copy, a patch returns bytes of the basis or refuses."""
    try:
        target = patch(basis, [BlockRange(first, count)], block_size)
    except DeltaError:
        return

    assert target
    assert target in basis
