"""Two-way sessions at a real server: reports of what others change, content in ranges, and their ends."""

import hashlib
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dirsync.limits import KIB, LIMITS, MIB
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.http2 import Peer
from tests.support.peers.operations import batch, commit, digest, file, make_directory, put, seen
from tests.support.peers.serving import faultless
from tests.support.peers.two_way import Watch, open_two_way, opening, read, reading, two_way
from tests.support.peers.wire import OK, REPLICA, SYNC, Wire
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

CONTENT = random_bytes(3 * MIB + 17)


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    """A second peer."""
    with Wire(server.address) as wire:
        yield wire


def name(prefix: str) -> bytes:
    """A name that no other test uses."""
    return prefix.encode() + os.urandom(4).hex().encode()


def test_commits_of_others(tmp_path: Path) -> None:
    """What one session commits is reported to the other at once, with what is there, and to itself without paths."""
    with (
        faultless(tmp_path) as server,
        Wire(server.address) as wire,
        Wire(server.address) as other,
        two_way(wire, "ann") as ann,
        two_way(other, "bob") as bob,
        Watch(wire, ann) as mine,
        Watch(other, bob) as theirs,
    ):
        firsts = [mine.first, theirs.first]
        push, directory = wire.push(ann), name("d")
        answer = push.send(
            batch(make_directory(1, directory), put(2, directory + b"/f", b"content")), commit()
        ).receive()
        reported, told = theirs.next(), mine.next()
        push.finish()

        assert [(0, False, True)] * 2 == [(len(one.changes), one.everything, one.last) for one in firsts]
        assert [directory, directory + b"/f"] == [change.path for change in reported.changes]
        assert digest(b"content") == reported.changes[1].entry.digest
        assert {answer.root_digest} == {reported.root_digest, told.root_digest}
        assert {answer.entries} == {reported.entries, told.entries}
        assert 0 == len(told.changes)


def test_reports_are_quick(wire: Wire, other: Wire) -> None:
    """A report is no slower than the answer to the commit, by and large: nothing waits for a clock."""
    reports, answers = [], []
    with two_way(wire, "ann") as ann, two_way(other, "bob") as bob, Watch(other, bob) as watch:
        push, prefix = wire.push(ann), name("quick")
        for number in range(1, 31):
            path = prefix + b"%d" % number
            started = time.perf_counter()
            push.send(batch(put(number, path, b"x")), commit()).receive()
            answers.append(time.perf_counter() - started)
            reports.append(watch.wait_for(path).at - started)
        push.finish()

    assert statistics.median(reports) < 5 * statistics.median(answers)


def test_edits_by_hand(server: Server, wire: Wire, other: Wire) -> None:
    """Who edits the replica's files by hand is noticed by all sessions; the reports agree with a listing."""
    before = server.metrics().value("dirsync_replica_edits_total")
    with (
        two_way(wire, "ann") as ann,
        two_way(other, "bob") as bob,
        Watch(wire, ann) as mine,
        Watch(other, bob) as theirs,
    ):
        watches = (mine, theirs)
        path = name("hand")
        (server.root / path.decode()).write_bytes(b"by hand")
        found = [watch.wait_for(path).page for watch in watches]
        (listing,) = wire.list(ann, b"").as_messages(pb.ListDirectoriesResponse)
        listed = {child.name: child.entry for child in listing.children}
        (server.root / path.decode()).unlink()
        gone = [watch.wait_for(path).page for watch in watches]

        assert {digest(b"by hand")} == {
            change.entry.digest for page in found for change in page.changes if change.path == path
        }
        assert [listed[path]] * 2 == [change.entry for page in found for change in page.changes if change.path == path]
        assert [False] * 2 == [
            change.HasField("entry") for page in gone for change in page.changes if change.path == path
        ]
        assert before < server.metrics().value("dirsync_replica_edits_total")
        assert 0 < server.metrics().value("dirsync_watches")
        assert 2 == server.metrics().value("dirsync_two_way_sessions")


def test_commits_are_no_edits(server: Server, wire: Wire) -> None:
    """What clients commit is not taken for an edit by hand."""
    with two_way(wire, "ann") as ann, Watch(wire, ann) as watch:
        edited = name("edited")
        (server.root / edited.decode()).write_bytes(b"x")
        watch.wait_for(edited)  # so the watch has begun
        before = server.metrics().value("dirsync_replica_edits_total")
        push, directory = wire.push(ann), name("many")
        puts = [put(number, directory + b"/%d" % number, b"x") for number in range(2, 500)]
        push.send(batch(make_directory(1, directory), *puts), commit()).receive()
        push.finish()
        (server.root / edited.decode()).unlink()
        watch.wait_for(edited)

        assert before + 1 == server.metrics().value("dirsync_replica_edits_total")


