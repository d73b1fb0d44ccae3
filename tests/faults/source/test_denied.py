"""What a program may not read or change: that path is a Problem, what the replica has of it stays, the rest goes on."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.faults.privileges import without_override
from tests.support.faults.syscalls import fail, prefix
from tests.support.running.programs import Pair, Result, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, look

pytestmark = pytest.mark.programs

FRAMED = random_bytes(2_500_000)
"""Three frames."""
ANOTHER = 65532
"""A user who runs neither program."""
CLOSED = {"closed": 0o000, "open": 0o644, "d/closed": 0o200}


def problems(result: Result) -> dict[str, str]:
    """Path and kind of what a sync could not do."""
    return {problem["path"]: problem["kind"] for problem in result.json["problems"]}


@pytest.mark.privileged
class TestSource:
    """A client that permission bits apply to."""

    @pytest.mark.case("B06")
    def test_file(self, pair: Pair) -> None:
        """An unreadable file's copy stays as it is; when it can be read again it is brought up to date."""
        pair.server()
        build(pair.source, {"closed": "old", "open": "old", "d/closed": "old"})
        first = pair.once()
        build(pair.source, {name: File(b"newer", mode) for name, mode in CLOSED.items()})
        denied = pair.once("--json", prefix=without_override())
        kept = {name: (pair.replica / name).read_text() for name in CLOSED}
        for name in CLOSED:
            (pair.source / name).chmod(0o644)
        again = pair.once(prefix=without_override())

        assert (0, 4, 0) == (first.code, denied.code, again.code)
        assert {"closed": "unreadable", "d/closed": "unreadable"} == problems(denied)
        assert {"closed": "old", "open": "newer", "d/closed": "old"} == kept
        assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("B07")
    @pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
    def test_directory(self, pair: Pair, mode: int) -> None:
        """Nothing is deleted below a directory that cannot be listed (or entered), and everything else is synced."""
        pair.server()
        build(pair.source, {"closed/a": "a", "closed/below/b": "b", "closed/link": "l", "gone": "g", "open": "old"})
        first = pair.once()
        below = {path: entry for path, entry in look(pair.replica).items() if path.startswith("closed/")}
        (pair.source / "gone").unlink()
        build(pair.source, {"open": "newer"})
        (pair.source / "closed").chmod(mode)
        denied = pair.once("--json", prefix=without_override())
        (pair.replica / "closed").chmod(0o755)
        kept = look(pair.replica)
        (pair.source / "closed").chmod(0o755)
        again = pair.once(prefix=without_override())

        assert (0, 4, 0) == (first.code, denied.code, again.code)
        assert {"unreadable"} == set(problems(denied).values())
        assert all(path.startswith("closed") for path in problems(denied))
        assert below == {path: entry for path, entry in kept.items() if path.startswith("closed/")}
        assert "gone" not in kept
        assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("B09")
@pytest.mark.needs("strace")
@pytest.mark.parametrize("block, known", [(1, True), (2, False), (3, True)])
def test_read_error(pair: Pair, block: int, known: bool) -> None:
    """A source's disk that fails in the middle of a file: it is a Problem, and no part of the file is published."""
    pair.server()
    build(pair.source, {"small": "old", **({"framed": "old"} if known else {})})
    first = pair.once()
    build(pair.source, {"small": "new", "framed": File(FRAMED)})
    only = prefix(pair.place / "log", fail("read", "EIO", str(block)), only=pair.source / "framed")
    failed = pair.once("--json", prefix=only)
    kept = look(pair.replica)
    again = pair.once()

    assert (0, 4, 0) == (first.code, failed.code, again.code)
    assert {"framed": "unreadable"} == problems(failed)
    assert known == ("framed" in kept)
    assert not known or kept["framed"].content == look_of(b"old")
    assert kept["small"].content == look_of(b"new")
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.privileged
@pytest.mark.case("B08")
def test_immutable(pair: Pair) -> None:
    """What the replica may not change is a Problem; others progress, and it is retried when it may."""
    pair.server()
    build(pair.source, {"fixed": "old", "deleted": "old", "other": "old", "d/inside": "old"})
    first = pair.once()
    fixed = [pair.replica / name for name in ("fixed", "deleted", "d")]
    try:
        subprocess.run(["chattr", "+i", *fixed], check=True)
        build(pair.source, {"fixed": "new", "other": "new", "d/inside": "new", "d/more": "new"})
        (pair.source / "deleted").unlink()
        failed = pair.once("--json")
        kept = {name: (pair.replica / name).read_text() for name in ("fixed", "deleted", "d/inside", "other")}
    finally:
        subprocess.run(["chattr", "-i", *fixed], check=True)
    again = pair.once()

    assert (0, 4, 0) == (first.code, failed.code, again.code)
    assert dict.fromkeys(("fixed", "deleted", "d/inside", "d/more"), "refused") == problems(failed)
    assert {"fixed": "old", "deleted": "old", "d/inside": "old", "other": "new"} == kept
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.privileged
@pytest.mark.case("B08")
@pytest.mark.parametrize("content", [b"small", FRAMED], ids=["small", "framed"])
def test_moved_into_what_is_immutable(pair: Pair, content: bytes) -> None:
    """A file that was renamed to where the replica takes nothing is a Problem, and the sync comes to its end."""
    pair.server()
    build(pair.source, {"f": File(content), "d/inside": "x"})
    first = pair.once()
    (pair.source / "f").rename(pair.source / "d/f")
    try:
        subprocess.run(["chattr", "+i", pair.replica / "d"], check=True)
        failed = pair.once("--json")
    finally:
        subprocess.run(["chattr", "-i", pair.replica / "d"], check=True)
    again = pair.once()

    assert (0, 4, 0) == (first.code, failed.code, again.code)
    assert {"d/f": "refused"} == problems(failed)
    assert [] == differences(pair.source, pair.replica)


