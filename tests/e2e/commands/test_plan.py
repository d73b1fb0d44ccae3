"""What ``plan`` says is what ``once`` then does: the same ways for the same reasons, and the bytes that it takes."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB, MIB
from tests.support.running.metrics import Samples
from tests.support.running.programs import Pair, Result
from tests.support.running.synced import done, prove_equal, synced
from tests.support.trees.content import random_bytes, text
from tests.support.trees.edits import append, insert, scatter
from tests.support.trees.renames import EXCHANGES, RENAMES, aside, contents
from tests.support.trees.trees import File, Link, Spec, build

pytestmark = pytest.mark.programs

FIELDS = {"operation", "path", "source", "strategy", "reason", "bytes"}
LATER = "found_out_when_sent"
TREE: Spec = {
    "edited": random_bytes(2 * MIB, 1),
    "grown": random_bytes(MIB, 2),
    "replaced": random_bytes(3 * MIB, 3),
    "kept": random_bytes(MIB + 3, 4),
    "small": random_bytes(3 * KIB, 5),
    "one": random_bytes(300 * KIB, 6),
    "other": random_bytes(400 * KIB, 7),
    "touched": "t",
    "text": text(300 * KIB),
    "gone/x": "x",
    "gone/y/z": "z",
    **contents("plan", "d/a", "d/Lb", "d/e/c"),
}


def change(source: Path, *, swaps: bool = True) -> None:
    """Have everything happen once."""
    # What is new comes first: an inode that was freed before would look like a file that was renamed and changed.
    shutil.copyfile(source / "kept", source / "copy")
    build(source, {"small2": (source / "small").read_bytes(), "new": random_bytes(2 * MIB, 8), "new2/tiny": "tiny"})
    build(source, {"twice/a": random_bytes(200 * KIB, 9), "twice/b": random_bytes(200 * KIB, 9), "link": Link("d")})
    scatter(source / "edited", 5)
    append(source / "grown", 10 * KIB)
    insert(source / "text", at=KIB, size=10)
    (source / "replaced").write_bytes(random_bytes(3 * MIB, 33))
    if swaps:
        aside(source / "one", source / "other")
    (source / "touched").chmod(0o600)
    (source / "d").rename(source / "f")
    (source / "small").rename(source / "f/small")
    shutil.rmtree(source / "gone")


def ways(plan: Result) -> dict[str, tuple[str, str]]:
    """How each file would travel, and why; a directory that moves counts as one."""
    return {
        step["path"]: (step["strategy"], step["reason"])
        for step in plan.json["operations"]
        if step["strategy"] and step["operation"] != "set_metadata"
    }


def planned_bytes(plan: Result) -> dict[str, int]:
    """Bytes that would be sent for each file."""
    return {step["path"]: step["bytes"] for step in plan.json["operations"]}


def did(result: Result) -> dict[str, tuple[str, str]]:
    """How each file travelled, and why."""
    return {path: (way.strategy, way.reason) for path, way in synced(result).ways.items() if way.strategy != "metadata"}


class TestPrediction:
    """A plan, and the sync after it."""

    def test_everything(self, pair: Pair) -> None:
        """Strategies, reasons and bytes are exactly those of the sync, where the client remembers what it sent."""
        build(pair.source, TREE)
        pair.server()
        pair.once()
        change(pair.source)
        plan = pair.command("plan", "--json")
        result = pair.once()
        sent = {e["path"]: e["literal_bytes"] for e in result.events if e["event"] == "file.synced"}
        deletes = [step["path"] for step in plan.json["operations"] if step["operation"] == "delete"]

        assert {frozenset(FIELDS)} == {frozenset(step) for step in plan.json["operations"]}
        assert did(result) == ways(plan)
        assert sent == {path: count for path, count in planned_bytes(plan).items() if path in sent}
        assert result.event("sync.completed")["literal_bytes"] == plan.json["bytes"]
        assert result.event("sync.completed")["deletes"] == len(deletes)
        assert {"delta", "dedup", "rename", "whole"} == {strategy for strategy, _ in ways(plan).values()}
        prove_equal(pair)

    def test_without_memory(self, pair: Pair) -> None:
        """Without remembered signatures a plan says so, and names the most that may be sent."""
        build(pair.source, TREE)
        pair.server()
        pair.once()
        shutil.rmtree(pair.place / "client-state" / "signatures")
        change(pair.source)
        plan = pair.command("plan", "--json")
        result = pair.once()
        sent = {e["path"]: e["literal_bytes"] for e in result.events if e["event"] == "file.synced"}
        open_ = {path for path, way in ways(plan).items() if way == ("delta", LATER)}
        limits = planned_bytes(plan)

        assert {"edited", "grown", "replaced", "text"} == open_
        assert {path: way for path, way in did(result).items() if path not in open_} == {
            path: way for path, way in ways(plan).items() if path not in open_
        }
        assert {} == {path: count for path, count in sent.items() if count > limits[path]}
        assert 3 * MIB == limits["replaced"]

    def test_renames(self, pair: Pair) -> None:
        """Everything that can happen to names is foreseen: the same moves, and the same bytes."""
        cases = {f"case{number}": case for number, case in enumerate((RENAMES | EXCHANGES).values())}
        for name, case in cases.items():
            build(pair.source / name, contents(name, *case.before))
        pair.server()
        pair.once()
        for name, case in cases.items():
            case.hands(pair.source / name)
        plan = pair.command("plan", "--json")
        result = pair.once()

        assert did(result) == ways(plan)
        assert result.event("sync.completed")["literal_bytes"] == plan.json["bytes"]

    def test_first(self, pair: Pair) -> None:
        """Of a first sync too, in which content is met again and again."""
        build(pair.source, {**TREE, **{f"again/{name}": what for name, what in TREE.items()}})
        pair.server()
        plan = pair.command("plan", "--json")
        result = pair.once()

        assert sorted(way for way, _ in did(result).values()) == sorted(way for way, _ in ways(plan).values())
        assert result.event("sync.completed")["literal_bytes"] == plan.json["bytes"]

    @pytest.mark.parametrize(
        "settings",
        [{"delete": "never"}, {"guard_max_delete_count": 2}, {"block_size": "64KiB"}],
    )
    def test_settings(self, pair: Pair, settings: dict[str, Any]) -> None:
        """What settings change of a sync, they change of its plan."""
        build(pair.source, TREE)
        pair.server()
        pair.once(**settings)
        # Without moves it is a matter of luck which of the two is overwritten before the other one is made of it.
        change(pair.source, swaps="delete" not in settings)
        plan = pair.command("plan", "--json", **settings)
        result = pair.once("--json", **settings)

        assert done(result.events).literal == plan.json["bytes"]
        assert {p: tuple(w) for p, w in done(result.events).ways.items() if w.strategy != "metadata"} == ways(plan)
        # What is new makes up for what is deleted.
        assert [] == plan.json["holds"] == result.json["holds"]
        assert [hold["id"] for hold in plan.json["holds"]] == [hold["id"] for hold in result.json["holds"]]

    def test_held(self, pair: Pair) -> None:
        """It tells the same hold as the sync."""
        build(pair.source, TREE)
        pair.server()
        pair.once()
        shutil.rmtree(pair.source / "gone")
        plan = pair.command("plan", "--json", guard_max_delete_count=2)
        result = pair.once("--json", guard_max_delete_count=2)

        assert [4] == [hold["paths"] for hold in plan.json["holds"]]
        assert plan.json["holds"][0]["id"] == result.json["holds"][0]["id"]

    def test_approved(self, pair: Pair) -> None:
        """What was approved for the next run is not held in its plan, and the plan does not use up the approval."""
        build(pair.source, {f"f{number}": "x" for number in range(30)})
        pair.server()
        pair.once()
        for number in range(20):
            (pair.source / f"f{number}").unlink()
        held = pair.command("plan", "--json").json
        pair.command("approve", held["holds"][0]["id"])
        approved = [pair.command("plan", "--json").json for _ in range(2)]
        result = pair.once()

        assert ([], 20) == (held["operations"], held["holds"][0]["paths"])
        assert [([], 20)] * 2 == [(plan["holds"], len(plan["operations"])) for plan in approved]
        assert (0, 20) == (result.code, result.event("sync.completed")["deletes"])

    def test_unreadable(self, pair: Pair) -> None:
        """What cannot be read is a problem of the plan, and the rest is planned."""
        build(pair.source, {"a": "a", "b": File(b"b")})
        os.mkfifo(pair.source / "fifo")
        pair.server()
        plan = pair.command("plan", "--json")

        assert ["a", "b"] == [step["path"] for step in plan.json["operations"]]
        assert [] == plan.json["problems"]


class TestNothingHappens:
    """A plan only reads."""

    def test_state(self, pair: Pair) -> None:
        """No file of either side or of STATE_DIR is made, changed or touched, and no session is opened."""
        build(pair.source, TREE)
        server = pair.server()
        pair.once()
        change(pair.source)
        places = [pair.source, pair.replica, pair.place / "client-state"]
        before = [everything(place) for place in places]
        sessions = server.metrics()
        plans = [pair.command("plan", "--json") for _ in range(2)]
        after = [everything(place) for place in places]

        assert before == after
        assert plans[0].json == plans[1].json
        assert ([], []) == (plans[0].messages, plans[0].events)
        for name in ("OpenSession", "PushChanges", "GetSignature", "ListDirectories"):
            labels = {"grpc_service": "dirsync.v1.SyncService", "grpc_method": name}
            assert _handled(sessions, labels) == _handled(server.metrics(), labels)

    def test_text(self, pair: Pair) -> None:
        """For people each operation is a line that says what goes where, how and why; a directory that moved is one."""
        build(pair.source, TREE)
        pair.server()
        pair.once()
        change(pair.source)
        lines = pair.command("plan").stdout.splitlines()

        assert "move           f  (rename, from d)" in lines
        assert "move           f/small  (rename, from small)" in lines
        assert "exchange       one  (rename, with other)" in lines
        assert "copy_content   copy  (dedup, 0 bytes: known content)" in lines
        assert f"put_file       new  (whole, {2 * MIB} bytes: new)" in lines
        assert "put_file       new2/tiny  (whole, 4 bytes: small)" in lines
        assert "set_metadata   touched  (metadata, 0 bytes: same content)" in lines
        assert "delete         gone/y/z" in lines
        assert 1 == len([line for line in lines if line.startswith("put_file       edited  (delta, ")])
        assert lines[-1].endswith(" bytes to send, 0 held")
        assert [] == [line for line in lines if "f/a" in line or "f/e" in line]


def everything(place: Path) -> Mapping[str, tuple[int, ...]]:
    """What shows reads or writes below a directory."""
    found = {}
    for path in [place, *sorted(place.rglob("*"))]:
        status = path.lstat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        found[str(path.relative_to(place))] = (status.st_ino, status.st_size, status.st_mode, *times)
    return found


def _handled(samples: Samples, labels: dict[str, str]) -> float:
    """How many calls of a method were answered, in whatever way."""
    keys = [dict(found) for name, found in samples.keys if name == "grpc_server_handled_total"]
    return sum(samples.value("grpc_server_handled_total", **key) for key in keys if labels.items() <= key.items())
