"""TLS between real ends."""

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import trustme

from dirsync.errors import UsageError
from dirsync.rpc.auth.tls import ChannelSecurity, Identity, NamedFile, ServerSecurity
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging

CA = trustme.CA()
OTHER_CA = trustme.CA()
Serve = Callable[..., int]


class Files:
    """Certificates on disk, and the settings that name them."""

    def __init__(self, folder: Path) -> None:
        self.certificate = NamedFile(folder / "tls.crt", "TLS_CERT_FILE")
        self.key = NamedFile(folder / "tls.key", "TLS_KEY_FILE")
        self.authority = NamedFile(folder / "ca.crt", "TLS_CA_FILE")
        CA.cert_pem.write_to_path(str(self.authority.path))

    @property
    def identity(self) -> Identity:
        """Certificate and key."""
        return Identity(self.certificate, self.key)

    def issue(self, *names: str, authority: trustme.CA = CA, ends: datetime | None = None) -> "Files":
        """Write a new certificate with its key."""
        leaf = authority.issue_cert(*names, not_after=ends)
        self.key.path.write_bytes(leaf.private_key_pem.bytes())
        self.certificate.path.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        return self


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A server's files."""
    return Files(tmp_path).issue("localhost")


@pytest.fixture
def client_files(tmp_path: Path) -> Files:
    """A client's files."""
    (tmp_path / "client").mkdir()
    return Files(tmp_path / "client").issue("client")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that echo, and stop them."""
    servers = []

    def start(credentials: grpc.ServerCredentials) -> int:
        server = grpc.server(ThreadPoolExecutor(2))
        echo: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"Echo": echo}),))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        servers.append(server)
        return port

    yield start
    for server in servers:
        server.stop(None).wait()


def echo_stub(channel: grpc.Channel) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """The method of the servers."""
    return channel.unary_unary("/t.T/Echo")


def echoes(port: int, security: ChannelSecurity) -> bool:
    """Whether a call over a new connection succeeds."""
    options = [*security.options, ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"localhost:{port}", security.credentials(), options) as channel:
        try:
            return b"x" == echo_stub(channel)(b"x", timeout=3)
        except grpc.RpcError:
            return False


def served_serial(port: int) -> int:
    """The serial number of the certificate that a new connection sees."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        certificate = secure.getpeercert()
    assert certificate
    return int(str(certificate["serialNumber"]), 16)


def test_encrypted_call(files: Files, serve: Serve) -> None:
    """A client that trusts the authority reaches the server."""
    port = serve(ServerSecurity(files.identity).credentials)

    assert echoes(port, ChannelSecurity(files.authority))


@pytest.mark.case("K01")
def test_plaintext_is_refused_both_ways(files: Files, serve: Serve) -> None:
    """A plaintext client does not get through to TLS, nor a TLS client to plaintext."""
    port = serve(ServerSecurity(files.identity).credentials)
    with grpc.insecure_channel(f"localhost:{port}") as channel, pytest.raises(grpc.RpcError):
        echo_stub(channel)(b"x", timeout=3)
    plain = grpc.server(ThreadPoolExecutor(1))
    plain_port = plain.add_insecure_port("127.0.0.1:0")
    plain.start()

    assert not echoes(plain_port, ChannelSecurity(files.authority))
    plain.stop(None).wait()


def test_untrusted_and_misnamed_servers(files: Files, serve: Serve, tmp_path: Path) -> None:
    """A server of another authority, or with another name, is not accepted; the name can be set."""
    port = serve(ServerSecurity(files.identity).credentials)
    other = NamedFile(tmp_path / "other.crt", "TLS_CA_FILE")
    OTHER_CA.cert_pem.write_to_path(str(other.path))
    elsewhere = serve(ServerSecurity(files.issue("server.internal").identity).credentials)

    assert not echoes(port, ChannelSecurity(other))
    assert not echoes(elsewhere, ChannelSecurity(files.authority))
    assert echoes(elsewhere, ChannelSecurity(files.authority, server_name="server.internal"))


@pytest.mark.case("K03")
def test_client_certificates(files: Files, client_files: Files, serve: Serve) -> None:
    """Where client certificates are asked for, none and those of others do not get in."""
    port = serve(ServerSecurity(files.identity, files.authority).credentials)

    assert echoes(port, ChannelSecurity(files.authority, client_files.identity))
    assert not echoes(port, ChannelSecurity(files.authority))
    assert not echoes(port, ChannelSecurity(files.authority, client_files.issue("x", authority=OTHER_CA).identity))


