"""The health of a process as ``grpc.health.v1``: the empty service name is liveness, a named service readiness.

It asks for no credentials, so it is bounded by itself. The library's own servicer sends to its watchers while it holds
its lock: one that does not read would hold up all the others, whoever asks, and the process that changes its state.
"""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from dirsync.limits import LIMITS
from dirsync.rpc.library_services import RawRequestServer
from dirsync.runtime.http.health import Health, HealthState

_Response = health_pb2.HealthCheckResponse


def add_health_service(server: grpc.Server, state: HealthState, service: str) -> None:
    """Serve ``state`` on ``server``; ``service`` is the full name whose status is readiness."""
    servicer = _Servicer(service)
    state.listen(servicer.show)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, RawRequestServer(server))


class _Servicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # the library has no types
    """Answers from what it was shown last."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._changed = threading.Condition()
        self._statuses: dict[str, int] = {}
        self._watchers = threading.BoundedSemaphore(LIMITS.max_health_watchers)

    def show(self, health: Health) -> None:
        """Say this from now on."""
        with self._changed:
            self._statuses = {"": _status(good=health.live), self._service: _status(good=health.ready)}
            self._changed.notify_all()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the method's own name
        """The status of a service."""
        status = self._statuses.get(request.service)
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return _Response(status=status)

    def List(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The statuses of both."""
        statuses = {name: _Response(status=status) for name, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """The status of a service, and each that follows; a slow reader may miss some, but never the last."""
        if not self._watchers.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{LIMITS.max_health_watchers} watch already; ask with Check"
            )
        try:
            for status in self._changes(request.service, context):
                yield _Response(status=status)
        finally:
            self._watchers.release()

    def _changes(self, service: str, context: grpc.ServicerContext) -> Iterator[int]:
        told: int | None = None
        watched = context.add_callback(self._wake)
        while watched:
            with self._changed:
                while context.is_active() and self._status_of(service) == told:
                    self._changed.wait()
                told = self._status_of(service)
            watched = context.is_active()
            if watched:
                yield told

    def _status_of(self, service: str) -> int:
        unknown: int = _Response.SERVICE_UNKNOWN
        return self._statuses.get(service, unknown)

    def _wake(self) -> None:
        """A watcher has gone; which one, each of them sees itself."""
        with self._changed:
            self._changed.notify_all()


def _status(*, good: bool) -> int:
    status: int = _Response.SERVING if good else _Response.NOT_SERVING
    return status
