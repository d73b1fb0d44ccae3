"""A hostile two-way client beside an honest one: what it costs the others and the server, and what it learns."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import LIMITS, MIB
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.http2 import Peer
from tests.support.peers.operations import batch, commit, digest, file, make_directory, put, seen
from tests.support.peers.tenants import File
from tests.support.peers.two_way import Watch, open_two_way, opening, read, reading, two_way
from tests.support.peers.wire import OK, SYNC, Wire
from tests.support.running.limited import limited
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

pytestmark = pytest.mark.programs

CONTENT = random_bytes(2 * MIB)
SMALL = {"request_seconds": 1, "stalled_response_seconds": 1, "keepalive_seconds": 1, "keepalive_timeout_seconds": 1}
"""Limits of a server that waits a second for whatever it waits for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nothing long, with a large file, an ignored one, and links out of its replica."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    pair.replica.mkdir()
    (pair.replica / "large").write_bytes(CONTENT)
    (pair.place / "outside").write_bytes(b"of the host")
    (pair.replica / "link").symlink_to("../outside")
    (pair.replica / "key.secret").write_bytes(b"a secret")
    yield pair.server(prefix=limited(**SMALL), min_free_bytes=0)
    wrong = pair.end()

    assert wrong == []


@pytest.fixture
def honest(server: Server) -> Iterator[Wire]:
    """Another client."""
    with Wire(server.address) as wire:
        yield wire


@pytest.fixture
def hostile(server: Server) -> Iterator[Wire]:
    """The client that the tests are about."""
    with Wire(server.address) as wire:
        yield wire