def look_of(content: bytes) -> str:
    """A file's content as :func:`tests.support.trees.trees.look` shows it."""
    return hashlib.sha256(content).hexdigest()


@pytest.mark.privileged
@pytest.mark.parametrize("fsync", ["batch", "always"])
def test_modes_that_deny_the_owner(pair: Pair, fsync: str) -> None:
    """Files that the server itself may not read are made, changed and made durable like any other."""
    pair.server(prefix=without_override(), fsync=fsync)
    modes = {"f000": 0o000, "f200": 0o200, "f111": 0o111, "framed": 0o000, "d/f": 0o077}
    codes = []
    for name, mode in modes.items():
        build(pair.source, {name: File(FRAMED if name == "framed" else b"old", mode)})
        codes.append(pair.once().code)
    wrong = differences(pair.source, pair.replica)
    for name, mode in modes.items():
        build(pair.source, {name: File(name.encode(), mode)})
    codes.append(pair.once().code)

    assert {0} == set(codes)
    assert [] == wrong + differences(pair.source, pair.replica)


def privately(path: Path, content: str) -> None:
    """What an editor of another user leaves: another file, that only they may read."""
    fresh = path.with_name("fresh")
    fresh.write_text(content)
    fresh.chmod(0o600)
    os.chown(fresh, ANOTHER, ANOTHER)
    fresh.rename(path)


def served(pair: Pair) -> Server:
    """A server that permission bits apply to."""
    return pair.server(prefix=without_override())


@pytest.mark.privileged
class TestReplica:
    """Files of the replica that the server may not read, but may replace and remove."""

    def test_edited_once(self, pair: Pair) -> None:
        """What another user rewrote is put right, also where the source changed, was renamed or is gone by then."""
        served(pair)
        build(pair.source, dict.fromkeys(("same", "changed", "gone", "before"), "old"))
        codes = [pair.once().code]
        for name in ("same", "changed", "gone", "before"):
            privately(pair.replica / name, "edited")
        build(pair.source, {"changed": "newer"})
        (pair.source / "gone").unlink()
        (pair.source / "before").rename(pair.source / "after")
        verified = pair.command("verify", "--json")
        codes.append(pair.once().code)

        assert ([0, 0], 5) == (codes, verified.code)
        assert {"same", "changed", "gone", "before", "after"} == {d["path"] for d in verified.json["differences"]}
        assert [] == differences(pair.source, pair.replica)
        assert 0 == pair.command("verify", "--deep").code

    def test_edited_live(self, pair: Pair) -> None:
        """A live client puts it right at its next scan of both sides."""
        served(pair)
        build(pair.source, {"f": "content"})
        pair.client(rescan_interval="1s")
        privately(pair.replica / "f", "edited")

        until(lambda: [] == differences(pair.source, pair.replica), "repaired")

    @pytest.mark.parametrize("mode", [0o000, 0o200])
    def test_lost_state(self, pair: Pair, mode: int) -> None:
        """A server that lost its state knows nothing of files that deny their owner: they are sent again."""
        server = served(pair)
        build(pair.source, {"f": File(b"content", mode), "large": File(FRAMED, mode), "open": "content"})
        codes = [pair.once().code]
        server.stop()
        shutil.rmtree(pair.place / "server-state")
        served(pair)
        lost = pair.command("verify", "--json")
        codes.append(pair.once().code)
        build(pair.source, {"f": File(b"changed", mode)})
        codes.append(pair.once().code)

        assert ([0, 0, 0], 5) == (codes, lost.code)
        assert [("f", "unreadable there"), ("large", "unreadable there")] == [
            (difference["path"], difference["difference"]) for difference in lost.json["differences"]
        ]
        assert [] == differences(pair.source, pair.replica)

    def test_deep_verification(self, pair: Pair) -> None:
        """What the server cannot read it does not call equal when it is asked to read everything."""
        served(pair)
        build(pair.source, {"f": File(b"content", 0o200)})
        synced = pair.once()
        plain, deep = pair.command("verify", "--json"), pair.command("verify", "--deep", "--json")

        assert [0, 0, 5] == [synced.code, plain.code, deep.code]
        assert [{"path": "f", "difference": "unreadable there"}] == deep.json["differences"]

    def test_unreadable_on_both_sides(self, pair: Pair) -> None:
        """It is never in sync, though name, size and time are the same; the replica keeps its copy."""
        served(pair)
        build(pair.source, {"f": "content", "open": "content"})
        first = pair.once()
        privately(pair.replica / "f", "another")
        for side in (pair.source, pair.replica):
            os.utime(side / "f", (1, 1))
            (side / "f").chmod(0)
        denied = pair.once("--json", prefix=without_override())
        verified = pair.command("verify", "--json", prefix=without_override())

        assert [0, 4, 5] == [first.code, denied.code, verified.code]
        assert not denied.json["in_sync"]
        assert {"f": "unreadable"} == problems(denied)
        assert "another" == (pair.replica / "f").read_text()
