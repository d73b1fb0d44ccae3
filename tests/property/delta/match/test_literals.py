"""Zeros in literals."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.match.literals import split_zeros, trailing_zeros
from dirsync.delta.pieces import Zeros
from tests.support.inside.matching import merged
from tests.support.inside.patch import patch

contents = st.lists(st.binary(max_size=9) | st.integers(0, 40).map(bytes), max_size=8).map(b"".join)


@given(contents, st.integers(1, 20))
def test_runs_of_zeros_are_found(content: bytes, shortest: int) -> None:
    """Every run of at least that many zeros is a piece, to the byte; everything else is as it was."""
    parts = re.split(rb"(\x00{%d,})" % shortest, content)
    expected = [Zeros(len(part)) if index % 2 else part for index, part in enumerate(parts) if part]

    assert expected == split_zeros(memoryview(content), shortest)


@given(contents, st.integers(1, 20))
def test_a_run_that_goes_on_is_one(content: bytes, shortest: int) -> None:
    """Behind a run the zeros that follow belong to it, however few."""
    pieces = split_zeros(memoryview(content), shortest, continued=True)
    leading = len(content) - len(content.lstrip(b"\x00"))

    assert content == patch(b"", pieces, 1)
    assert merged([Zeros(shortest), *pieces])[0] == Zeros(shortest + leading)


@given(contents)
def test_trailing_zeros_are_counted(content: bytes) -> None:
    """As many as there are."""
    assert len(content) - len(content.rstrip(b"\x00")) == trailing_zeros(memoryview(content))
