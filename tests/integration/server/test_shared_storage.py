"""Real servers on one shared volume: one of them owns a namespace, and when it does no more, another one does."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peers.operations import batch, commit, put, with_commit
from tests.support.peers.wire import SYNC, Push, Wire
from tests.support.running.cluster import Cluster, token_of
from tests.support.running.programs import Server
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs
NAME = "red"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Servers with a short lease on one volume."""
    cluster = Cluster(tmp_path, [NAME], shared=True, lease="2s")
    yield cluster
    wrong = cluster.end()

    assert wrong == []


def connect(server: Server) -> Wire:
    """A peer with the token of the namespace."""
    return Wire(server.address, token_of(NAME))


def opened(wire: Wire, instance: str = "first") -> bytes:
    """A session, as soon as the server has the namespace."""

    def attempt() -> bytes:
        from dirsync.v1 import sync_service_pb2 as pb  # noqa: PLC0415

        request = pb.OpenSessionRequest(protocol_version=1, namespace=NAME, client_id="tester", instance_id=instance)
        answer = wire.call(SYNC + "OpenSession", request)
        return pb.OpenSessionResponse.FromString(answer.messages[0]).session_id if answer.messages else b""

    return until(attempt, "a session is open", seconds=20)


def published(push: Push, number: int, name: bytes) -> None:
    """Commit a new file, and have the answer."""
    push.send(batch(put(number, name, name)), commit()).receive()


def test_a_stopped_owner_publishes_nothing_after_another_took_over(cluster: Cluster) -> None:
    """It is stopped beyond its lease with commits in its socket, another takes over, and it goes on: nothing comes.

    There are many, so that without the fence some are published before its threads find out what has happened.
    """
    one, other = cluster.server(), cluster.server()
    with connect(one) as wire, connect(other) as rival:
        push = wire.push(opened(wire))
        published(push, 1, b"before")
        one.signal(signal.SIGSTOP)
        for number in range(2, 502):
            push.send(with_commit(batch(put(number, b"ghost-%d" % number, b"stale"))))
        successor = rival.push(opened(rival, "second"))
        published(successor, 1, b"after")
        one.signal(signal.SIGCONT)
        _, status = push.drain()
        one.log.wait_for("namespace.closed", namespace=NAME, reason="lost")

    assert status.code != "OK"
    assert ["after", "before"] == sorted(path.name for path in cluster.root(NAME).iterdir())
    assert 1 == other.metrics().value("dirsync_takeovers_total", cause="slow")


def test_another_server_goes_on_after_a_kill(cluster: Cluster) -> None:
    """It has the namespace within seconds, with all that was acknowledged, and reads none of it again."""
    one, other = cluster.server(), cluster.server()
    client = cluster.client(NAME, f"ipv4:{one.address},{other.address}")
    for number in range(20):
        (cluster.source(NAME) / f"{number}").write_bytes(b"%d" % number * 10_000)
    until(lambda: len(list(cluster.root(NAME).iterdir())) == 20, "all is there")
    client.wait_until_in_sync()
    time.sleep(0.5)  # the index writes what it knows some tenths of a second later
    since = client.log.mark()
    killed = time.monotonic()
    owner, heir = (one, other) if one.metrics().value("dirsync_open_namespaces") else (other, one)
    owner.kill()
    client.wait_for("connection.restored", since=since)
    client.wait_until_in_sync()
    seconds = time.monotonic() - killed
    (cluster.source(NAME) / "20").write_bytes(b"after")
    until((cluster.root(NAME) / "20").exists, "changes go on")

    assert seconds < 15
    assert 1 == heir.metrics().value("dirsync_takeovers_total", cause="gone")
    assert 0 == heir.metrics().value("dirsync_literal_bytes_total") - len(b"after")


def test_a_server_that_is_not_asked_any_more_hands_over(cluster: Cluster) -> None:
    """Its namespace is asked for at another server: it ends what it has, and the other one goes on without a lease."""
    one, other = cluster.server(), cluster.server()
    with connect(one) as wire, connect(other) as rival:
        push = wire.push(opened(wire))
        published(push, 1, b"before")
        opened(rival, "second")
        one.log.wait_for("namespace.closed", namespace=NAME, reason="wanted")

    assert 1 == other.metrics().value("dirsync_takeovers_total", cause="released")


def test_a_server_that_stops_lets_go(cluster: Cluster) -> None:
    """The next one has the namespace at once."""
    one, other = cluster.server(), cluster.server()
    with connect(one) as wire:
        opened(wire)
    one.stop()
    with connect(other) as wire:
        opened(wire, "second")

    assert 1 == other.metrics().value("dirsync_takeovers_total", cause="released")
