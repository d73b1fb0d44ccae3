"""A replica whose file system takes several names for one: nothing is overwritten, and nothing comes and goes.

The file system is one of ours, which folds case or Unicode normal forms (:mod:`tests.support.faultfs`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.faultfs import faulty
from tests.support.running.programs import Pair, Result
from tests.support.trees.trees import build

pytestmark = [pytest.mark.programs, pytest.mark.needs("fuse")]

NFC, NFD = "\u00e9", "e\u0301"
COLLIDING = {"case": ("A", "a"), "nfc": (NFC, NFD), "nfd": (NFC, NFD)}


class Folding(NamedTuple):
    """A pair whose replica folds names."""

    pair: Pair
    replica: Path

    def found(self) -> dict[str, str]:
        """The files of the replica."""
        return {str(p.relative_to(self.replica)): p.read_text() for p in self.replica.rglob("*") if p.is_file()}


@contextmanager
def folding(tmp_path: Path, fold: str) -> Iterator[Folding]:
    """A pair with a server on such a file system."""
    with faulty(tmp_path, fold=fold) as disk:
        pair = Pair(tmp_path / "pair")
        server = pair.server(root=disk.path / "replica")
        yield Folding(pair, disk.path / "replica")
        server.stop()


def problems(result: Result) -> set[str]:
    """The paths that a sync had problems with."""
    return {problem["path"] for problem in result.json["problems"]}


@pytest.mark.case("E05", "E06")
@pytest.mark.parametrize("fold", COLLIDING)
def test_files(tmp_path: Path, fold: str) -> None:
    """Of two files one is there and stays as it is; the other is a Problem, each time; the rest is synced."""
    names = COLLIDING[fold]
    with folding(tmp_path, fold) as site:
        build(site.pair.source, {**{name: name for name in names}, "rest": "1"})
        results = [site.pair.once("--json")]
        first = site.found()
        build(site.pair.source, {"rest": "2"})
        results += [site.pair.once("--json"), site.pair.once("--json")]
        last = site.found()

    assert [4, 4, 4] == [result.code for result in results]
    assert all(problems(result) & set(names) for result in results)
    assert {**first, "rest": "2"} == last
    assert 2 == len(last)
    assert set(last.values()) - {"2"} < set(names)


@pytest.mark.case("E05", "E06")
@pytest.mark.parametrize("fold", ["case", "nfc"])
def test_one_goes(tmp_path: Path, fold: str) -> None:
    """When one of the two is deleted at the source, the other arrives."""
    names = COLLIDING[fold]
    for gone, left in (names, names[::-1]):
        place = tmp_path / f"{names.index(gone)}"
        place.mkdir()
        with folding(place, fold) as site:
            build(site.pair.source, {name: name for name in names} | {"rest": "1"})
            site.pair.once()
            (site.pair.source / gone).unlink()
            site.pair.once()
            result = site.pair.once()
            found = site.found()

        assert 0 == result.code
        assert {left: left, "rest": "1"} == found


@pytest.mark.case("E05")
def test_renamed(tmp_path: Path) -> None:
    """A file whose name changes only its case has the new name in the end."""
    with folding(tmp_path, "case") as site:
        build(site.pair.source, {"Readme": "text", "rest": "1"})
        site.pair.once()
        (site.pair.source / "Readme").rename(site.pair.source / "README")
        site.pair.once()
        result = site.pair.once()
        found = site.found()

    assert 0 == result.code
    assert {"README": "text", "rest": "1"} == found
