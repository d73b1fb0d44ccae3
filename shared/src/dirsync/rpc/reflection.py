"""gRPC server reflection, by which tools like grpcurl find out what a server offers."""

from collections.abc import Iterable

import grpc
from grpc_health.v1 import health  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from dirsync.rpc.library_services import Guard, RawRequestServer, anybody

METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def add_reflection(server: grpc.Server, services: Iterable[str], guard: Guard = anybody) -> None:
    """Describe these services, health and reflection itself; ``guard`` ends the calls of callers that may not ask."""
    reflection.enable_server_reflection(
        (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), RawRequestServer(server, guard)
    )