def test_many_changes(wire: Wire, other: Wire) -> None:
    """As many changes as fit are reported one by one; of more it is said that everything may be different."""
    with two_way(wire, "ann") as ann, two_way(other, "bob") as bob:
        push, directory = wire.push(ann), name("flood")
        push.send(batch(make_directory(1, directory)), commit()).receive()
        with Watch(other, bob) as watch:
            number = 2
            for _ in range(2):
                puts = [put(number + at, directory + b"/%d" % (number + at), b"") for at in range(2000)]
                push.send(batch(*puts), commit()).receive()
                number += 2000
            names: set[bytes] = set()
            while len(names) < 4000:
                page = watch.next()
                names |= {change.path for change in page.changes}

                assert not page.everything
        push.finish()


def test_other_sessions(server: Server, wire: Wire, other: Wire) -> None:
    """Mirror and two-way sessions exclude each other, and so do other options; the refusals say what to do."""
    with two_way(wire, "ann", ignore=[b"*.o"]):
        mirror = other.call(SYNC + "OpenSession", opening("bob", two_way=False)).status
        options = other.call(SYNC + "OpenSession", opening("bob", ignore=[b"*.tmp"])).status
        with two_way(other, "bob", ignore=[b"*.o"]):
            request = rpb.ReplicaServiceGetStatusRequest(namespace="default")
            status = wire.ask(REPLICA + "GetStatus", request, rpb.ReplicaServiceGetStatusResponse)
    session = wire.open_session(client_id="eve")
    both = other.call(SYNC + "OpenSession", opening("bob")).status
    wire.close_session(session.session_id)

    assert ("FAILED_PRECONDITION", "REPLICA_BUSY", "dirsync") == mirror[:3]
    assert "'ann'" in mirror.message
    assert "MODE=two-way" in mirror.message
    assert ("FAILED_PRECONDITION", "OPTIONS_DIFFER", "dirsync") == options[:3]
    assert "'*.tmp' only here" in options.message
    assert (["bob", "ann"], "bob", pb.SESSION_MODE_TWO_WAY) == (list(status.writers), status.writer, status.mode)
    assert ("FAILED_PRECONDITION", "REPLICA_BUSY") == both[:2]
    assert "'eve'" in both.message
    server.log.wait_for("session.opened", client="bob", mode="two-way")


def test_nothing_is_overwritten_unseen(server: Server, wire: Wire, other: Wire) -> None:
    """Two sessions that put the same file: the second is told what is there, and both end with one digest."""
    with two_way(wire, "ann") as ann, two_way(other, "bob") as bob:
        mine, theirs, path = wire.push(ann), other.push(bob), name("same")
        first = mine.send(batch(put(1, path, b"ann")), commit()).receive()
        second = theirs.send(batch(put(1, path, b"bob")), commit()).receive()
        third = theirs.send(batch(put(2, path, b"bob", seen(file(b"ann")))), commit()).receive()
        mine.finish()
        theirs.finish()

        assert [] == list(first.failures)
        assert [digest(b"ann")] == [failure.current.digest for failure in second.failures]
        assert first.root_digest == second.root_digest
        assert [] == list(third.failures)
        assert b"bob" == (server.root / path.decode()).read_bytes()


def test_content(server: Server, wire: Wire) -> None:
    """Content comes whole, in ranges, and where it was cut; what is not there any more is not found."""
    path = name("content")
    content, before = CONTENT + path, server.metrics().value("dirsync_content_sent_bytes_total")
    (server.root / path.decode()).write_bytes(content)
    with two_way(wire, "ann") as ann, Watch(wire, ann):
        until(lambda: read(wire, reading(ann, digest(content), (0, 1)))[1] == OK, "the content")
        whole = read(wire, reading(ann, digest(content), path=path))
        parts = read(wire, reading(ann, digest(content), (1, 2), (MIB, 4096), (len(content) - 1, 1)))
        rest = read(wire, reading(ann, digest(content), (2 * MIB, len(content) - 2 * MIB)))
        (server.root / path.decode()).unlink()
        gone = read(wire, reading(ann, digest(content), path=path))

        assert (content, OK) == whole
        assert (content[1:3] + content[MIB : MIB + 4096] + content[-1:], OK) == parts
        assert (content[2 * MIB :], OK) == rest
        assert (b"", "NOT_FOUND", "CONTENT_NOT_FOUND") == (gone[0], *gone[1][:2])
        assert before + len(content) < server.metrics().value("dirsync_content_sent_bytes_total")


