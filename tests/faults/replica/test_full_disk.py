"""A replica on a small file system that fills up, and has room again: nothing that was there is harmed."""

import os
from pathlib import Path

import pytest

from tests.support.faults.privileges import tmpfs
from tests.support.running.programs import Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal, look
from tests.support.trees.turns import neither

pytestmark = [pytest.mark.programs, pytest.mark.privileged]

LARGE = random_bytes(300_000, seed=1)
KIB = 1024


def problems(result: Result) -> dict[str, str]:
    """Path and kind of what a sync could not do."""
    return {problem["path"]: problem["kind"] for problem in result.json["problems"]}


@pytest.mark.case("B01")
def test_no_space(pair: Pair) -> None:
    """However little room there is, nothing that was there is harmed, and the rest follows when there is space."""
    with tmpfs(pair.replica, size="2m"):
        server = pair.server(min_free_bytes=0)
        filler = pair.replica / "lost+found" / "filler"  # no part of a mounted root's replica
        filler.parent.mkdir()
        outcomes = []
        for number, room in enumerate((0, 4 * KIB, 64 * KIB, 200 * KIB)):
            build(pair.source, {"large": f"old {number}", **{f"f{n}": f"old {number}" for n in range(30)}})
            assert pair.once().code == 0
            old = look(pair.source)
            build(pair.source, {"large": File(LARGE), **{f"f{n}": File(random_bytes(9000, n)) for n in range(30)}})
            filler.write_bytes(bytes(room_in(pair.replica) - room))
            full = pair.once("--json")
            filler.unlink()
            found = {path: entry for path, entry in look(pair.replica).items() if path != "lost+found"}
            again = pair.once()
            outcomes.append((full.code, set(problems(full).values()), again.code))
            wrong = neither(found, old, look(pair.source))
            wrong += [line for line in differences(pair.source, pair.replica) if "lost+found" not in line]

            assert [] == wrong
        server.stop()

    assert [(4, {"storage"}, 0)] * 4 == outcomes


@pytest.mark.case("B01", "B02")
def test_live(pair: Pair) -> None:
    """A client that lives brings the rest by itself."""
    with tmpfs(pair.replica, inodes=20):
        server = pair.server(min_free_bytes=0)
        client = pair.client()
        others = [pair.replica / f"lost+found/{number}" for number in range(10)]
        (pair.replica / "lost+found").mkdir()
        for other in others:
            other.touch()
        build(pair.source, {f"f{number:02}": str(number) for number in range(15)})
        problem = client.wait_for("file.problem", kind="storage")
        for other in others:
            other.unlink()
        (pair.replica / "lost+found").rmdir()
        until(lambda: equal(pair.source, pair.replica), "the rest to arrive", seconds=40)
        client.stop()
        server.stop()

    assert problem["path"].startswith("f")


@pytest.mark.case("B02")
def test_no_inodes(pair: Pair) -> None:
    """What finds no inode is a Problem; what was there is as it was or as it should be."""
    with tmpfs(pair.replica, inodes=30):
        server = pair.server(min_free_bytes=0)
        build(pair.source, {"kept": "old"})
        first = pair.once()
        old = look(pair.source)
        build(pair.source, {"kept": "new", **{f"f{number:02}": str(number) for number in range(60)}})
        failed = pair.once("--json")
        found = look(pair.replica)
        server.stop()
    wanted = look(pair.source)

    assert (0, 4) == (first.code, failed.code)
    assert {"storage"} == set(problems(failed).values())
    assert [] == neither(found, old, wanted)
    assert problems(failed).keys() == {path for path in wanted if wanted[path] != found.get(path)}


def room_in(path: Path) -> int:
    """Bytes that are left on a file system."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
