"""A hostile server against a client that carries changes both ways: what may come of it, and what never."""

import gzip
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import MIB
from dirsync.tree.entry import Entry, directory_entry, symlink_entry
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.security.peers.test_hostile_server import LISTINGS
from tests.support.faults.crashes import untouched
from tests.support.peers.hostile import Say, hostile_server, once, opened
from tests.support.peers.hostile_replica import PRESERVING, HostileReplica, file_of
from tests.support.running.limited import limited
from tests.support.running.programs import Pair, Process, Result
from tests.support.running.waiting import until
from tests.support.trees.trees import build, look

pytestmark = pytest.mark.programs

TWO_WAY: dict[str, Any] = {"mode": "two-way", "delete_settle": "50ms"}
CONTENT = b"what the replica has " * 5000
FILE = {b"new": file_of(CONTENT)}
SETTLED = 40
"""Calls of a method that a client makes of one that never gives it what it needs, at most, until it gives a path up."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A source with some content, beside what no server may touch."""
    pair = Pair(tmp_path / "pair")
    build(pair.source, {"a": "a", "docs/b": "b"})
    build(tmp_path / "outside", {"file": "outside", "d/file": "outside"})
    yield pair
    wrong = pair.end()

    assert wrong == []


def once_against(pair: Pair, answers: dict[str, Say], *prefix: str) -> Result:
    """One sync with a server that answers like this; nothing beside the source may be touched or left by it."""
    outside = pair.place.parent / "outside"
    before, beside = untouched(outside), sorted(path.name for path in pair.place.iterdir())
    with hostile_server(answers) as address:
        result = pair.command("once", prefix=prefix, server=address, **TWO_WAY)

    assert before == untouched(outside)
    assert {"client-state"} >= {path.name for path in pair.place.iterdir()} - set(beside)
    assert not any(".dirsync-staging" in path.name for path in pair.source.rglob("*"))
    return result


EVIL = {name: listing for name, listing in LISTINGS.items() if name not in ("inconsistent", "unknown_kind")}
"""What may change while it is listed is no lie in itself, and what is not known yet is left alone."""


@pytest.mark.case("E01", "I12", "J09")
@pytest.mark.parametrize("listing", EVIL.values(), ids=EVIL)
def test_listing(pair: Pair, listing: list[bytes]) -> None:
    """Names with slashes, `..`, absolute ones and the like come to nothing: not at the source, and not beside it."""
    before, replica = look(pair.source), HostileReplica({})
    result = once_against(pair, replica.answers(ListDirectories=lambda _: listing))

    assert result.code != 0
    assert before == look(pair.source)


REPORTED = {
    "slash": b"a//b",
    "climbs": b"../outside/file",
    "climbs inside": b"docs/../../outside",
    "absolute": b"/etc/passwd",
    "nul": b"a\0b",
    "root": b"",
    "long": b"n" * 256,
}


@pytest.mark.case("E01", "J02")
@pytest.mark.parametrize("path", REPORTED.values(), ids=REPORTED)
def test_reported_path(pair: Pair, path: bytes) -> None:
    """A report of a path that none can be ends the session, and nothing else."""
    change = pb.WatchReplicaResponse.Change(path=path, entry=entry_pb2.Entry(kind=entry_pb2.KIND_DIRECTORY))
    report = pb.WatchReplicaResponse(root_digest=b"d" * 32, changes=[change], last=True)
    before, replica = look(pair.source), HostileReplica({})
    with hostile_server(replica.answers(WatchReplica=once(report))) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY)
        client.wait_for("connection.lost")
        client.stop()

    assert before == look(pair.source)


Pieces = Callable[[pb.ReadContentRequest], Iterable[pb.ReadContentResponse | bytes]]
Piece = pb.ReadContentResponse


def endless(_: pb.ReadContentRequest) -> Iterator[pb.ReadContentResponse]:
    """More than was announced, for ever."""
    at = 0
    while True:
        yield Piece(offset=at, literal=bytes(64 * 1024))
        at += 64 * 1024


def bomb(size: int) -> pb.PushChangesRequest.Compressed:
    """Few bytes that become many."""
    return pb.PushChangesRequest.Compressed(
        compression=entry_pb2.COMPRESSION_GZIP, size=size, payload=gzip.compress(bytes(64 * MIB))
    )


