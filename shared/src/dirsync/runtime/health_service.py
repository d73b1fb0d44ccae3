"""The health of a process as ``grpc.health.v1``: the empty service name is liveness, a named service readiness."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1.health import HealthServicer  # type: ignore[import-untyped]

from dirsync.runtime.health import Health, HealthState
from dirsync.runtime.library_services import BlamingServer

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def add_health_service(server: grpc.Server, state: HealthState, service: str) -> None:
    """Serve ``state`` on ``server``; ``service`` is the full name whose status is readiness."""
    servicer = HealthServicer()

    def show(health: Health) -> None:
        servicer.set("", _SERVING if health.live else _NOT_SERVING)
        servicer.set(service, _SERVING if health.ready else _NOT_SERVING)

    state.listen(show)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, BlamingServer(server))
