"""Symbolic links are data: copied as they are, wherever they lead, and never followed by either side."""

from pathlib import Path

import pytest

from tests.support.faults.crashes import untouched
from tests.support.running.programs import Pair
from tests.support.trees.trees import Link, build, differences

pytestmark = pytest.mark.programs

TARGETS = {
    "absolute": "/etc/passwd",
    "up and away": "../../../../../../etc",
    "itself": "itself",
    "loop-1": "loop-2",
    "loop-2": "loop-1",
    "dangling": "nowhere/at/all",
    "long": "t" * 255 + "/" + "u" * 3839,
    "not UTF-8": "\udcff\udcfe/\udc80",
    "line": "a\nb\x1b[31m\u202e",
    "slashes": "///.//..//",
    "dot": ".",
    "root": "/",
    "space": " ",
}


@pytest.fixture
def outside(pair: Pair) -> Path:
    """A directory that must not be touched, beside both roots."""
    outside = pair.place / "outside"
    build(outside, {"f": "outside", "d/inside": "outside"})
    return outside


@pytest.mark.case("E09")
def test_targets(pair: Pair) -> None:
    """Every target arrives byte by byte; then each is aimed elsewhere, and deleted."""
    pair.server()
    build(pair.source, {name: Link(target) for name, target in TARGETS.items()})
    first = pair.once()
    wrong = differences(pair.source, pair.replica)
    for name in TARGETS:
        (pair.source / name).unlink()
    build(pair.source, {name: Link("x" + target[-100:]) for name, target in TARGETS.items()})
    second = pair.once()
    wrong += differences(pair.source, pair.replica)
    again = pair.once()

    assert 4095 == len(TARGETS["long"])
    assert (0, 0, 0) == (first.code, second.code, again.code)
    assert [] == wrong
    assert 0 == again.event("sync.completed")["files"]


@pytest.mark.case("E09", "I21")
def test_never_followed(pair: Pair, outside: Path) -> None:
    """What takes a link's place, and whatever is done below it then, is done in the replica."""
    before = untouched(outside)
    pair.server()
    build(
        pair.source,
        {"to directory": Link(str(outside)), "to file": Link(str(outside / "f")), "d": Link("../outside/d")},
    )
    codes = [pair.once().code]
    for name in ("to directory", "to file", "d"):
        (pair.source / name).unlink()
    build(
        pair.source,
        {"to directory/f": "inside", "to directory/d/inside": "inside", "to file": "inside", "d/inside": "x"},
    )
    codes.append(pair.once().code)
    (pair.source / "to directory/f").chmod(0o600)
    (pair.source / "to directory/d/inside").unlink()
    (pair.source / "to directory/d").rmdir()
    codes.append(pair.once().code)

    assert [0, 0, 0] == codes
    assert [] == differences(pair.source, pair.replica)
    assert before == untouched(outside)


@pytest.mark.case("E09")
def test_links_put_into_the_replica(pair: Pair, outside: Path) -> None:
    """A link that replaces a directory of the replica is replaced, not entered."""
    before = untouched(outside)
    pair.server()
    build(pair.source, {"d/inside": "1", "f": "1"})
    codes = [pair.once().code]
    (pair.replica / "d/inside").unlink()
    (pair.replica / "d").rmdir()
    (pair.replica / "d").symlink_to(outside / "d")
    (pair.replica / "f").unlink()
    (pair.replica / "f").symlink_to(outside / "f")
    build(pair.source, {"d/inside": "2", "d/more": "2", "f": "2"})
    codes += [pair.once().code, pair.once().code]

    assert [0, 0] == codes[::2]
    assert [] == differences(pair.source, pair.replica)
    assert before == untouched(outside)
