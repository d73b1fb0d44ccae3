"""Peers that are slow on purpose: each of them is cut off, and others do not notice.

The server has small limits here (:mod:`tests.support.running.limited`); which limit it is that ends a peer is shown by
what the server counts.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import pytest
from google.protobuf.message import Message

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.http2 import END_HEADERS, PREFACE, Kind, Peer, frame, message, request_fields
from tests.support.peers.operations import batch, commit, make_directory, put
from tests.support.peers.wire import AGENT, OK, REPLICA, SYNC, Status, Wire, stream_open
from tests.support.running.limited import limited
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import SECONDS, until

pytestmark = pytest.mark.programs

PAUSE = 0.05
"""Between two bytes of a peer that sends one at a time."""
LIMITS = {
    "handshake_seconds": 1,
    "connection_idle_seconds": 2,
    "request_seconds": 1,
    "stalled_response_seconds": 1,
    "keepalive_seconds": 1,
    "keepalive_timeout_seconds": 1,
    "max_calls_per_caller": 12,
}
METHODS = [
    *(SYNC + name for name in ("OpenSession", "ListDirectories", "GetSignature", "PushChanges", "CloseSession")),
    *(SYNC + name for name in ("WatchReplica", "ReadContent")),
    *(REPLICA + name for name in ("GetStatus", "ListEntries", "StatEntry", "VerifyContent")),
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits a second for whatever it waits for."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair.server(prefix=limited(**LIMITS), min_free_bytes=0)
    wrong = pair.end()

    assert wrong == []


@pytest.fixture
def settled(server: Server) -> Iterator[None]:
    """Descriptors and calls are back where they were when the test has ended."""
    before = descriptors(server)
    yield
    until(lambda: descriptors(server) <= before, f"no more than {before} descriptors")


def descriptors(server: Server) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def ended_by_limit(server: Server) -> int:
    """How many calls it has refused or ended because of a limit."""
    return int(server.metrics().value("dirsync_rejected_total", reason="limit"))


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed the connection, having said whatever it said."""
    try:
        while connection.recv(1 << 16, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def dribble(send: Callable[[bytes], object], raw: bytes, ended: Callable[[], bool]) -> None:
    """Send byte by byte, the last one again and again, until that has ended."""
    deadline = time.monotonic() + SECONDS
    for byte in chain(raw, repeat(raw[-1])):
        send(bytes((byte,)))
        if ended():
            return
        assert time.monotonic() < deadline
        time.sleep(PAUSE)


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_silent_connections(server: Server) -> None:
    """A peer that connects and sends nothing, or a part of the preface, or something else, is cut off."""
    host, _, port = server.address.rpartition(":")
    with ExitStack() as stack:
        for greeting in (b"", PREFACE, PREFACE[:9], bytes(5)):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(greeting)
            stack.callback(until, partial(is_closed, connection), f"the end of a connection that said {greeting!r}")


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_greeting_byte_by_byte(server: Server) -> None:
    """The greeting has to be whole in time; that something comes all the time does not help."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:

        def send(raw: bytes) -> None:
            with suppress(OSError):
                connection.sendall(raw)

        dribble(send, PREFACE, lambda: is_closed(connection))


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_headers_byte_by_byte(server: Server) -> None:
    """A connection on which no call has begun is idle, whatever comes on it."""
    fields = request_fields(SYNC + "OpenSession", [("x", "y" * 1000)])
    with Peer(server.address) as peer:
        dribble(peer.send, frame(Kind.HEADERS, fields, flags=END_HEADERS, stream=1), peer.closed.is_set)


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_request_byte_by_byte(server: Server) -> None:
    """A request has to be whole in time."""
    before = ended_by_limit(server)
    with Peer(server.address) as peer:
        stream = peer.headers(SYNC + "OpenSession")
        raw = message(bytes(10_000))
        dribble(
            lambda byte: peer.send(frame(Kind.DATA, byte, stream=stream)),
            raw,
            lambda: stream in peer.ended,
        )

        until(lambda: before + 1 == ended_by_limit(server), "it is counted, once")
        assert not peer.closed.is_set()


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_request_that_does_not_come(server: Server) -> None:
    """A call of any method whose request does not come is ended, by the limit for requests."""
    before = ended_by_limit(server)
    with Peer(server.address) as peer:
        streams = {peer.headers(method) for method in METHODS}
        until(lambda: streams <= peer.ended, "the end of all calls")

        until(lambda: before + len(METHODS) == ended_by_limit(server), "each of them is counted, once")


@pytest.fixture
def content(server: Server) -> pb.OpenSessionResponse:
    """Something in the replica that can be listed, and a session that is the newest one."""
    with Wire(server.address) as wire:
        session = wire.open_session()
        push = wire.push(session.session_id)
        push.send(batch(make_directory(1, b"d"), put(2, b"d/f", b"content")), commit()).receive()

        assert OK == push.finish()[1]
        return session


def questions(session: pb.OpenSessionResponse) -> dict[str, Message]:
    """A request for each method that has something to answer."""
    return {
        SYNC + "ListDirectories": pb.ListDirectoriesRequest(session_id=session.session_id, paths=[b"d"]),
        REPLICA + "GetStatus": rpb.ReplicaServiceGetStatusRequest(namespace="default"),
        REPLICA + "ListEntries": rpb.ListEntriesRequest(namespace="default", recursive=True),
        REPLICA + "StatEntry": rpb.StatEntryRequest(namespace="default", path=b"d/f"),
        REPLICA + "VerifyContent": rpb.VerifyContentRequest(namespace="default"),
    }


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_response_that_is_not_taken(server: Server, content: pb.OpenSessionResponse) -> None:
    """A call whose peer takes no response is ended, whether its response is one message or many."""
    before = ended_by_limit(server)
    with Peer(server.address, window=0) as peer:
        streams = {peer.call(method, asked.SerializeToString()) for method, asked in questions(content).items()}
        pushed = peer.headers(SYNC + "PushChanges")
        for part in (stream_open(content.session_id), commit()):
            peer.send(frame(Kind.DATA, message(part.SerializeToString()), stream=pushed))
        streams |= {peer.call(f"/grpc.health.v1.Health/{name}", b"") for name in ("Check", "Watch")}
        asked = peer.headers("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        peer.send(frame(Kind.DATA, message(b"\x3a\x01*"), stream=asked))
        streams |= {pushed, asked}
        until(lambda: streams <= peer.ended, "the end of all calls")
        # A call is counted just after its peer has been told.
        until(lambda: before + len(streams) == ended_by_limit(server), "each of them is counted, once")


@pytest.mark.case("I15")
@pytest.mark.usefixtures("settled")
def test_connection_that_is_not_read(server: Server, content: pb.OpenSessionResponse) -> None:
    """A peer that reads nothing at all, so that nothing can be sent to it either, is cut off."""
    asked = questions(content)[REPLICA + "ListEntries"].SerializeToString()
    with Peer(server.address, reads=False) as peer:
        peer.call(REPLICA + "ListEntries", asked)
        until(lambda: is_closed(peer.socket), "the end of the connection")


@pytest.mark.case("I15")
def test_patient_peers(server: Server, content: pb.OpenSessionResponse) -> None:
    """A push stream may be silent for longer than any request may take, and so may who watches; they are served on."""
    assert content.session_id
    with Wire(server.address) as wire, Peer(server.address) as slow:
        session = wire.open_session()
        push = wire.push(session.session_id)
        push.send(commit()).receive()
        watching = slow.call("/grpc.health.v1.Health/Watch", b"")
        late = slow.headers(SYNC + "OpenSession")
        until(lambda: late in slow.ended, "the end of a call whose request does not come")
        late = slow.headers(SYNC + "OpenSession")
        until(lambda: late in slow.ended, "the end of another one")
        push.send(commit()).receive()

        assert OK == push.finish()[1]
        assert watching not in slow.ended


@pytest.mark.case("H06", "I15", "I16")
def test_share(server: Server) -> None:
    """One caller's calls above its share are refused at once; when those that hold it are ended, it is served again."""
    request = rpb.ReplicaServiceGetStatusRequest(namespace="default")
    with Peer(server.address) as slow, Wire(server.address) as wire:
        held = {slow.headers(REPLICA + "GetStatus") for _ in range(2 * LIMITS["max_calls_per_caller"])}
        statuses: list[Status] = []

        def is_refused() -> bool:
            statuses.append(wire.call(REPLICA + "GetStatus", request).status)
            return statuses[-1] != OK

        until(is_refused, "a refusal")
        until(lambda: held <= slow.ended, "the end of the calls")

        assert ("RESOURCE_EXHAUSTED", "MAX_CALLS_PER_CALLER") == statuses[-1][:2]
        until(lambda: wire.call(REPLICA + "GetStatus", request).status == OK, "an answer")


@pytest.mark.case("I15")
def test_agent(tmp_path: Path) -> None:
    """A running client's agent cuts off slow peers in the same way."""
    pair = Pair(tmp_path / "pair")
    pair.server()
    client = pair.client(prefix=limited(**LIMITS))
    methods = [AGENT + name for name in ("GetStatus", "SyncNow", "ListProblems", "ApproveHold", "WatchEvents")]
    with Peer(client.address) as silent, Peer(client.address, window=0) as deaf:
        unsaid = {silent.headers(method) for method in methods}
        untaken = {deaf.call(AGENT + name, b"") for name in ("GetStatus", "SyncNow")}
        until(lambda: unsaid <= silent.ended and untaken <= deaf.ended, "the end of all calls")

        assert len(unsaid) + len(untaken) == client.metrics().value("dirsync_rejected_total", reason="limit")
    wrong = pair.end()

    assert wrong == []
