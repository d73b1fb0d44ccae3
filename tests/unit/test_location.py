"""Where two directories lie: the same machine, the same directory, one in the other."""

import pytest

from dirsync.location import Location, overlap

HERE, ABOVE, ROOT = (1, 30), (1, 20), (1, 2)


@pytest.mark.parametrize(
    "one, other, expected",
    [
        pytest.param(Location("h", (HERE, ABOVE)), Location("h", (HERE, ABOVE)), True, id="the same"),
        pytest.param(Location("h", (HERE, ABOVE)), Location("h", (ABOVE, ROOT)), True, id="within"),
        pytest.param(Location("h", (ABOVE,)), Location("h", (HERE, ABOVE)), True, id="around"),
        pytest.param(Location("h", (HERE, ROOT)), Location("h", (ABOVE, ROOT)), False, id="beside"),
        pytest.param(Location("h", (HERE,)), Location("i", (HERE,)), False, id="another machine"),
        pytest.param(Location("", (HERE,)), Location("", (HERE,)), False, id="unknown machines"),
        pytest.param(Location("h", ()), Location("h", (HERE,)), False, id="unknown directory"),
        pytest.param(Location("h", (HERE,)), Location("h", ()), False, id="unknown other"),
    ],
)
def test_overlap(one: Location, other: Location, expected: bool) -> None:
    """Two directories overlap where one is among the other's, on one machine."""
    assert expected == overlap(one, other)
