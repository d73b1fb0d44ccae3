"""Binds a gRPC server to its address."""

import grpc

from dirsync.errors import UsageError


def listen(server: grpc.Server, address: str, setting: str, credentials: grpc.ServerCredentials | None) -> None:
    """Listen on ``address``, with TLS where there are ``credentials``; ``setting`` is the name the person knows it by.

    Raises:
        UsageError: the address is taken or cannot be listened on.
    """
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        msg = f"{setting}={address}: the port is taken, or the address is not of this machine; choose another"
        raise UsageError(msg)
