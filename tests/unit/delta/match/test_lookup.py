"""Finding rows by weak checksum."""

import numpy as np
import pytest

from dirsync.delta.match.lookup import Lookup


def lookup_of(weak: list[int]) -> Lookup:
    """A lookup of these checksums, whose rows are their places."""
    return Lookup(np.array(weak, np.uint32), np.arange(len(weak), dtype=np.uint32))


def test_exactly_the_known_checksums_are_candidates() -> None:
    """Whatever passes the filters, only what is there is found, at each of its offsets."""
    known = np.random.default_rng(1).integers(0, 1 << 32, 30_000, dtype=np.uint32)
    sums = np.random.default_rng(2).integers(0, 1 << 32, 50_000, dtype=np.uint32)
    places = np.random.default_rng(3).choice(50_000, 700, replace=False)
    sums[places] = known[:700]
    lookup = lookup_of(known.tolist())
    found = lookup.candidates(sums, lookup.scratch(50_000))

    assert np.flatnonzero(np.isin(sums, known)).tolist() == found.offsets.tolist()
    for offset, place in zip(found.offsets[:50].tolist(), found.places[:50].tolist(), strict=True):
        assert sums[offset] in known[lookup.rows(place, 0, 16)]


@pytest.mark.parametrize(
    "near, most, expected",
    [
        (0, 9, [0, 2, 4, 6]),
        (3, 9, [4, 6, 0, 2]),
        (4, 2, [4, 6]),
        (6, 3, [6, 0, 2]),
        (7, 1, [0]),
        (2**40, 2, [0, 2]),
    ],
)
def test_rows_with_one_checksum_begin_with_the_nearest(near: int, most: int, expected: list[int]) -> None:
    """First those that follow where the last copy ended, then those before it, never more than wanted."""
    lookup = lookup_of([7, 1, 7, 2, 7, 3, 7])
    found = lookup.candidates(np.array([7], np.uint32), lookup.scratch(1))

    assert expected == lookup.rows(int(found.places[0]), near, most).tolist()
