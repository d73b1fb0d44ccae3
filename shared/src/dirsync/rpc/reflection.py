"""gRPC server reflection: what grpcurl asks to find out what a server can do."""

from collections.abc import Iterable

import grpc

from dirsync.rpc.library_services import Guard, RawRequestServer, anybody

METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def add_reflection(server: grpc.Server, services: Iterable[str], guard: Guard = anybody) -> None:
    """Describe these services, health and reflection itself; ``guard`` ends the calls of those who may not ask."""
    # Imported late: a service that does not reflect does not pay for it.
    from grpc_health.v1 import health  # type: ignore[import-untyped]  # noqa: PLC0415
    from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]  # noqa: PLC0415

    reflection.enable_server_reflection(
        (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), RawRequestServer(server, guard)
    )
