"""Floods: a peer that sends or opens too much is refused or cut off, at a known cost, and others are served meanwhile.

What asks in a test's stead while the flood goes on comes from another address of loopback than the flood: who shows no
credentials shares with all others on its network.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.peers.http2 import (
    END_HEADERS,
    END_STREAM,
    Kind,
    Peer,
    field,
    frame,
    message,
    request_fields,
    settings,
)
from tests.support.peers.operations import begin, commit, data
from tests.support.peers.wire import OK, REPLICA, SYNC, Status, Wire
from tests.support.running.figures import cpu_seconds
from tests.support.running.limited import limited
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import build

ELSEWHERE = "127.0.0.2"
STATUS = REPLICA + "GetStatus"
ASKED = rpb.ReplicaServiceGetStatusRequest(namespace="default")
LIMITS = {
    "handshake_seconds": 1,
    "connection_idle_seconds": 1,
    "keepalive_seconds": 1,
    "keepalive_timeout_seconds": 1,
}
CONNECTIONS, STREAMS = 40, 100
SHARE = 16
"""Calls that one network may have in flight, or all callers of the health service."""
THREADS = 105
"""Threads of one namespace: two shares of calls, two of calls that watch or read a replica (24 each), those for health,
eight more, and the one that watches for stalled calls."""
FLAT_KIB = 64 * 1024
MIB = 1 << 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A server that closes idle connections soon, and a source for it."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    build(pair.source, {"a": "a", "d/b": "b"})
    yield pair
    wrong = pair.end()

    assert wrong == []


@pytest.fixture(scope="module")
def server(pair: Pair) -> Server:
    """The pair's server."""
    return pair.server(prefix=limited(**LIMITS), min_free_bytes=0)