@pytest.mark.case("K07")
def test_rotation(files: Files, serve: Serve) -> None:
    """A new certificate serves the next connection; a bad one leaves the last good one in force and a log line."""
    stream = io.StringIO()
    logging.configure("server", LogLevel.INFO, LogFormat.JSON, stream=stream)
    port = serve(ServerSecurity(files.identity).credentials)
    first = served_serial(port)
    files.issue("localhost")
    second = served_serial(port)
    files.certificate.path.write_bytes(b"garbage")
    kept = served_serial(port)
    files.issue("localhost")
    third = served_serial(port)
    logging.configure("dirsync")

    assert 3 == len({first, second, third})
    assert second == kept
    assert "config.rejected" in stream.getvalue()
    assert "PRIVATE" not in stream.getvalue()


def test_end_of_certificate(files: Files, client_files: Files) -> None:
    """Both sides know when the certificate ends that they show next: a new one counts at once, a bad one never."""
    server = ServerSecurity(files.identity)
    client = ChannelSecurity(files.authority, client_files.identity)
    seen = []
    for year in (2031, 2042):
        for own in (files, client_files):
            own.issue("localhost", ends=datetime(year, 1, 1, tzinfo=UTC))
        seen.append((server.certificate_ends_at(), client.certificate_ends_at()))
    for own in (files, client_files):
        own.certificate.path.write_bytes(b"garbage")
    seen.append((server.certificate_ends_at(), client.certificate_ends_at()))

    early, late = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2031, 2042))
    assert [(early, early), (late, late), (late, late)] == seen
    assert 0.0 == ChannelSecurity(files.authority).certificate_ends_at()


@pytest.mark.case("K07")
def test_trust_is_read_again(files: Files, serve: Serve) -> None:
    """A client that connects anew trusts what its file says now, and the last good one while the file is bad."""
    port = serve(ServerSecurity(files.identity).credentials)
    security = ChannelSecurity(files.authority)
    OTHER_CA.cert_pem.write_to_path(str(files.authority.path))
    distrusts = echoes(port, security)
    CA.cert_pem.write_to_path(str(files.authority.path))
    trusts = echoes(port, security)
    files.authority.path.write_bytes(b"garbage")
    still_trusts = echoes(port, security)

    assert [False, True, True] == [distrusts, trusts, still_trusts]


def handshakes(context: ssl.SSLContext, port: int) -> bool:
    """Whether a client comes to terms with a server."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except (ssl.SSLError, OSError):
        return False


def lenient_server(files: Files) -> int:
    """The port of a server that speaks anything, once: the control of the test that uses it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate.path, files.key.path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_once() -> None:
        with listener, listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as secure:
            secure.recv(1)

    threading.Thread(target=serve_once, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


@pytest.mark.case("K08")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    "version, accepted", [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_old_protocols_are_refused(files: Files, serve: Serve, version: str, accepted: bool) -> None:
    """Nothing older than TLS 1.2 is spoken, even to a client that would."""
    port = serve(ServerSecurity(files.identity).credentials)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    assert accepted == handshakes(context, port)
    assert handshakes(context, lenient_server(files)), "the client itself would not speak it"


@pytest.mark.case("L03")
def test_unusable_files(files: Files, tmp_path: Path) -> None:
    """Missing, garbled, unmatched and encrypted files are one line that names the settings."""
    missing = NamedFile(tmp_path / "missing", "TLS_CERT_FILE")
    garbage = NamedFile(tmp_path / "garbage", "TLS_CA_FILE")
    garbage.path.write_bytes(b"\xff\x00")
    other = Files(tmp_path)
    key = files.key.path.read_bytes()

    commented = files.authority._replace(path=tmp_path / "commented")
    commented.path.write_bytes("# Autoridad de Certificación\n".encode() + files.authority.path.read_bytes())
    ChannelSecurity(commented)
    with pytest.raises(UsageError, match="TLS_CERT_FILE: the file cannot be read by uid"):
        ServerSecurity(Identity(missing, files.key))
    with pytest.raises(UsageError, match="TLS_CA_FILE: the file holds no certificate"):
        ChannelSecurity(garbage)
    with pytest.raises(UsageError, match="TLS_CERT_FILE and TLS_KEY_FILE: the files hold no certificate"):
        ServerSecurity(Identity(files.certificate, garbage._replace(setting="TLS_KEY_FILE")))
    files.key.path.write_bytes(other.issue("x").key.path.read_bytes())
    files.certificate.path.write_bytes(files.issue("y").certificate.path.read_bytes())
    files.key.path.write_bytes(key)
    with pytest.raises(UsageError, match="do not belong together"):
        ServerSecurity(files.identity)
