"""The addresses of a gRPC server."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dirsync.errors import UsageError
from dirsync.rpc.channel import client_options, server_options
from dirsync.rpc.listen import listen
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.http.sockets import has_ipv6_loopback, listening_sockets
from tests.support.running.ports import free_port

BOTH = pytest.mark.skipif(not has_ipv6_loopback(), reason="has no IPv6")
SECONDS = 5


def answers(address: Address) -> bool:
    """Whether a gRPC server answers there."""
    channel = grpc.insecure_channel(str(address), options=client_options())
    try:
        grpc.channel_ready_future(channel).result(SECONDS)
    except grpc.FutureTimeoutError:
        return False
    finally:
        channel.close()
    return True


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
@pytest.mark.parametrize("from_host", [pytest.param("::1", marks=BOTH), "127.0.0.1", "localhost"])
def test_both_families(host: str, from_host: str) -> None:
    """A wildcard of either family, and localhost, are reached by both."""
    server, port = grpc.server(ThreadPoolExecutor(1), options=server_options(1)), free_port()
    listen(server, Address(host, port), "LISTEN", None)
    server.start()

    assert answers(Address(from_host, port))
    server.stop(0).wait()


@BOTH
def test_taken_in_one_family() -> None:
    """A port of localhost that another process has in one family is taken."""
    (other,) = listening_sockets(Address("::1", 0), 1)
    server, address = grpc.server(ThreadPoolExecutor(1), options=server_options(1)), other.getsockname()[1]
    with other, pytest.raises(UsageError, match=f"LISTEN=localhost:{address}: the port is taken"):
        listen(server, Address("localhost", address), "LISTEN", None)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"])
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proxy of the environment is there for other programs: our channels do not go through it."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        server, port = grpc.server(ThreadPoolExecutor(1), options=server_options(1)), free_port()
        listen(server, Address("127.0.0.1", port), "LISTEN", None)
        server.start()

        assert answers(Address("127.0.0.1", port))
        server.stop(0).wait()