def descriptors(server: Server) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def peak_kib(server: Server) -> int:
    """The most memory that it has had, in KiB."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@contextmanager
def asking(server: Server) -> Iterator[list[Status]]:
    """A caller that makes one call after the other. Returns how each of them ended."""
    statuses: list[Status] = []
    stop = threading.Event()

    def ask(wire: Wire) -> None:
        while not stop.is_set():
            statuses.append(wire.call(STATUS, ASKED).status)

    with Wire(server.address) as wire:
        thread = threading.Thread(target=ask, args=(wire,))
        thread.start()
        try:
            until(lambda: statuses, "a first answer")
            yield statuses
            seen = len(statuses)
            until(lambda: len(statuses) > seen + 1, "an answer after the flood")
        finally:
            stop.set()
            thread.join()


@pytest.mark.case("I16")
def test_connections(pair: Pair, server: Server) -> None:
    """Of 500 connections some are closed at once, the others soon, and a client that comes meanwhile is served."""
    before = descriptors(server)
    host, _, port = server.address.rpartition(":")
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(100)]
        peers = [stack.enter_context(Peer(server.address)) for _ in range(400)]
        closed = sum(peer.closed.is_set() for peer in peers)
        result = pair.once()

        assert len(silent) + closed > 0
        assert 0 == result.code
    until(lambda: descriptors(server) <= before, "the descriptors of before")


@pytest.mark.case("I16")
@pytest.mark.parametrize("method", [STATUS, SYNC + "PushChanges", "/grpc.health.v1.Health/Watch"])
def test_calls(server: Server, method: str) -> None:
    """However many calls one network opens, all above its share are refused at once, and others are answered."""
    before = server.threads()
    with ExitStack() as stack, asking(server) as statuses:
        peers = [stack.enter_context(Peer(server.address, source=ELSEWHERE)) for _ in range(CONNECTIONS)]
        calls = sum(len({peer.headers(method) for _ in range(STREAMS)}) for peer in peers)
        until(
            lambda: calls - sum(len(peer.ended) for peer in peers) <= SHARE, "refusals of all but the share", seconds=60
        )

    assert {OK} == set(statuses)
    assert server.threads() - before <= THREADS


FLOOD = 20_000
"""Frames of a flood."""
Flood = Callable[[Peer], Iterator[bytes]]


def rapid_reset(peer: Peer) -> Iterator[bytes]:
    """Calls that are taken back at once (CVE-2023-44487)."""
    fields = request_fields(STATUS)
    for stream in (peer.next_stream() for _ in range(FLOOD)):
        yield frame(Kind.HEADERS, fields, flags=END_HEADERS, stream=stream)
        yield frame(Kind.RST_STREAM, bytes((0, 0, 0, 8)), stream=stream)


def whole_calls(peer: Peer) -> Iterator[bytes]:
    """Whole calls, all of them at once."""
    fields, asked = request_fields(STATUS), message(ASKED.SerializeToString())
    for stream in (peer.next_stream() for _ in range(FLOOD // 10)):
        yield frame(Kind.HEADERS, fields, flags=END_HEADERS, stream=stream)
        yield frame(Kind.DATA, asked, flags=END_STREAM, stream=stream)


def pings(_peer: Peer) -> Iterator[bytes]:
    """PING (CVE-2019-9512)."""
    yield from (frame(Kind.PING, bytes(8)) for _ in range(FLOOD))


def many_settings(_peer: Peer) -> Iterator[bytes]:
    """SETTINGS (CVE-2019-9515)."""
    yield from (settings({4: 65_535}) for _ in range(FLOOD))


def continuations(peer: Peer) -> Iterator[bytes]:
    """Headers without an end (CVE-2024-27316)."""
    stream = peer.next_stream()
    yield frame(Kind.HEADERS, request_fields(STATUS), stream=stream)
    for number in range(FLOOD):
        yield frame(Kind.CONTINUATION, field(b"x-%d" % number, bytes(1000)), stream=stream)


def empty_continuations(peer: Peer) -> Iterator[bytes]:
    """The same without anything in it (CVE-2019-9518)."""
    stream = peer.next_stream()
    yield frame(Kind.HEADERS, request_fields(STATUS), stream=stream)
    yield from (frame(Kind.CONTINUATION, stream=stream) for _ in range(FLOOD))


def empty_data(peer: Peer) -> Iterator[bytes]:
    """A request that consists of nothing, again and again (CVE-2019-9518)."""
    stream = peer.headers(SYNC + "PushChanges")
    yield from (frame(Kind.DATA, stream=stream) for _ in range(FLOOD))


def windows(_peer: Peer) -> Iterator[bytes]:
    """WINDOW_UPDATE."""
    yield from (frame(Kind.WINDOW_UPDATE, bytes((0, 0, 0, 1))) for _ in range(FLOOD))


def priorities(_peer: Peer) -> Iterator[bytes]:
    """PRIORITY of streams that there are not (CVE-2019-9513)."""
    yield from (frame(Kind.PRIORITY, bytes(5), stream=2 * number + 1) for number in range(FLOOD))


CUT_OFF = (pings, continuations, empty_continuations, empty_data)
"""Floods that end the call or the connection; the others cost no more than reading them."""
FLOODS = (rapid_reset, whole_calls, many_settings, windows, priorities, *CUT_OFF)


@pytest.mark.case("I17")
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_frames(server: Server, flood: Flood) -> None:
    """A flood of frames of any kind is cut off, or costs little; another caller is served all the time."""
    memory = peak_kib(server)
    with asking(server) as statuses, Peer(server.address, source=ELSEWHERE) as peer:
        computed = cpu_seconds(server.pid)
        frames = flood(peer)
        for _ in count():
            piece = b"".join(raw for raw, _ in zip(frames, range(100), strict=False))
            if not piece or not peer.send(piece):
                break
        if flood in CUT_OFF:
            until(lambda: peer.ended or peer.closed.is_set() or peer.seen[Kind.GOAWAY], "the end of it")
        cost = cpu_seconds(server.pid) - computed

    assert {OK} == set(statuses)
    assert cost < 15
    assert peak_kib(server) - memory < FLAT_KIB


HEADERS = {
    "one of 1 MiB": [("x-large", "x" * MIB)],
    "ten thousand": [(f"x-{number}", "x") for number in range(10_000)],
}


@pytest.mark.case("I27")
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers(server: Server, headers: list[tuple[str, str]]) -> None:
    """Headers above the limit are refused, on any number of calls, and do not stay in memory."""
    memory = peak_kib(server)
    block = request_fields(STATUS, headers)
    with Peer(server.address, source=ELSEWHERE) as peer:
        streams = {peer.next_stream() for _ in range(10)}
        for stream in sorted(streams):
            kinds = [Kind.HEADERS, *[Kind.CONTINUATION] * (len(block) >> 14)]
            for at, kind in enumerate(kinds):
                flags = END_HEADERS if at == len(block) >> 14 else 0
                peer.send(frame(kind, block[at << 14 : (at + 1) << 14], flags=flags, stream=stream))
        until(lambda: streams <= peer.ended or peer.closed.is_set(), "a refusal")
    with Wire(server.address) as wire:
        assert OK == wire.call(STATUS, ASKED).status
    assert peak_kib(server) - memory < FLAT_KIB


@pytest.mark.case("I18")
def test_abandoned_sessions(server: Server) -> None:
    """What abandoned sessions have staged is gone soon, whether the peer broke off or was superseded."""
    before = descriptors(server)
    with ExitStack() as stack:
        for number in range(20):
            wire = stack.enter_context(Wire(server.address))
            push = wire.push(wire.open_session().session_id)
            push.send(commit()).receive()
            push.send(begin(1, b"large-%d" % number, 10 * MIB), *[data(1, bytes(MIB // 2))] * 4)
            if number % 2:
                push.cancel()
        until(lambda: staged(server) < 3 * MIB, "staging without what was superseded")
        memory = peak_kib(server)
    with Wire(server.address) as wire:  # the last one is given up: other tests here have a writer too
        assert OK == wire.close_session(wire.open_session().session_id)
    until(lambda: staged(server) == 0, "empty staging")
    until(lambda: descriptors(server) <= before, "the descriptors of before")

    assert memory < 256 * 1024


def staged(server: Server) -> int:
    """Bytes of all files in and beside the replica, but for the source and what the programs keep of their own."""
    found = 0
    for place in (server.root, *server.root.parent.glob(".*")):
        for directory, _, names in os.walk(place):
            for name in names:
                with suppress(OSError):
                    found += os.stat(os.path.join(directory, name)).st_size if name not in ("a", "b") else 0
    return found
