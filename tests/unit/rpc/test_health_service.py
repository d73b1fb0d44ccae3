"""Liveness and readiness."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from dirsync.limits import LIMITS
from dirsync.rpc.health_service import add_health_service
from dirsync.runtime.http.health import Health, HealthState
from tests.support.running.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def test_begins_live_and_not_ready() -> None:
    """A process that starts lives, and says that it starts."""
    assert Health(live=True, ready=False, reason="starting") == HealthState().now


@pytest.mark.case("L07")
def test_readiness_comes_and_goes() -> None:
    """Ready can be lost and found again; listeners hear each change once."""
    state = HealthState()
    heard: list[Health] = []
    state.listen(heard.append)
    state.ready()
    state.ready()
    state.not_ready("disk full")
    state.ready()

    assert [False, True, False, True] == [health.ready for health in heard]
    assert "disk full" == heard[2].reason


def test_failure_is_final() -> None:
    """What only a restart mends is not mended otherwise."""
    state = HealthState()
    state.failed("the scanner died")
    state.ready()

    assert Health(live=False, ready=False, reason="the scanner died") == state.now


@pytest.fixture
def state() -> HealthState:
    """The state of a process."""
    return HealthState()


@pytest.fixture
def stub(state: HealthState) -> Iterator[health_pb2_grpc.HealthStub]:
    """A client of the health service."""
    server = grpc.server(ThreadPoolExecutor(LIMITS.max_health_watchers + 1))
    add_health_service(server, state, "dirsync.v1.SyncService")
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)
    server.stop(None).wait()


def check(stub: health_pb2_grpc.HealthStub, service: str) -> int:
    """The status of a service."""
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
    return status


def test_grpc_check(state: HealthState, stub: health_pb2_grpc.HealthStub) -> None:
    """The empty name is liveness, the service's readiness, and anything else is not known."""
    statuses = []
    for change in (state.ready, lambda: state.not_ready("hold"), state.ready, lambda: state.failed("gone")):
        change()
        statuses.append((check(stub, ""), check(stub, "dirsync.v1.SyncService")))

    assert [(SERVING, SERVING), (SERVING, NOT_SERVING), (SERVING, SERVING), (NOT_SERVING, NOT_SERVING)] == statuses
    with pytest.raises(grpc.RpcError):
        check(stub, "dirsync.v1.Other")


def watch(stub: health_pb2_grpc.HealthStub) -> Iterator[health_pb2.HealthCheckResponse]:
    """Watch readiness."""
    responses: Iterator[health_pb2.HealthCheckResponse] = stub.Watch(
        health_pb2.HealthCheckRequest(service="dirsync.v1.SyncService"), timeout=30
    )
    return responses


def test_grpc_watch(state: HealthState, stub: health_pb2_grpc.HealthStub) -> None:
    """A watcher gets each change, and beside the largest number of watchers single requests are served."""
    watches = [watch(stub) for _ in range(LIMITS.max_health_watchers)]
    assert [NOT_SERVING] * len(watches) == [next(one).status for one in watches]
    state.ready()

    assert [SERVING] * len(watches) == [next(one).status for one in watches]
    assert SERVING == check(stub, "")


@pytest.mark.case("I16")
def test_grpc_watchers_are_bounded(stub: health_pb2_grpc.HealthStub) -> None:
    """One watcher too many is refused, and may come when another has gone."""
    watches = [watch(stub) for _ in range(LIMITS.max_health_watchers)]
    for one in watches:
        next(one)
    with pytest.raises(grpc.RpcError) as refused:
        next(watch(stub))
    watches[0].cancel()  # type: ignore[attr-defined]  # a call is an iterator that can be cancelled

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == refused.value.code()

    def comes() -> bool:
        try:
            return bool(next(watch(stub)).status == NOT_SERVING)
        except grpc.RpcError:
            return False

    until(comes, "another watcher")


@pytest.mark.case("I16")
def test_unknown_services_leave_nothing_behind(state: HealthState, stub: health_pb2_grpc.HealthStub) -> None:
    """A caller may watch services that do not exist, and the server remembers none of their names."""
    for number in range(20):
        call = stub.Watch(health_pb2.HealthCheckRequest(service=f"no.such.Service{number}"), timeout=30)
        assert SERVICE_UNKNOWN == next(call).status
        call.cancel()
    servicer: Any = state._listeners[0].__self__  # type: ignore[attr-defined]
    remembered = servicer._send_response_callbacks

    assert ["unknown"] == list(remembered)
    until(lambda: not remembered["unknown"], "nobody watches")


def test_grpc_list(state: HealthState, stub: health_pb2_grpc.HealthStub) -> None:
    """Both services are listed with their status."""
    state.ready()
    listed = stub.List(health_pb2.HealthListRequest(), timeout=5).statuses

    assert {"": SERVING, "dirsync.v1.SyncService": SERVING} == {name: one.status for name, one in listed.items()}


def test_probe_imports_no_grpc() -> None:
    """What a container's health check runs does not load the heavy libraries."""
    imported = "import sys, dirsync.runtime.http.health"
    code = f"{imported}; print([m for m in ('grpc', 'pydantic', 'structlog') if m in sys.modules])"

    assert b"[]\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
