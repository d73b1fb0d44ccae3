"""The HTTP server."""

import errno
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http import HTTPStatus

import pytest

from dirsync.errors import UsageError
from dirsync.limits import LIMITS
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.http import sockets
from dirsync.runtime.http.health import HealthState, probe
from dirsync.runtime.http.server import NO_CONTENT_POLICY, Answer, HttpServer
from dirsync.runtime.http.sockets import has_ipv6_loopback
from dirsync.runtime.metrics.registry import PrometheusMetrics
from tests.support.running.waiting import until

LOOPBACK = Address("127.0.0.1", 0)


ROUTES = {"/": lambda: Answer(HTTPStatus.OK, "text/html; charset=utf-8", b"<!doctype html>", "default-src 'self'")}
"""A page that a service adds."""


@pytest.fixture
def health() -> HealthState:
    """The state that the server shows."""
    return HealthState()


@pytest.fixture
def server(health: HealthState) -> Iterator[HttpServer]:
    """A running server."""
    server = HttpServer(LOOPBACK, "DIRSYNC_SERVER_METRICS_LISTEN", PrometheusMetrics(), health, ROUTES)
    server.start()
    yield server
    server.stop()


def ask(server: HttpServer, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, content type and body."""
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers.get("Content-Type", ""), body


def test_metrics(server: HttpServer) -> None:
    """Metrics come in the format that scrapers ask for."""
    status, content_type, body = ask(server, "/metrics")

    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (status, content_type)
    assert b"dirsync_in_sync 0.0\n" in body


def test_health(server: HttpServer, health: HealthState) -> None:
    """Live and ready are 200 or 503 with one line that says why."""
    assert (200, b"ok\n") == ask(server, "/livez")[::2]
    assert (503, b"starting\n") == ask(server, "/readyz")[::2]
    health.ready()
    assert (200, b"ok\n") == ask(server, "/readyz")[::2]
    health.not_ready("disk\nfull")
    assert (503, b"disk full\n") == ask(server, "/readyz")[::2]
    assert (200, b"ok\n") == ask(server, "/livez")[::2]
    health.failed("scanner died")
    assert (503, b"scanner died\n") == ask(server, "/livez")[::2]


def test_probe(server: HttpServer, health: HealthState) -> None:
    """The probe of the health commands agrees, also when nothing listens."""
    assert probe(server.address, "/livez")
    assert probe(Address("0.0.0.0", server.address.port), "/livez")
    assert not probe(server.address, "/readyz")
    health.ready()
    assert probe(server.address, "/readyz")
    server.stop()
    assert not probe(server.address, "/livez")


def test_routes(server: HttpServer) -> None:
    """What the service adds is answered like the rest."""
    assert (200, "text/html; charset=utf-8", b"<!doctype html>") == ask(server, "/")


def test_without_routes(health: HealthState) -> None:
    """Without a page there is none, and the answer names what there is."""
    server = HttpServer(LOOPBACK, "METRICS_LISTEN", PrometheusMetrics(), health)
    server.start()
    try:
        assert (404, b"not found; use /livez, /metrics, /readyz\n") == ask(server, "/")[::2]
    finally:
        server.stop()


@pytest.mark.parametrize("path, policy", [("/", "default-src 'self'"), ("/metrics", NO_CONTENT_POLICY)])
def test_content_security_policy(server: HttpServer, path: str, policy: str) -> None:
    """A page has the policy that goes with it; all else lets a browser load nothing."""
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    connection.request("GET", path)
    headers = connection.getresponse().headers
    connection.close()

    assert (policy, "nosniff", "no-referrer", "same-origin", "no-store") == tuple(
        headers[name]
        for name in (
            "Content-Security-Policy",
            "X-Content-Type-Options",
            "Referrer-Policy",
            "Cross-Origin-Resource-Policy",
            "Cache-Control",
        )
    )


@pytest.mark.parametrize("path", ["/x", "/metrics/", "/../etc/passwd", "/index.html", "http://x/metrics"])
def test_nothing_else(server: HttpServer, path: str) -> None:
    """Any other path is not there."""
    assert 404 == ask(server, path)[0]


def test_query_is_ignored(server: HttpServer) -> None:
    """Scrapers may add parameters."""
    assert 200 == ask(server, "/metrics?x=y")[0]


def test_head(server: HttpServer) -> None:
    """HEAD returns the same without the body."""
    assert (200, b"") == ask(server, "/metrics", "HEAD")[::2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_read_only(server: HttpServer, method: str) -> None:
    """There is nothing to change here."""
    assert 501 == ask(server, "/metrics", method)[0]


BOTH = pytest.mark.skipif(not has_ipv6_loopback(), reason="has no IPv6")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost", "LOCALHOST."])
@pytest.mark.parametrize("from_host", [pytest.param("::1", marks=BOTH), "127.0.0.1"])
def test_both_families(health: HealthState, host: str, from_host: str) -> None:
    """A wildcard of either family, and localhost, are reached by both, at one port."""
    server = HttpServer(Address(host, 0), "METRICS_LISTEN", PrometheusMetrics(), health, ROUTES)
    server.start()
    try:
        port = server.address.port
        assert probe(Address(from_host, port), "/livez")
        assert probe(server.address, "/livez")
        assert (host, False) == (server.address.host, probe(Address(from_host, port), "/readyz"))
    finally:
        server.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
def test_without_ipv6(monkeypatch: pytest.MonkeyPatch, health: HealthState, host: str) -> None:
    """On a machine without IPv6 all of them listen on the addresses of IPv4."""
    bind = sockets._bind

    def bind_ipv4(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bind(family, host, port)

    monkeypatch.setattr(sockets, "_bind", bind_ipv4)
    server = HttpServer(Address(host, 0), "METRICS_LISTEN", PrometheusMetrics(), health, ROUTES)
    server.start()
    try:
        assert probe(Address("127.0.0.1", server.address.port), "/livez")
    finally:
        server.stop()


@BOTH
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
@pytest.mark.parametrize("taken", [Address("127.0.0.1", 0), Address("::1", 0)])
def test_taken_in_one_family(health: HealthState, host: str, taken: Address) -> None:
    """A port that another process has in one family is taken: half a listener would look like a whole one."""
    (other,) = sockets.listening_sockets(taken, 1)
    with other, pytest.raises(UsageError, match="Address already in use"):
        HttpServer(Address(host, other.getsockname()[1]), "METRICS_LISTEN", PrometheusMetrics(), health, ROUTES)


def test_no_thread_left(monkeypatch: pytest.MonkeyPatch, health: HealthState) -> None:
    """Connections that find no thread are closed and count no more: the next one is served."""
    limits = replace(LIMITS, http_connections=2, http_connections_per_address=2)
    server = HttpServer(LOOPBACK, "METRICS_LISTEN", PrometheusMetrics(), health, ROUTES, limits)
    server.start()
    try:
        with monkeypatch.context() as patched:
            patched.setattr("dirsync.runtime.http.server.Thread", NoThread)
            assert [False] * 5 == [probe(server.address, "/livez") for _ in range(5)]
        assert probe(server.address, "/livez")
    finally:
        server.stop()


class NoThread(threading.Thread):
    """What the standard library does under a pid limit."""

    def start(self) -> None:
        """Fail."""
        msg = "can't start new thread"
        raise RuntimeError(msg)


@pytest.mark.case("L03")
def test_port_taken(server: HttpServer) -> None:
    """A port in use is one line with the setting and the address."""
    with pytest.raises(UsageError) as caught:
        HttpServer(server.address, "DIRSYNC_SERVER_METRICS_LISTEN", PrometheusMetrics(), HealthState(), ROUTES)

    assert f"DIRSYNC_SERVER_METRICS_LISTEN={server.address}: " in str(caught.value)
    assert "Address already in use" in str(caught.value)


def test_unknown_host() -> None:
    """A host that is not one of ours is one line as well."""
    with pytest.raises(UsageError, match=r"METRICS_LISTEN=203\.0\.113\.1:1: "):
        HttpServer(Address("203.0.113.1", 1), "METRICS_LISTEN", PrometheusMetrics(), HealthState(), ROUTES)


@pytest.mark.case("I15")
def test_slow_requests_are_cut(health: HealthState) -> None:
    """A peer that sends single bytes is cut off in time, however often it sends one."""
    server = HttpServer(
        LOOPBACK, "METRICS_LISTEN", PrometheusMetrics(), health, ROUTES, replace(LIMITS, http_seconds=0.3)
    )
    server.start()
    cut = False
    with socket.create_connection(server.address, timeout=5) as client:
        for _ in range(400):
            try:
                client.sendall(b"G")
            except OSError:
                cut = True
                break
            time.sleep(0.05)
    server.stop()

    assert cut


@pytest.mark.case("I27")
def test_large_requests_are_cut(server: HttpServer) -> None:
    """Headers without end are not read to an end."""
    with socket.create_connection(server.address, timeout=5) as client:
        try:
            client.sendall(b"GET /metrics HTTP/1.0\r\n" + b"X: y\r\n" * 100_000)
            answer = client.recv(100)
        except OSError:
            answer = b""

    assert b"200" not in answer
    assert 200 == ask(server, "/livez")[0]


@pytest.mark.case("I16")
def test_connections_are_bounded(server: HttpServer) -> None:
    """Of one address's connections, and of all together, those above the bound are closed at once."""
    first, second, third = "127.0.0.1", "127.0.0.2", "127.0.0.3"
    each = LIMITS.http_connections_per_address
    with ExitStack() as stack:

        def connect(address: str) -> socket.socket:
            return stack.enter_context(socket.create_connection(server.address, 5, (address, 0)))

        def is_refused(address: str) -> bool:
            try:
                return connect(address).recv(1) == b""
            except ConnectionResetError:
                return True

        for _ in range(each):
            connect(first)
        assert is_refused(first)
        for _ in range(LIMITS.http_connections - each):
            connect(second)
        assert is_refused(third)
    until(lambda: probe(server.address, "/livez"), "an answer after they have gone")


def test_broken_page(health: HealthState) -> None:
    """A page that fails is a 500 without details, and the rest goes on."""
    broken = {"/": lambda: Answer(HTTPStatus(1 // 0), "", b"")}
    server = HttpServer(LOOPBACK, "METRICS_LISTEN", PrometheusMetrics(), health, broken)
    server.start()
    try:
        assert (500, b"failed; see the log\n") == ask(server, "/")[::2]
        assert 200 == ask(server, "/livez")[0]
    finally:
        server.stop()


def test_stop_frees_the_port(server: HttpServer) -> None:
    """After stop another process may listen there."""
    address = server.address
    server.stop()
    HttpServer(address, "METRICS_LISTEN", PrometheusMetrics(), HealthState(), ROUTES).stop()
