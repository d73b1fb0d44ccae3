"""The profile ``tls``: a second pair with certificates on both sides and a token, beside the plain one."""

import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest

from dirsync.v1 import replica_service_pb2 as pb
from tests.e2e.containers.project import Project
from tests.support.outside.engine import docker
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal

STATUS = "/dirsync.v1.ReplicaService/GetStatus"
NAMES = ("server-tls", "client-tls")


@pytest.fixture(scope="module")
def tls(running: Project) -> Project:
    """Both pairs, up."""
    running.up(profile="tls")
    return running


def certificates(project: Project) -> Path:
    """Where the profile keeps them."""
    return project.place / "data" / "certificates"


def call(project: Project, credentials: grpc.ChannelCredentials | None, token: str | None) -> str:
    """Ask the server for its status with these credentials. Returns the code of the answer."""
    address = f"localhost:{project.port('server-tls', 50051)}"
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    request = pb.ReplicaServiceGetStatusRequest(namespace="default").SerializeToString()
    with channel:
        stub: Any = channel.unary_unary(STATUS)
        try:
            stub(request, metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_mirror(tls: Project) -> None:
    """One source, two servers: each pair keeps its own replica equal."""
    build(tls.source, {"secret": "but not for the network"})
    replica = tls.place / "data" / "replica-tls"

    tls.until_equal()
    until(lambda: equal(tls.source, replica), "the other replica is equal too")


@pytest.mark.parametrize(
    "certificate, token, expected",
    [(True, True, "OK"), (True, False, "UNAUTHENTICATED"), (False, True, "UNAVAILABLE"), (None, True, "UNAVAILABLE")],
)
def test_doors(tls: Project, certificate: bool | None, token: bool, expected: str) -> None:
    """Plain text and unknown certificates never reach a call; a certificate without the token is rejected."""
    place = certificates(tls)
    own = ((place / "client.key").read_bytes(), (place / "client.pem").read_bytes()) if certificate else (None, None)
    credentials = None
    if certificate is not None:
        credentials = grpc.ssl_channel_credentials((place / "ca.pem").read_bytes(), *own)

    assert expected == call(tls, credentials, (place / "token").read_text().strip() if token else None)


def test_command(tls: Project) -> None:
    """The client's command finds its agent behind its certificate."""
    client = tls.container("client-tls")
    command = ("dirsync-client", "status")

    until(lambda: client.execute(*command).returncode == 0, "it is in sync")


def test_renewal(tls: Project) -> None:
    """Renewed certificates are taken up by both while they run, and the mirror goes on."""
    server = tls.container("server-tls")
    started = server.state["StartedAt"]
    before = serial(tls)
    tls.compose("run", "--rm", "--no-deps", "certificates", "--renew", "/certificates", *NAMES)
    until(lambda: serial(tls) != before, "the server shows its new certificate")
    client = tls.container("client-tls")
    client.stop()
    docker("start", client.name)
    build(tls.source, {"renewed": "yes"})
    until((tls.place / "data" / "replica-tls" / "renewed").exists, "a client with its new certificate is let in")

    assert started == server.state["StartedAt"]


def serial(project: Project) -> str:
    """The number of the certificate that the server shows now."""
    place = certificates(project)
    context = ssl.create_default_context(cafile=place / "ca.pem")
    context.load_cert_chain(place / "client.pem", place / "client.key")
    with (
        socket.create_connection(("127.0.0.1", project.port("server-tls", 50051)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shown,
    ):
        found = shown.getpeercert()
    assert found is not None
    return str(found["serialNumber"])