def test_streams_end_with_their_session(wire: Wire, other: Wire) -> None:
    """The streams of a session that is superseded or closed end; the others' go on."""
    with (
        two_way(wire, "ann") as ann,
        two_way(other, "bob") as bob,
        Watch(wire, ann) as old,
        Watch(other, bob) as theirs,
    ):
        newer = open_two_way(wire, "ann")
        superseded = old.status()
        late = wire.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=ann)).status
        with Watch(wire, newer) as watch:
            wire.close_session(newer)
            closed = watch.status()

        assert ["CANCELLED"] * 2 == [superseded.code, closed.code]
        assert ("ABORTED", "SESSION_SUPERSEDED") == late[:2]
        assert theirs.nothing()


def test_one_stream_of_reports(wire: Wire) -> None:
    """A session has one stream of reports, and a mirror session none."""
    with two_way(wire, "ann") as ann, Watch(wire, ann):
        second = wire.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=ann)).status
    session_id = wire.open_session().session_id
    mirror = wire.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=session_id)).status
    reads = read(wire, reading(session_id, digest(b"x")))[1]
    wire.close_session(session_id)

    assert [("FAILED_PRECONDITION", "OUT_OF_TURN")] * 3 == [second[:2], mirror[:2], reads[:2]]


def test_as_many_clients_as_may_be(server: Server) -> None:
    """All two-way clients that may be there are served together with one credential, and one more is told why not."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.address)) for _ in range(LIMITS.max_two_way_sessions)]
        sessions = [stack.enter_context(two_way(wire, f"client {number}")) for number, wire in enumerate(wires)]
        watches = [stack.enter_context(Watch(wire, one)) for wire, one in zip(wires, sessions, strict=True)]
        pushes = [wire.push(one) for wire, one in zip(wires, sessions, strict=True)]
        prefix = name("each")
        content = CONTENT + prefix
        for number, push in enumerate(pushes):
            push.send(batch(put(1, prefix + b"%d" % number, b"x")), commit()).receive()
        for watch in watches[1:]:
            watch.wait_for(prefix + b"0")
        (server.root / (prefix + b"hand").decode()).write_bytes(content)
        for watch in watches:
            watch.wait_for(prefix + b"hand")
        contents = [read(wire, reading(one, digest(content))) for wire, one in zip(wires, sessions, strict=True)]
        with Wire(server.address) as wire:
            refused = wire.call(SYNC + "OpenSession", opening("one more")).status
        for push in pushes:
            push.finish()

    assert [(content, OK)] * len(wires) == contents
    assert ("RESOURCE_EXHAUSTED", "MAX_TWO_WAY_SESSIONS") == refused[:2]


def test_nothing_leaks(server: Server) -> None:
    """A hundred clients that come, watch, read and go in every way leave no thread, descriptor or session behind."""
    (server.root / "leak").write_bytes(CONTENT[: 64 * KIB])
    expected = hashlib.sha256(CONTENT[: 64 * KIB]).digest()

    def come_and_go(number: int) -> None:
        with Wire(server.address) as wire:
            session = open_two_way(wire, f"client {number % 3}")
            with Watch(wire, session):
                until(lambda: read(wire, reading(session, expected, (0, 10)))[1] == OK, "the content")
                if number % 2:
                    wire.close_session(session)

    for number in range(10):
        come_and_go(number)

    def held() -> tuple[int, int]:
        return server.threads(), len(os.listdir(f"/proc/{server.pid}/fd"))

    before = held()
    for number in range(100):
        come_and_go(number)

    until(lambda: all(now <= then + 2 for now, then in zip(held(), before, strict=True)), f"{held()} like {before}")
    with Wire(server.address) as wire:
        for number in range(3):
            wire.close_session(open_two_way(wire, f"client {number}"))
    (server.root / "leak").unlink()


def test_shutdown(tmp_path: Path) -> None:
    """A server that stops ends the streams, and does not wait for those who take nothing; it ends well and at once."""
    pair = Pair(tmp_path / "pair")
    pair.replica.mkdir()
    (pair.replica / "f").write_bytes(CONTENT)
    server = pair.server(min_free_bytes=0, shutdown_grace="30s")
    with (
        Wire(server.address) as wire,
        Wire(server.address) as other,
        Peer(server.address, window=0) as deaf,
        two_way(wire, "ann") as ann,
        Watch(wire, ann) as watch,
    ):
        bob = open_two_way(other, "bob")
        request = reading(bob, digest(CONTENT)).SerializeToString()
        calls = {
            deaf.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=bob).SerializeToString()),
            deaf.call(SYNC + "ReadContent", request),
        }
        until(lambda: server.metrics().value("dirsync_content_sent_bytes_total"), "a read")
        started = time.monotonic()
        server.stop()
        took = time.monotonic() - started

        assert watch.status().code in ("CANCELLED", "UNAVAILABLE")
        assert calls
        assert took < 15
    wrong = pair.end()

    assert wrong == []