LIES: dict[str, Pieces] = {
    "other bytes": lambda _: [Piece(offset=0, literal=b"x" * len(CONTENT))],
    "nothing": lambda _: [],
    "too little": lambda _: [Piece(offset=0, literal=CONTENT[:-1])],
    "too much": lambda _: [Piece(offset=0, literal=CONTENT), Piece(offset=len(CONTENT), literal=b"x")],
    "another place": lambda _: [Piece(offset=7, literal=CONTENT)],
    "backwards": lambda _: [Piece(offset=5, literal=CONTENT[5:]), Piece(offset=0, literal=CONTENT[:5])],
    "twice": lambda _: [Piece(offset=0, literal=CONTENT)] * 2,
    "empty pieces": lambda _: [Piece(offset=0, literal=b"")] * 1000,
    "endless": endless,
    "zeros without end": lambda _: [Piece(offset=0, zeros=(1 << 63) - 1)],
    "a bomb": lambda _: [Piece(offset=0, compressed=bomb(len(CONTENT)))],
    "a bomb that says so": lambda _: [Piece(offset=0, compressed=bomb(1 << 40))],
    "no message": lambda _: [b"\xff\xff\xff"],
}


@pytest.mark.case("I05", "I09", "J01", "J06")
@pytest.mark.parametrize("lie", LIES)
def test_content(pair: Pair, lie: str) -> None:
    """Content that is not what its digest names is never published; it is asked for a few times, and told."""
    replica = HostileReplica(FILE, CONTENT)
    replica.read = LIES[lie]
    result = once_against(pair, replica.answers())
    found = look(pair.source)

    assert ("new" in found) == (result.code == 0)
    assert "new" not in found or CONTENT == (pair.source / "new").read_bytes()
    assert {"a", "docs", "docs/b"} == found.keys() - {"new"}
    assert 1 <= replica.calls["ReadContent"] <= SETTLED


@pytest.mark.case("I02", "B01")
def test_memory(pair: Pair) -> None:
    """What grows without end on its way takes no memory: a client that may have little of it says what is wrong."""
    replica = HostileReplica(FILE, CONTENT)
    replica.read = LIES["a bomb that says so"]
    once_against(pair, replica.answers())
    replica.read = endless
    result = once_against(pair, replica.answers(), "prlimit", f"--as={1500 * MIB}")

    assert result.code == 4
    assert [{"new"}] == [{event["path"] for event in result.events if event["event"] == "file.problem"}]


ENTRIES: dict[str, Entry] = {
    "larger than any disk": file_of(CONTENT, size=(1 << 63) - 1),
    "another size": file_of(CONTENT, size=len(CONTENT) - 1),
    "never written": file_of(CONTENT, digest=b"\x01" * 32),
}


@pytest.mark.case("I10", "I08")
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_announced(pair: Pair, entry: Entry) -> None:
    """A size that nothing has is refused before anything is written; a digest that is not that of the content too."""
    replica = HostileReplica({b"new": entry}, CONTENT)
    replica.read = lambda _: [Piece(offset=0, literal=CONTENT[: entry.size])]
    result = once_against(pair, replica.answers())

    assert result.code != 0
    assert {"a", "docs", "docs/b"} == look(pair.source).keys()
    assert replica.calls["ReadContent"] == 0 or entry.size <= len(CONTENT)


@pytest.mark.case("I23", "D19", "D05")
def test_metadata(pair: Pair) -> None:
    """Of a mode the permission bits are taken, never setuid, setgid or sticky; of a time what there can be."""
    has = {
        b"mode": file_of(CONTENT, mode=0o7777),
        b"directory": directory_entry(0o777)._replace(mode=0o7777),
        b"time": file_of(CONTENT, mtime_ns=(1 << 63) - 1),
        b"before": file_of(CONTENT, mtime_ns=-(1 << 63)),
    }
    replica = HostileReplica(has, CONTENT)
    once_against(pair, replica.answers())

    modes = {path.name: path.lstat().st_mode & 0o7777 for path in pair.source.iterdir()}
    assert {"mode": 0o777, "directory": 0o777}.items() <= modes.items()
    assert all(path.lstat().st_uid == pair.source.stat().st_uid for path in pair.source.iterdir())


@pytest.mark.case("I23")
@pytest.mark.parametrize("kind", [4, 9, 255])
def test_kinds(pair: Pair, kind: int) -> None:
    """Devices, pipes and whatever else there may be are never made; the rest of the listing is taken."""
    child = pb.ListDirectoriesResponse.Child(name=b"device", entry=entry_pb2.Entry(kind=kind))  # type: ignore[arg-type]
    page = pb.ListDirectoriesResponse(directory=0, children=[child], last=True).SerializeToString()
    before = look(pair.source)
    once_against(pair, HostileReplica({}).answers(ListDirectories=lambda _: [page]))

    assert before == look(pair.source)


