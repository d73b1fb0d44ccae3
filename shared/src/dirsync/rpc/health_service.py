"""The health of a process as ``grpc.health.v1``: the empty service name is liveness, a named service readiness.

The servicer is that of grpcio-health-checking, in the mode in which each watcher has a thread and waits for the last
status only. In the library's other mode the status is sent to the watchers under one lock, so that a watcher that does
not read holds up all others. Any peer may call it, so this module adds the bounds that the library lacks (ADR 0012).
"""

import threading
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from dirsync.limits import LIMITS
from dirsync.rpc.library_services import RawRequestServer
from dirsync.runtime.http.health import Health, HealthState

_UNKNOWN = health_pb2.HealthCheckRequest(service="unknown")
"""Stands for all services that are not served: the library remembers each name that was ever watched."""


def add_health_service(server: grpc.Server, state: HealthState, service: str) -> None:
    """Serve ``state`` on ``server``; ``service`` is the full name whose status is readiness."""
    servicer = _Servicer(service)
    state.listen(servicer.show)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, RawRequestServer(server))


class _Servicer(health.HealthServicer):  # type: ignore[misc] # the library has no types
    def __init__(self, service: str) -> None:
        super().__init__(experimental_non_blocking=False)
        self._service = service
        self._shown: dict[str, bool] = {}
        self._watchers = threading.BoundedSemaphore(LIMITS.max_health_watchers)

    def show(self, health: Health) -> None:
        """Set both statuses; the watchers of a status are told only if it changed."""
        for name, good in (("", health.live), (self._service, health.ready)):
            if self._shown.get(name) is not good:
                self._shown[name] = good
                served = health_pb2.HealthCheckResponse
                self.set(name, served.SERVING if good else served.NOT_SERVING)

    def List(self, _request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the method's own name
        """The statuses of both services; the library's servicer has no List."""
        statuses = {name: self.Check(health_pb2.HealthCheckRequest(service=name), context) for name in self._shown}
        return health_pb2.HealthListResponse(statuses=statuses)

    def Watch(self, request: Any, context: grpc.ServicerContext, _callback: Any = None) -> Any:  # noqa: N802 - likewise
        """The status of a service, and each that follows; a slow reader may miss some, but never the last."""
        if not self._watchers.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{LIMITS.max_health_watchers} watch already; use Check")
        if not context.add_callback(self._watchers.release):
            # The caller has gone already, and the library would never forget it.
            self._watchers.release()
            context.abort(grpc.StatusCode.CANCELLED, "the call has ended")
        return super().Watch(request if request.service in self._shown else _UNKNOWN, context)
