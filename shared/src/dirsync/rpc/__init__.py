"""gRPC at both ends: services, channels, statuses, interceptors, credentials, health and reflection.

The first import decides how two libraries start. gRPC's C core must not write lines of its own to stderr. gRPC's
interface for asyncio, and the part of protobuf that stands in where it has no C library, are imported at their first
use only, because neither is used.
"""

import os

from dirsync.runtime.process.imports import deferred, without

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

with (
    without("grpc_health", "grpc_reflection", "grpc_tools"),  # gRPC makes old names for them
    deferred("asyncio", "grpc.aio", "google.protobuf.internal.python_message"),
):
    # Loaded here, so that they are loaded like this whoever uses them first.
    import google.protobuf.internal.builder  # noqa: F401 - what all generated code imports
    import grpc  # noqa: F401
