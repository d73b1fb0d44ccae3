"""The HTTP server of a service: metrics, health and what the service adds to them; it answers GET and HEAD only.

Any peer that reaches ``METRICS_LISTEN`` may ask, so everything is bounded: connections at a time, bytes and seconds of
a request, seconds of an answer. It shows counts and names, never content or secrets. ADR 0010 says why it is our own.
"""

import errno
import io
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from threading import Lock, Thread
from typing import Any, NamedTuple

from dirsync.errors import UsageError
from dirsync.limits import LIMITS, Limits
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.http.sockets import listening_sockets
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.exposition import CONTENT_TYPE, render
from dirsync.runtime.metrics.registry import PrometheusMetrics

BACKLOG = 64
"""Connections that may wait to be accepted."""
STOP_SECONDS = 0.1
"""How often the server checks whether it is to stop."""

_TEXT = "text/plain; charset=utf-8"
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""What a browser may load for an answer that is no page: nothing."""


class Answer(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    content_type: str
    body: bytes
    policy: str = NO_CONTENT_POLICY
    """The content security policy."""


NO_ROUTES: Mapping[str, Callable[[], Answer]] = {}
"""Metrics and health alone."""


class HttpServer:
    """Serves one process's metrics and health from :meth:`start` to :meth:`stop`."""

    def __init__(  # the parts that a service joins
        self,
        address: Address,
        setting: str,
        metrics: PrometheusMetrics,
        health: HealthState,
        routes: Mapping[str, Callable[[], Answer]] = NO_ROUTES,
        limits: Limits = LIMITS,
    ) -> None:
        """Listen on ``address``; ``setting`` is the name that the person knows it by.

        ``routes`` are further paths, and what answers there.

        Raises:
            UsageError: the address is taken or cannot be listened on.
        """
        self._routes: dict[str, Callable[[], Answer]] = {
            "/metrics": lambda: Answer(HTTPStatus.OK, CONTENT_TYPE, render(metrics.registry)),
            "/livez": lambda: _health(live_only=True, state=health),
            "/readyz": lambda: _health(live_only=False, state=health),
            **routes,
        }
        try:
            sockets = listening_sockets(address, BACKLOG)
        except OSError as error:
            advice = "; stop the other process or set another address" if error.errno == errno.EADDRINUSE else ""
            msg = f"{setting}={address}: cannot listen there: {error.strerror or error}{advice}"
            raise UsageError(msg) from error
        self.address = address._replace(port=int(sockets[0].getsockname()[1]))
        """Where it listens; the port is a real one also where 0 was asked for."""
        served = _Served(limits)
        self._servers = [_Server(listener, self._answer, served) for listener in sockets]
        self._threads = [
            Thread(target=server.serve_forever, args=(STOP_SECONDS,), name="http", daemon=True)
            for server in self._servers
        ]

    def start(self) -> None:
        """Answer from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer no more and free the port."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            if thread.is_alive():
                server.shutdown()
                thread.join()
            server.server_close()

    def _answer(self, path: str) -> Answer:
        route = self._routes.get(path)
        if route is None:
            return Answer(HTTPStatus.NOT_FOUND, _TEXT, f"not found; use {', '.join(sorted(self._routes))}\n".encode())
        try:
            return route()
        except Exception:  # noqa: BLE001 - a broken page must not take the others with it
            get_logger().exception(Event.LIBRARY_MESSAGE, logger=__name__, message=f"{path} failed")
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"failed; see the log\n")


def _health(*, live_only: bool, state: HealthState) -> Answer:
    health = state.now
    good = health.live if live_only else health.ready
    line = "ok" if good else " ".join(health.reason.split()) or "not ready"
    return Answer(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{line}\n".encode())


class _Served:
    """How many connections are served, in all and for each address."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = Lock()
        self._served = Counter[str]()

    def enter(self, address: str) -> bool:
        """Whether one more may be served; it is counted then."""
        with self._lock:
            full = self._served.total() >= self.limits.http_connections
            if full or self._served[address] >= self.limits.http_connections_per_address:
                return False
            self._served[address] += 1
            return True

    def leave(self, address: str) -> None:
        """One that was counted has ended."""
        with self._lock:
            self._served[address] -= 1
            if not self._served[address]:
                del self._served[address]


class _Server(TCPServer):
    def __init__(self, listener: socket.socket, answer: Callable[[str], Answer], served: _Served) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answer = answer
        self.limits = served.limits
        self._served = served

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread of its own, or not at all while too many are served."""
        if not self._served.enter(client_address[0]):
            self.shutdown_request(request)
            return
        try:
            Thread(target=self._serve, args=(request, client_address), name="http-request", daemon=True).start()
        except RuntimeError:
            # The system has no thread left for us (a pid limit); it will have, and this connection counts no more.
            self._served.leave(client_address[0])
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or was too slow is no event."""

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - nothing that one client does may end the server or reach the log unbounded
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._served.leave(client_address[0])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "dirsync"
    sys_version = ""

    def setup(self) -> None:
        """Read through a deadline instead of a timeout for each byte."""
        super().setup()
        self.connection.settimeout(self.server.limits.http_seconds)
        self.rfile.close()
        self.rfile = io.BufferedReader(_Deadline(self.connection, self.server.limits))

    def do_GET(self) -> None:
        """Answer with the body."""
        answer = self.server.answer(self.path.partition("?")[0])
        self._head(answer)
        self.wfile.write(answer.body)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self._head(self.server.answer(self.path.partition("?")[0]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Scrapes and probes are no events."""

    def _head(self, answer: Answer) -> None:
        self.connection.settimeout(self.server.limits.http_seconds)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", answer.policy)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()


class _Deadline(io.RawIOBase):
    """A socket's incoming bytes until a moment and a number, whichever is reached first."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._ends = time.monotonic() + limits.http_seconds
        self._left = limits.http_request_bytes

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As much as has come; nothing once the request is too large, TimeoutError once it is too slow."""
        remaining = self._ends - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        got = self._connection.recv_into(buffer, min(len(buffer), self._left)) if self._left else 0
        self._left -= got
        return got