@pytest.mark.case("I21", "J03")
def test_through_a_link(pair: Pair) -> None:
    """A link that it has the client make is made, and nothing is ever made, removed or read through it."""
    outside = pair.place.parent / "outside"
    links = {b"p": symlink_entry(b"../../outside"), b"docs": symlink_entry(str(outside).encode())}
    through: dict[bytes, Entry] = {
        b"p/file": file_of(CONTENT),
        b"p/d": symlink_entry(b"x"),
        b"p/new/deep": file_of(CONTENT),
        b"docs/file": file_of(b"other", mode=0o600),
    }
    before, replica = untouched(outside), HostileReplica(links, CONTENT, b"other")
    with hostile_server(replica.answers()) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY, guard_max_delete_percent=100)
        until((pair.source / "p").is_symlink, "the link")
        replica.become({**links, b"p": directory_entry(0o755), **{k: v for k, v in through.items() if k[:1] == b"p"}})
        until((pair.source / "p/new/deep").exists, "what was to be in the directory")
        replica.become(through)
        until((pair.source / "docs/file").exists, "what was to be in the other one")
        replica.become({b"p": symlink_entry(b"../../outside"), b"docs": symlink_entry(b"../../outside")})
        until((pair.source / "p").is_symlink, "the link again")
        replica.become({})
        time.sleep(0.5)
        replica.end()
        client.stop()

    assert before == untouched(outside)


def many(count: int) -> dict[bytes, Entry]:
    """Files with the same content."""
    return {b"f%d" % number: file_of(b"x") for number in range(count)}


@pytest.mark.case("G02", "G06")
@pytest.mark.parametrize("step", [40, 4])
def test_guards(pair: Pair, step: int) -> None:
    """A server whose replica loses most of what it has, at once or little by little, does not have it lost here."""
    replica = HostileReplica({b"a": file_of(b"a"), **many(40)}, b"x", b"a")
    with hostile_server(replica.answers()) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY)
        until(lambda: len(list(pair.source.glob("f*"))) == 40, "all files")
        client.wait_for("sync.completed")
        for left in range(40 - step, -1, -step):
            replica.become({b"a": file_of(b"a"), **many(left)})
            time.sleep(0.25 if step < 40 else 0)
        held = client.wait_for("guard.held")
        replica.end()
        client.stop()

    assert "of the source would be removed" in held["problem"]
    assert len(list(pair.source.glob("f*"))) >= 20


@pytest.mark.case("G02")
def test_guard_of_kinds(pair: Pair) -> None:
    """A file in the place of a directory removes what is in that: the guards judge it as well."""
    inside = {b"d/" + path: entry for path, entry in many(40).items()}
    replica = HostileReplica(inside, b"x")
    with hostile_server(replica.answers()) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY)
        until(lambda: len(list(pair.source.glob("d/f*"))) == 40, "all files")
        client.wait_for("sync.completed")
        replica.become({b"d": file_of(b"x")})
        client.wait_for("guard.held")
        replica.end()
        client.stop()

    assert 40 == len(list(pair.source.glob("d/f*")))


def resident(process: Process) -> int:
    """The memory of a program, in bytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reports(pages: Callable[[int], pb.WatchReplicaResponse], count: int) -> Say:
    """So many reports as fast as they are taken."""
    return lambda _: (pages(number).SerializeToString() for number in range(count))


def changed(number: int) -> pb.WatchReplicaResponse:
    """Something changes all the time."""
    return pb.WatchReplicaResponse(root_digest=number.to_bytes(32), everything=True, last=True)


def paged(number: int) -> pb.WatchReplicaResponse:
    """One report in pages without end."""
    change = pb.WatchReplicaResponse.Change(path=b"%09d" % number)
    return pb.WatchReplicaResponse(root_digest=bytes(32), changes=[change], last=False)


@pytest.mark.case("J05", "J06", "B12")
def test_floods_of_reports(pair: Pair) -> None:
    """However many reports come, the replica is listed now and then; memory stays, and the client does its work."""
    replica = HostileReplica({})
    with hostile_server(replica.answers(WatchReplica=reports(changed, 200_000))) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY)
        client.wait_for("session.opened")
        until(lambda: replica.calls["ListDirectories"] > 5, "listings")
        before = resident(client)
        since, listed = time.monotonic(), replica.calls["ListDirectories"]
        time.sleep(3)
        listed = replica.calls["ListDirectories"] - listed
        elapsed = time.monotonic() - since
        grown = resident(client) - before
        client.stop()

    assert listed <= 50 * elapsed * 3, "a listing takes at most a call for each of three levels"
    assert grown < 24 * MIB


@pytest.mark.case("J05", "J09")
def test_a_report_without_end(pair: Pair) -> None:
    """A report that goes on for ever ends the session by the limit's name."""
    replica = HostileReplica({})
    with hostile_server(replica.answers(WatchReplica=reports(paged, 1 << 40))) as address:
        client = pair.client(synced=False, server=address, **TWO_WAY)
        lost = client.wait_for("connection.lost")
        client.stop()

    assert "changes at once" in lost["problem"]


