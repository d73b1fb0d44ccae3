"""A replica's disk that is full, fails, or is faulty: nothing wrong is published or acknowledged, and the rest goes on.

strace injects the errors, or the replica is on a file system that fails on demand.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.faultfs import Faults, FaultyFs, faulty
from tests.support.faults.syscalls import Call, fail, traced
from tests.support.peers.operations import batch, commit, put
from tests.support.peers.wire import Wire
from tests.support.running.programs import Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal, look
from tests.support.trees.turns import neither

pytestmark = pytest.mark.programs

LARGE = random_bytes(300_000, seed=1)
KIB, MIB = 1024, 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultyFs]:
    """A file system that fails on demand."""
    with faulty(tmp_path) as made:
        yield made


def problems(result: Result) -> dict[str, str]:
    """Path and kind of what a sync could not do."""
    return {problem["path"]: problem["kind"] for problem in result.json["problems"]}


def staged(calls: Iterable[Call]) -> set[str]:
    """The names in staging that some calls named."""
    return {name for call in calls for name in re.findall(r"staged-[0-9a-f-]+", call.names)}


@pytest.mark.needs("strace")
class TestFsync:
    """A failed fsync proves that something is lost, and a second one nothing."""

    @pytest.mark.case("A05")
    @pytest.mark.parametrize("policy, files", [("batch", 1), ("batch", 8), ("always", 3)])
    def test_of_a_file(self, pair: Pair, policy: str, files: int) -> None:
        """What was lost is neither published nor synced again: it is dropped, and written again from the start."""
        server = pair.server(fsync=policy)
        build(pair.source, {f"f{number}": "old" for number in range(files)})
        first = pair.once()
        build(pair.source, {f"f{number}": f"new {number}" for number in range(files)})
        call = "fsync" if files <= 4 else "syncfs"
        with traced(server.pid, pair.place / "log", fail(call, "EIO"), names=["renameat", "openat", "syncfs"]) as trace:
            failing = pair.once()
        calls = trace.calls()
        at = next(number for number, made in enumerate(calls) if "INJECTED" in made.result)
        lost = {name for name in staged(calls[:at]) if call == "syncfs" or name in calls[at].names}
        again = pair.once()

        assert 0 == first.code
        assert failing.code in (0, 4)
        assert 0 == again.code
        assert files >= len(lost) > 0
        assert not lost & staged(made for made in calls[at + 1 :] if made.name in ("fsync", "renameat"))
        assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("A06")
    def test_of_a_directory(self, pair: Pair) -> None:
        """There is no answer, and the server looks at its files again before it does anything else."""
        server = pair.server(fsync="batch")
        names = ["getdents64", "renameat"]
        with (
            traced(server.pid, pair.place / "log", fail("fsync", "EIO", "2"), names=names) as trace,
            Wire(server.address) as wire,
        ):
            push = wire.push(wire.open_session().session_id)
            answers, status = push.send(batch(put(1, b"f", b"new")), commit()).drain()
            before = len(trace.calls())
            push = wire.push(wire.open_session().session_id)
            repeated = push.send(batch(put(1, b"f", b"new")), commit()).receive()
            after = trace.calls()[before:]

        assert [] == answers
        assert "NOT_DURABLE" == status.reason
        assert "getdents64" in {call.name for call in after}
        assert [] == list(repeated.failures)

    @pytest.mark.case("A06")
    def test_live(self, pair: Pair) -> None:
        """A client tries again by itself, and ends in sync."""
        server = pair.server(fsync="batch")
        client = pair.client()
        with traced(server.pid, pair.place / "log", fail("fsync", "EIO", "2")):
            build(pair.source, {"f": "new"})
            lost = client.wait_for("connection.lost")
            client.wait_for("connection.restored")
            until(lambda: equal(pair.source, pair.replica), "the sync")

        assert "durable" in lost["problem"]


@pytest.mark.needs("strace")
@pytest.mark.case("A07")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EXDEV", "EROFS"])
def test_rename(pair: Pair, error: str) -> None:
    """The old version stays, nothing is left in staging, and the other files are synced."""
    server = pair.server()
    build(pair.source, {"a": "old", "b": "old"})
    first = pair.once()
    build(pair.source, {"a": "new", "b": "new"})
    with traced(server.pid, pair.place / "log", fail("renameat", error)):
        failed = pair.once("--json")
        until(lambda: not list(pair.place.glob(".*staging")), "staging to be left")
    contents = sorted((pair.replica / name).read_text() for name in "ab")
    again = pair.once()

    assert (0, 4, 0) == (first.code, failed.code, again.code)
    assert 1 == len(problems(failed))
    assert ["new", "old"] == contents
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.needs("strace")
@pytest.mark.case("A07")
def test_exchange(pair: Pair) -> None:
    """Where an exchange fails, both stay as they were, and nothing is left in staging."""
    server = pair.server()
    build(pair.source, {"file": "f", "directory/": None, "left": "1", "right": "2"})
    first, old = pair.once(), look(pair.replica)
    (pair.source / "file").unlink()
    (pair.source / "directory").rmdir()
    (pair.source / "left").rename(pair.source / "aside")
    (pair.source / "right").rename(pair.source / "left")
    (pair.source / "aside").rename(pair.source / "right")
    build(pair.source, {"file/inside": "f", "directory": "now a file"})
    with traced(server.pid, pair.place / "log", fail("renameat2", "EIO", "1+")):
        failed = pair.once("--json")
        until(lambda: not list(pair.place.glob(".*staging")), "staging to be left")
    wrong = neither(look(pair.replica), old, look(pair.source))
    again = pair.once()

    assert (0, 4, 0) == (first.code, failed.code, again.code)
    assert {"file": "storage", "directory": "storage"}.items() <= problems(failed).items()
    assert [] == wrong
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.needs("strace")
@pytest.mark.case("A17")
@pytest.mark.parametrize("error", ["ENOSYS", "EINVAL"])
def test_nothing_can_exchange(pair: Pair, error: str) -> None:
    """On a file system that cannot exchange two names, a directory and a file take each other's place all the same."""
    server = pair.server()
    build(pair.source, {"file": "f", "directory/": None})
    first = pair.once()
    (pair.source / "file").unlink()
    (pair.source / "directory").rmdir()
    build(pair.source, {"file/inside": "f", "directory": "now a file"})
    with traced(server.pid, pair.place / "log", fail("renameat2", error, "1+")):
        second = pair.once()

    assert (0, 0) == (first.code, second.code)
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.needs("fuse")
class TestWriting:
    """What can go wrong with bytes on their way to the disk."""

    @pytest.mark.case("B01", "B03")
    @pytest.mark.parametrize(
        "error, limit", [("ENOSPC", 0), ("EDQUOT", 1), ("EFBIG", 65_536), ("EIO", 200_000), ("ENOSPC", 299_999)]
    )
    def test_error_at_a_byte(self, disk: FaultyFs, pair: Pair, error: str, limit: int) -> None:
        """Where the disk takes no more, that path is a Problem and keeps its old version; the next sync brings it."""
        replica = disk.path / "replica"
        pair.server(root=replica)
        build(pair.source, {"large": "old", "small": ""})
        first = pair.once()
        build(pair.source, {"large": File(LARGE), "empty": ""})
        disk.set(Faults(error=error, write_limit=limit))
        failed = pair.once("--json")
        kept = (replica / "large").read_text()
        disk.set(Faults())
        again = pair.once()

        assert (0, 4, 0) == (first.code, failed.code, again.code)
        assert {"large": "storage"} == problems(failed)
        assert "old" == kept
        assert {"large", "small", "empty"} == set(look(replica))
        assert [] == differences(pair.source, replica)

    @pytest.mark.case("A08")
    @pytest.mark.parametrize("step", [1, 4095])
    def test_short_writes(self, disk: FaultyFs, pair: Pair, step: int) -> None:
        """A disk that takes less than it is given gets the rest until it has all."""
        disk.set(Faults(short=step))
        pair.server(root=disk.path / "replica")
        build(pair.source, {"large": File(LARGE[:70_000]), "small": "some text"})
        result = pair.once()

        assert 0 == result.code
        assert [] == differences(pair.source, disk.path / "replica")

    @pytest.mark.case("A09")
    @pytest.mark.parametrize("size, dropped_after", [(100, 0), (70_000, 0), (2 * MIB, MIB // 2)])
    def test_lying_write(self, disk: FaultyFs, pair: Pair, size: int, dropped_after: int) -> None:
        """A disk that says that it wrote what it did not is found out before the file is published."""
        replica = disk.path / "replica"
        pair.server(root=replica)
        build(pair.source, {"f": "old"})
        first = pair.once()
        build(pair.source, {"f": File(random_bytes(size))})
        disk.set(Faults(dropped_after=dropped_after))
        failed = pair.once("--json")
        kept = (replica / "f").read_text()
        disk.set(Faults())
        again = pair.once()

        assert (0, 4, 0) == (first.code, failed.code, again.code)
        assert {"f": "storage"} == problems(failed)
        assert "old" == kept
        assert [] == differences(pair.source, replica)


@pytest.mark.case("B03")
def test_largest_file(pair: Pair) -> None:
    """A file larger than the process may write is a Problem; the others go on."""
    pair.server(prefix=["prlimit", f"--fsize={MIB}"])
    build(pair.source, {"large": File(random_bytes(MIB + 1)), "small": "x"})
    result = pair.once("--json")

    assert 4 == result.code
    assert {"large": "storage"} == problems(result)
    assert "x" == (pair.replica / "small").read_text()
