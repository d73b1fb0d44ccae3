"""A hook that calls a URL: a POST with the message. Proxies of the environment are not obeyed, redirects not followed.

``http.client`` is used, which knows neither. Its timeout counts for each operation on the socket; a timer ends the
whole call.
"""

import http.client
import socket
import ssl
from contextlib import suppress
from threading import Event, Timer
from urllib.parse import SplitResult, urlsplit

from dirsync import __version__
from dirsync.runtime.hooks.debouncer import Run
from dirsync.runtime.hooks.message import Place, encode
from dirsync.runtime.hooks.outcome import Expired, Outcome, Result


class WebhookHook:
    """Calls a URL. It succeeds by the status of the answer, whose body is not read."""

    def __init__(self, url: str, statuses: tuple[str, ...], timeout: float) -> None:
        """``statuses`` are texts such as ``204`` or ``2xx``; ``timeout`` is in seconds."""
        self._url = urlsplit(url)
        self._statuses = statuses
        self._timeout = timeout

    def run(self, place: Place, run: Run, expired: Expired) -> Outcome:
        """Call it once."""
        url = self._url
        path = url._replace(scheme="", netloc="").geturl() or "/"
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": run.state.hex(),
            "User-Agent": f"dirsync/{__version__}",
            "Connection": "close",
        }
        connection = _connection(url, self._timeout)
        is_cut = Event()
        timer = Timer(self._timeout, _cut, (connection, is_cut))
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", path if path.startswith("/") else f"/{path}", encode(place, run), headers)
            status = connection.getresponse().status
        except TimeoutError:
            return Outcome(Result.TIMED_OUT, "it did not answer in time")
        except (OSError, http.client.HTTPException) as error:
            if is_cut.is_set() or expired():
                return Outcome(Result.TIMED_OUT, "it did not answer in time")
            return Outcome(Result.FAILED, f"it cannot be called: {error}")
        finally:
            timer.cancel()
            connection.close()
        if self._is_success(status):
            return Outcome(Result.SUCCEEDED)
        return Outcome(Result.FAILED, f"it answered with status {status}")

    def _is_success(self, status: int) -> bool:
        return str(status) in self._statuses or f"{status // 100}xx" in self._statuses


def _connection(url: SplitResult, timeout: float) -> http.client.HTTPConnection:
    assert url.hostname is not None
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(url.hostname, url.port, timeout=timeout, context=context)


def _cut(connection: http.client.HTTPConnection, is_cut: Event) -> None:
    """End a call that takes too long: whoever reads its socket finds the end, and why."""
    is_cut.set()
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            # That of a TLS socket would take its state away from the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