@pytest.mark.case("J05")
def test_never_answers(pair: Pair) -> None:
    """A server that sends no content ends that call after its deadline; small files do not wait for large ones."""
    large = b"x" * MIB
    replica = HostileReplica({b"large": file_of(large), b"new": file_of(CONTENT[:1000])}, large, CONTENT[:1000])
    honest = replica.read

    def read(request: pb.ReadContentRequest) -> Iterable[pb.ReadContentResponse | bytes]:
        if request.path == b"large":
            time.sleep(3600 if replica.calls["ReadContent"] < 3 else 0)
        return honest(request)

    replica.read = read
    with hostile_server(replica.answers()) as address:
        client = pair.client(synced=False, server=address, prefix=limited(content_seconds=2), **TWO_WAY)
        until((pair.source / "new").exists, "the small one")
        until((pair.source / "large").exists, "the large one, asked for again", seconds=30)
        replica.end()
        client.stop()

    assert large == (pair.source / "large").read_bytes()


@pytest.mark.case("J04")
def test_false_acknowledgements(pair: Pair) -> None:
    """A server that says it has what it has not is found out by the next listing, and the guards hold."""
    build(pair.source, {f"f{number}": "x" for number in range(20)})
    before, replica = look(pair.source), HostileReplica({})
    replica.takes = False
    results = [once_against(pair, replica.answers()) for _ in range(2)]
    paths = {operation.path for message in replica.pushed for operation in message.batch.operations}

    assert b"a" in paths
    assert 3 == results[1].code
    assert before == look(pair.source)


@pytest.mark.case("J07")
def test_another_mode(pair: Pair) -> None:
    """A server that opens a session of another mode than was asked for gets nothing, and has nothing written."""
    replica, before = HostileReplica(FILE, CONTENT), look(pair.source)
    result = once_against(
        pair, replica.answers(OpenSession=once(opened(options=PRESERVING, mode=pb.SESSION_MODE_UNSPECIFIED)))
    )

    assert 2 == result.code
    assert any("MODE=two-way" in line for line in result.messages)
    assert (before, []) == (look(pair.source), replica.pushed)


@pytest.mark.case("J09", "I04")
@pytest.mark.parametrize("method", ["ListDirectories", "WatchReplica", "ReadContent", "GetSignature"])
def test_garbage(pair: Pair, method: str) -> None:
    """Whatever bytes it answers with, the client says so, goes on, and its source is as it was."""
    chance = random.Random(method)

    def garbage(_: Iterator[bytes]) -> Iterable[bytes]:
        return [chance.randbytes(chance.randrange(200)) for _ in range(20)]

    if method == "GetSignature":
        build(pair.source, {"new": CONTENT + b"other"})
    before, replica = look(pair.source), HostileReplica(FILE, CONTENT)
    with hostile_server(replica.answers(**{method: garbage})) as address:
        client = pair.client(synced=False, server=address, conflicts="replica", **TWO_WAY)
        until(lambda: replica.calls[method] > 1, "it is asked", seconds=30)
        client.stop()

    assert before.items() <= look(pair.source).items()


@pytest.mark.case("E02", "I28")
def test_names_in_the_log(pair: Pair) -> None:
    """Control bytes in names that it invents are escaped in log, status and page."""
    name = b"line\nbreak\x1b[31m\xff"
    build(pair.source, {"docs/x": "here"})
    replica = HostileReplica({name: file_of(b"x"), b"docs/x": file_of(b"there")}, b"x", b"there")
    result = once_against(pair, replica.answers())

    assert "line\\x0abreak\\x1b[31m\\xff" in {event.get("path") for event in result.events}
    assert b"there" == (pair.source / "docs/x").read_bytes() or any(".conflict-" in p for p in look(pair.source))
