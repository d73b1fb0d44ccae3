"""A tenant that is slow, greedy or both, beside one that only wants to be served."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dirsync.limits import LIMITS
from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.peers.http2 import Peer
from tests.support.peers.operations import abort, begin, commit, data
from tests.support.peers.wire import OK, REPLICA, SYNC, Status, Wire
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

pytestmark = pytest.mark.programs

CALLS = 200
FRAME = random_bytes(1 << 19)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the tenants ``red`` and ``blue``, whose names are their tokens."""
    pair = Pair(tmp_path / "pair")
    file = pair.place / "tenants.toml"
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("red", "blue")}
    file.write_text(
        "".join(
            f'[namespaces.{name}]\nroot = "{pair.place / name}"\ntokens_sha256 = ["{digest}"]\n'
            for name, digest in digests.items()
        )
    )
    server = pair.server(tenants_file=file, ready=False, min_free_bytes=0)
    for name in digests:
        server.log.wait_for("rescan.completed", namespace=name)
    yield server
    wrong = pair.end()

    assert wrong == []


def served(wire: Wire, namespace: str) -> tuple[list[float], set[Status]]:
    """How long each of some calls takes, in seconds, and how they end."""
    seconds: list[float] = []
    statuses: set[Status] = set()
    for _ in range(CALLS):
        started = time.monotonic()
        statuses.add(wire.call(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(namespace=namespace)).status)
        seconds.append(time.monotonic() - started)
    return seconds, statuses


@contextmanager
def greed(server: Server, token: str) -> Iterator[None]:
    """All at once: more stalled calls than the share, on many connections, and a push that never rests."""
    stop = threading.Event()

    def push_on(wire: Wire) -> None:
        push = wire.push(wire.open_session(namespace=token).session_id)
        number = 0
        while not stop.is_set():
            number += 1
            push.send(begin(number, b"large", 1 << 40), *[data(number, FRAME)] * 8, abort(number), commit()).receive()
        push.finish()

    bearer = [("authorization", f"Bearer {token}")]
    with ExitStack() as stack:
        pushing = threading.Thread(target=push_on, args=(stack.enter_context(Wire(server.address, token)),))
        pushing.start()
        stack.callback(pushing.join)
        stack.callback(stop.set)
        until(lambda: server.metrics().value("dirsync_sessions") >= 1, "the push")
        peers = [stack.enter_context(Peer(server.address)) for _ in range(10)]
        calls = sum(len({peer.headers(SYNC + "ListDirectories", bearer) for _ in range(60)}) for peer in peers)
        held = LIMITS.max_calls_per_caller
        until(lambda: calls - sum(len(peer.ended) for peer in peers) < held, "refusals of what is above the share")
        yield


@pytest.mark.case("H06")
def test_slow_tenant(server: Server) -> None:
    """Whatever one tenant holds and pushes, the other is never refused, and waits for nothing that the first holds."""
    with Wire(server.address, "blue") as blue:
        served(blue, "blue")
        quiet, _ = served(blue, "blue")
        with greed(server, "red"):
            beside, statuses = served(blue, "blue")

    assert {OK} == statuses
    # Two that compute share the processor and the interpreter: three to five times as long. A queue would be far more,
    # and a single call that waited for a stalled one, too.
    assert sum(beside) < 50 * sum(quiet)
