"""Binds a gRPC server to its address."""

from collections.abc import Iterator

import grpc

from dirsync.errors import UsageError
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.http.sockets import has_ipv6_loopback


def listen(server: grpc.Server, address: Address, setting: str, credentials: grpc.ServerCredentials | None) -> None:
    """Listen on ``address``, with TLS where there are ``credentials``; ``setting`` is the name the person knows it by.

    gRPC listens on both families for a wildcard of either; for ``localhost`` that is done here.

    Raises:
        UsageError: the address is taken or cannot be listened on.
    """
    port = address.port
    for one in _addresses(address):
        try:
            text = str(one._replace(port=port))
            port = server.add_secure_port(text, credentials) if credentials else server.add_insecure_port(text)
        except RuntimeError:
            port = 0
        if not port:
            msg = f"{setting}={address}: the port is taken, or the address is not of this machine; choose another"
            raise UsageError(msg)


def _addresses(address: Address) -> Iterator[Address]:
    if not address.is_localhost:
        yield address
        return
    yield address._replace(host="127.0.0.1")
    if has_ipv6_loopback():
        yield address._replace(host="::1")
