"""Directories of the replica that the server cannot list: what is in them is unknown, and equals nothing."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.faults.privileges import without_override, without_ownership
from tests.support.running.programs import Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences

pytestmark = [pytest.mark.programs, pytest.mark.privileged]

ANOTHER = 65532
"""A user who runs neither program."""


def problems(result: Result) -> dict[str, str]:
    """Path and kind of what a sync could not do."""
    return {problem["path"]: problem["kind"] for problem in result.json["problems"]}


def found_different(pair: Pair) -> list[tuple[str, str]]:
    """What ``verify`` names."""
    return [(item["path"], item["difference"]) for item in pair.command("verify", "--json").json["differences"]]


def closed(path: Path, mode: int, owner: int = 0) -> None:
    """Make a directory one that its mode denies; what is in it stays."""
    path.chmod(mode)
    os.chown(path, owner, owner)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
@pytest.mark.parametrize("fsync", ["batch", "never"])
def test_modes_that_deny_the_owner(pair: Pair, mode: int, fsync: str) -> None:
    """What is in such a directory of the source is made, changed and removed at the replica like anything else."""
    pair.server(prefix=without_ownership(), fsync=fsync)
    codes = []
    build(pair.source, {"d/kept": "old", "d/gone": "old", "d/below/x": "old", "open": "old"})
    (pair.source / "d").chmod(mode)
    codes.append(pair.once().code)
    wrong = differences(pair.source, pair.replica)
    build(pair.source, {"d/kept": "newer", "d/new": "new", "d/below/y": "y"})
    (pair.source / "d/gone").unlink()
    (pair.source / "d").chmod(mode)
    codes.append(pair.once().code)

    assert [0, 0] == codes
    assert [] == wrong + differences(pair.source, pair.replica)
    assert 0 == pair.command("verify").code


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_edited_by_hand(pair: Pair, mode: int) -> None:
    """What somebody else puts into a directory that denies its owner is found and removed, before and after a start."""
    server = pair.server(prefix=without_ownership())
    build(pair.source, {"d/f": "content", "empty/": None, "open": "old"})
    for name in ("d", "empty"):
        (pair.source / name).chmod(mode)
    codes = [pair.once().code]
    (pair.replica / "empty/strange").write_text("strange")
    (pair.replica / "d/f").write_text("edited")
    different = found_different(pair)
    codes.append(pair.once().code)
    wrong = differences(pair.source, pair.replica)
    server.stop()
    shutil.rmtree(pair.place / "server-state")
    (pair.replica / "empty/strange").write_text("strange")
    pair.server(prefix=without_ownership())
    codes.append(pair.once().code)

    assert [0, 0, 0] == codes
    assert {("empty/strange", "only in the replica"), ("d/f", "unreadable there")} <= set(different)
    assert [] == wrong + differences(pair.source, pair.replica)


def test_of_another_user(pair: Pair) -> None:
    """A directory that another user closed is a problem that names it, until the server may list it again."""
    pair.server(prefix=without_ownership())
    build(pair.source, {"d/": None, "open": "old"})
    (pair.source / "d").chmod(0o700)
    first = pair.once()
    (pair.replica / "d/strange").write_text("strange")
    closed(pair.replica / "d", 0o700, ANOTHER)
    denied = pair.once("--json")
    different = found_different(pair)
    again = pair.once("--json")
    closed(pair.replica / "d", 0o700)
    codes = [pair.once().code, pair.command("verify").code]

    assert [0, 4, 4] == [first.code, denied.code, again.code]
    assert [False, False] == [denied.json["in_sync"], again.json["in_sync"]]
    assert {"d": "refused"} == problems(denied) == problems(again)
    assert "cannot be listed" in denied.json["problems"][0]["message"]
    assert [("d", "unreadable there")] == different
    assert [0, 0] == codes
    assert [] == differences(pair.source, pair.replica)


def test_of_another_user_live(pair: Pair) -> None:
    """A live client says so, and goes on when the cause is gone."""
    pair.server(prefix=without_ownership())
    build(pair.source, {"d/": None, "open": "old"})
    (pair.source / "d").chmod(0o700)
    client = pair.client(rescan_interval="1s")
    client.wait_until_in_sync()
    (pair.replica / "d/strange").write_text("strange")
    closed(pair.replica / "d", 0o700, ANOTHER)
    until(lambda: client.metrics().value("dirsync_in_sync") == 0, "it is noticed")
    until(lambda: ["d"] == [problem["path"] for problem in client.status()["problems"]], "it is named")
    closed(pair.replica / "d", 0o700)
    client.wait_until_in_sync()

    assert [] == differences(pair.source, pair.replica)


def test_gone_from_the_source(pair: Pair) -> None:
    """A directory that cannot be listed and that the source has not is a problem, never in sync."""
    pair.server(prefix=without_ownership())
    build(pair.source, {"d/f": "content", "open": "old"})
    first = pair.once()
    closed(pair.replica / "d", 0o700, ANOTHER)
    shutil.rmtree(pair.source / "d")
    denied = [pair.once("--json") for _ in range(2)]
    closed(pair.replica / "d", 0o700)
    last = pair.once()

    assert [0, 4, 4, 0] == [result.code for result in (first, *denied, last)]
    assert [False, False] == [result.json["in_sync"] for result in denied]
    assert {"d/f": "refused"} == problems(denied[1])
    assert [] == differences(pair.source, pair.replica)


def test_unlisted_on_both_sides(pair: Pair) -> None:
    """Of what neither side can list nobody says that it is equal."""
    pair.server(prefix=without_ownership())
    build(pair.source, {"d/": None, "open": "old"})
    first = pair.once()
    (pair.replica / "d/strange").write_text("strange")
    closed(pair.replica / "d", 0, ANOTHER)
    closed(pair.source / "d", 0)
    denied = pair.once("--json", prefix=without_override())
    verified = pair.command("verify", "--json", prefix=without_override())

    assert [0, 4, 5] == [first.code, denied.code, verified.code]
    assert not denied.json["in_sync"]
    assert (pair.replica / "d/strange").exists()