def resident(server: Server) -> int:
    """The memory of the server, in bytes."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.case("I15")
def test_takes_nothing(server: Server, honest: Wire) -> None:
    """Whoever opens the streams and takes nothing from them is cut off; the other one is served all the time."""
    before = server.metrics().value("dirsync_rejected_total", reason="limit")
    with Peer(server.address, window=0) as deaf, Wire(server.address) as wire, two_way(honest, "ann") as ann:
        eve = open_two_way(wire, "eve")
        calls = {
            deaf.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=eve).SerializeToString()),
            deaf.call(SYNC + "ReadContent", reading(eve, digest(CONTENT)).SerializeToString()),
        }
        with Watch(honest, ann):
            until(lambda: calls <= deaf.ended, "the end of the calls")

            assert (CONTENT, OK) == read(honest, reading(ann, digest(CONTENT)))
        wire.close_session(eve)
    until(lambda: before + len(calls) <= server.metrics().value("dirsync_rejected_total", reason="limit"), "they count")


def test_silence_is_no_offence(server: Server, honest: Wire, hostile: Wire) -> None:
    """A stream of reports on which nothing happens for longer than anything may take goes on."""
    with two_way(honest, "ann") as ann, Watch(honest, ann) as watch, Peer(server.address) as slow:
        late = [slow.headers(SYNC + "OpenSession")]
        until(lambda: set(late) <= slow.ended, "the end of a call whose request does not come")
        late.append(slow.headers(SYNC + "OpenSession"))
        until(lambda: set(late) <= slow.ended, "the end of another one")
        with two_way(hostile, "bob") as bob:
            push = hostile.push(bob)
            push.send(batch(put(1, b"after silence", b"x")), commit()).receive()
            push.finish()

        assert b"after silence" in watch.wait_for(b"after silence").paths


def test_floods_of_commits(server: Server, honest: Wire, hostile: Wire) -> None:
    """Tens of thousands of changes cost no more memory than their entries, though a fellow does not read of them."""
    directory, longest = b"flood", b"n" * 200
    with two_way(honest, "ann") as ann, two_way(hostile, "eve") as eve:
        push = hostile.push(eve)
        push.send(batch(make_directory(1, directory)), commit()).receive()
        stub: Any = honest._channel.unary_stream(SYNC + "WatchReplica")
        # The library reads ahead as much as a window, so the server has to hold back what comes after that.
        call = stub(pb.WatchReplicaRequest(session_id=ann).SerializeToString())
        first = pb.WatchReplicaResponse.FromString(next(call))
        before, number = resident(server), 2
        for _ in range(5):
            puts = [put(number + at, b"flood/%06d" % (number + at) + longest, b"") for at in range(2000)]
            push.send(batch(*puts[:1000]), batch(*puts[1000:]), commit()).receive()
            number += 2000
        grown = resident(server) - before
        push.finish()
        call.cancel()

        assert not first.everything
        assert grown < 100 * MIB


def test_many_streams(server: Server, honest: Wire, hostile: Wire) -> None:
    """Streams beyond those of its session are refused; the quota that they take from is not that of other calls."""
    with (
        two_way(honest, "ann") as ann,
        two_way(hostile, "eve") as eve,
        Watch(hostile, eve),
        Peer(server.address) as peer,
    ):
        request = pb.WatchReplicaRequest(session_id=eve)
        second = hostile.call(SYNC + "WatchReplica", request).status
        held = {peer.headers(SYNC + "ReadContent") for _ in range(LIMITS.max_two_way_calls_per_caller)}
        refused = second

        def is_refused() -> bool:
            nonlocal refused
            refused = hostile.call(SYNC + "WatchReplica", request).status
            return refused.code == "RESOURCE_EXHAUSTED"

        until(is_refused, "a refusal")
        listed = honest.list(ann, b"").status
        until(lambda: held <= peer.ended, "the end of calls without a request")

        assert ("FAILED_PRECONDITION", "OUT_OF_TURN") == second[:2]
        assert ("RESOURCE_EXHAUSTED", "MAX_TWO_WAY_CALLS_PER_CALLER") == refused[:2]
        assert OK == listed
        until(lambda: read(honest, reading(ann, digest(CONTENT)))[1] == OK, "an answer")


@pytest.mark.case("J02")
@pytest.mark.parametrize(
    "path, content",
    [
        (b"link", b"of the host"),
        (b"../outside", b"of the host"),
        (b"key.secret", b"a secret"),
        (b"link/../../outside", b"of the host"),
        (b"", b"of the host"),
    ],
)
def test_content_that_is_not_in_the_tree(hostile: Wire, path: bytes, content: bytes) -> None:
    """No path and no digest leads to a file outside, to what a link leads to, or to an ignored file."""
    with two_way(hostile, "eve", ignore=[b"*.secret"]) as eve:
        got, status = read(hostile, reading(eve, digest(content), path=path))

    assert b"" == got
    assert status.reason in ("CONTENT_NOT_FOUND", "INVALID_PATH")


@pytest.mark.parametrize(
    "ranges, reason",
    [
        ([(0, 0)], "INVALID_RANGE"),
        ([(len(CONTENT), 1)], "INVALID_RANGE"),
        ([(0, len(CONTENT) + 1)], "INVALID_RANGE"),
        ([((1 << 64) - 1, 1)], "INVALID_RANGE"),
        ([(0, (1 << 64) - 1)], "INVALID_RANGE"),
        ([(1, 1), (0, 1)], "INVALID_RANGE"),
        ([(0, 2), (1, 2)], "INVALID_RANGE"),
        ([(number * 2, 1) for number in range(LIMITS.max_content_ranges + 1)], "MAX_CONTENT_RANGES"),
    ],
    ids=["empty", "behind", "beyond", "far", "overflow", "order", "overlap", "many"],
)
def test_ranges(hostile: Wire, ranges: list[tuple[int, int]], reason: str) -> None:
    """Ranges that nobody needs are refused before anything is read."""
    with two_way(hostile, "eve") as eve:
        got, status = read(hostile, reading(eve, digest(CONTENT), *ranges))

    assert (b"", reason) == (got, status.reason)


def test_as_many_pieces_as_possible(hostile: Wire) -> None:
    """The most and smallest ranges that may be asked for are answered, byte by byte."""
    ranges = [(number * 2, 1) for number in range(LIMITS.max_content_ranges)]
    with two_way(hostile, "eve") as eve:
        got, status = read(hostile, reading(eve, digest(CONTENT), *ranges))

    assert (CONTENT[: 2 * LIMITS.max_content_ranges : 2], OK) == (got, status)


def test_rewritten_while_it_is_read(server: Server, honest: Wire, hostile: Wire) -> None:
    """A fellow that replaces a file all the time cannot make a reader take a mixture of two versions for one."""
    versions = [bytes([value]) * MIB for value in range(4)]
    stop = threading.Event()

    def rewrite() -> None:
        with two_way(hostile, "eve") as eve:
            push, number, expected = hostile.push(eve), 1, None
            while not stop.is_set():
                content = versions[number % len(versions)]
                precondition = seen(None) if expected is None else seen(file(expected))
                small = content[: 64 * 1024]
                push.send(batch(put(number, b"moving", small, precondition)), commit()).receive()
                expected, number = small, number + 1
            push.finish()

    with two_way(honest, "ann") as ann:
        thread = threading.Thread(target=rewrite)
        thread.start()
        try:
            whole = 0
            for _ in range(200):
                for version in versions:
                    small = version[: 64 * 1024]
                    got, status = read(honest, reading(ann, digest(small), path=b"moving"))

                    assert small.startswith(got)
                    assert (status == OK) is (got == small)
                    assert status == OK or status.reason in ("CONTENT_NOT_FOUND", "CONTENT_CHANGED")

                    whole += status == OK
        finally:
            stop.set()
            thread.join()
    (server.root / "moving").unlink()

    assert whole > 0


def test_session_of_another(honest: Wire, hostile: Wire) -> None:
    """A session id that is guessed, old or of nobody is none."""
    with two_way(honest, "ann") as ann, two_way(hostile, "eve"):
        guessed = bytes(16), ann[::-1], os.urandom(16)
        answers = [
            hostile.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=one)).status for one in guessed
        ]
        answers += [read(hostile, reading(one, digest(CONTENT)))[1] for one in guessed]

        assert {("FAILED_PRECONDITION", "SESSION_UNKNOWN")} == {status[:2] for status in answers}


def test_keeping_others_out(honest: Wire, hostile: Wire) -> None:
    """Neither another mode nor other options take the replica from a client that is there; its commits go on."""
    with two_way(honest, "ann") as ann:
        push = honest.push(ann)
        refused = [
            hostile.call(SYNC + "OpenSession", opening("eve", two_way=False)).status,
            hostile.call(SYNC + "OpenSession", opening("eve", ignore=[b"*"])).status,
        ]
        answer = push.send(batch(put(1, b"still", b"x")), commit()).receive()
        push.finish()

        assert ["REPLICA_BUSY", "OPTIONS_DIFFER"] == [status.reason for status in refused]
        assert [] == list(answer.failures)


@pytest.mark.case("H05", "I19")
def test_another_tenant(tmp_path: Path) -> None:
    """Content and sessions of another tenant do not exist, whoever knows their digests and ids."""
    pair = Pair(tmp_path / "pair")
    tenants = File(pair.place).say("red").say("blue")
    for name in ("red", "blue"):
        (pair.place / name).mkdir()
    (pair.place / "red" / "f").write_bytes(CONTENT)
    server = pair.server(tenants_file=tenants.path, min_free_bytes=0, ready=False)
    for name in ("red", "blue"):
        server.log.wait_for("rescan.completed", namespace=name)
    with ExitStack() as stack:
        red, blue = (stack.enter_context(Wire(server.address, token)) for token in ("red", "blue"))
        mine = stack.enter_context(two_way(red, "ann", namespace="red"))
        theirs = stack.enter_context(two_way(blue, "eve", namespace="blue"))
        watch = stack.enter_context(Watch(blue, theirs))
        known = read(red, reading(mine, digest(CONTENT), path=b"f"))
        foreign = read(blue, reading(theirs, digest(CONTENT), path=b"f"))
        nobodys = read(blue, reading(theirs, hashlib.sha256(b"nobody's").digest(), path=b"f"))
        push = red.push(mine)
        push.send(batch(put(1, b"g", b"x")), commit()).receive()
        push.finish()
        others = [
            blue.call(SYNC + "WatchReplica", pb.WatchReplicaRequest(session_id=mine)).status,
            read(blue, reading(mine, digest(CONTENT)))[1],
        ]

        assert (CONTENT, OK) == known
        assert foreign == nobodys
        assert ("NOT_FOUND", "CONTENT_NOT_FOUND") == foreign[1][:2]
        assert watch.nothing()
        assert ["UNAUTHENTICATED"] * 2 == [status.code for status in others]
    wrong = pair.end()

    assert wrong == []


@pytest.mark.case("K07")
def test_token_that_is_removed(tmp_path: Path) -> None:
    """After its token is removed a client gets no report any more: the stream ends at the next one."""
    pair = Pair(tmp_path / "pair")
    tenants = File(pair.place).say("red", tokens=("red", "other"))
    server = pair.server(tenants_file=tenants.path, min_free_bytes=0, ready=False)
    server.log.wait_for("rescan.completed", namespace="red")
    with Wire(server.address, "red") as leaving, Wire(server.address, "other") as staying:
        session = open_two_way(leaving, "ann", namespace="red")
        with two_way(staying, "bob", namespace="red") as bob, Watch(leaving, session) as watch:
            tenants.say("red", tokens=("other",))
            push = staying.push(bob)
            push.send(batch(put(1, b"g", b"x")), commit()).receive()
            push.finish()
            status = watch.status()

        assert "UNAUTHENTICATED" == status.code
        assert watch.nothing()
    wrong = pair.end()

    assert wrong == []
