"""Readiness as a watcher of ``grpc.health.v1`` hears it: it goes if nothing can be synced, and comes back by itself."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from tests.faults.source.test_readiness import room_in
from tests.support.faults.privileges import tmpfs
from tests.support.running.programs import Pair, Process
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = [pytest.mark.programs, pytest.mark.case("L07")]

SERVER, CLIENT = "dirsync.v1.SyncService", "dirsync.v1.AgentService"
KIB = 1024


class Heard:
    """What a watcher has heard, and the lasting liveness beside it."""

    def __init__(self) -> None:
        self.readiness: list[str] = []
        self.liveness: list[str] = []


@contextmanager
def watched(address: str, service: str) -> Iterator[Heard]:
    """Watch the readiness of a program, and its liveness, until the end of the block."""
    heard = Heard()
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        calls = [stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in (service, "")]
        threads = [
            threading.Thread(target=_listen, args=(call, words), daemon=True)
            for call, words in zip(calls, (heard.readiness, heard.liveness), strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            yield heard
        finally:
            for call in calls:
                call.cancel()
            for thread in threads:
                thread.join(10)


def _listen(call: Iterable[Any], words: list[str]) -> None:
    with suppress(grpc.RpcError):
        words.extend(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) for answer in call)


def until_heard(heard: Heard, *expected: str) -> None:
    """Return when the watcher has heard exactly this."""
    until(lambda: heard.readiness == list(expected), f"the watcher hears {expected}", seconds=30)


def assert_alive(heard: Heard, process: Process) -> None:
    """Nothing of it was a reason to restart the program."""
    assert ["SERVING"] == heard.liveness
    assert 200 == process.get("/livez").status


@pytest.mark.privileged
def test_full_disk(pair: Pair) -> None:
    """A server whose disk is full says so to watchers and at /readyz, with the reason, until there is room."""
    with tmpfs(pair.replica, size="8m"):
        server = pair.server(min_free_bytes=1024 * KIB)
        with watched(server.address, SERVER) as heard:
            until_heard(heard, "SERVING")
            filler = pair.replica / "lost+found" / "filler"
            filler.parent.mkdir()
            filler.write_bytes(bytes(room_in(pair.replica) - 500 * KIB))
            until_heard(heard, "SERVING", "NOT_SERVING")
            reason = server.get("/readyz")
            filler.unlink()
            until_heard(heard, "SERVING", "NOT_SERVING", "SERVING")
            assert_alive(heard, server)

    assert 503 == reason.status
    assert "MIN_FREE_BYTES" in reason.body


def test_lost_root(pair: Pair) -> None:
    """A server whose locked directory is not that of its name any more says so, until it is back."""
    server = pair.server()
    aside = pair.place / "aside"
    with watched(server.address, SERVER) as heard:
        until_heard(heard, "SERVING")
        pair.replica.rename(aside)
        pair.replica.mkdir()
        until_heard(heard, "SERVING", "NOT_SERVING")
        reason = server.get("/readyz")
        pair.replica.rmdir()
        aside.rename(pair.replica)
        until_heard(heard, "SERVING", "NOT_SERVING", "SERVING")
        assert_alive(heard, server)

    assert 503 == reason.status
    assert "is gone or was replaced" in reason.body


def test_hold(pair: Pair) -> None:
    """A client with a hold says so, and is ready again once it is approved."""
    pair.server()
    build(pair.source, {f"d/{number}": "1" for number in range(10)})
    client = pair.client(guard_max_delete_count=5, delete_settle="100ms")
    with watched(client.address, CLIENT) as heard:
        until(lambda: heard.readiness[-1:] == ["SERVING"], "the client is ready")
        before = list(heard.readiness)
        for number in range(10):
            (pair.source / f"d/{number}").unlink()
        held = client.wait_for("guard.held")
        until_heard(heard, *before, "NOT_SERVING")
        reason = client.get("/readyz")
        assert 0 == client.command("approve", held["hold"]).code
        until_heard(heard, *before, "NOT_SERVING", "SERVING")
        assert_alive(heard, client)

    assert 503 == reason.status
    assert held["hold"] in reason.body


def test_lost_server(pair: Pair) -> None:
    """A client whose server is lost says so, and is ready again once it is back."""
    server = pair.server()
    client = pair.client()
    with watched(client.address, CLIENT) as heard:
        until(lambda: heard.readiness[-1:] == ["SERVING"], "the client is ready")
        before = list(heard.readiness)
        server.stop()
        until_heard(heard, *before, "NOT_SERVING")
        pair.server()
        until_heard(heard, *before, "NOT_SERVING", "SERVING")
        assert_alive(heard, client)
