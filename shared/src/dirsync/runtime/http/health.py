"""Liveness and readiness of a service, as one state that HTTP and gRPC both show.

*Live* means that no restart would help. *Ready* means that the service does its work; readiness can be lost and come
back (disk full, a hold, lost server). Both have a reason in words for people. :func:`probe` is the other side, used by
the ``health`` commands: it imports nothing but the standard library.
"""

import http.client
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from dirsync.runtime.config.addresses import Address

PROBE_SECONDS = 3.0
"""How long a probe waits for an answer: less than the timeout of container engines for a health check."""


class Health(NamedTuple):
    """What is known: ``reason`` says why the service is not ready, or not live."""

    live: bool
    ready: bool
    reason: str


class HealthState:
    """The present :class:`Health` of a process. Thread-safe."""

    def __init__(self, reason: str = "starting") -> None:
        self._health = Health(live=True, ready=False, reason=reason)
        self._listeners: list[Callable[[Health], None]] = []
        self._lock = Lock()

    @property
    def now(self) -> Health:
        """What is known now."""
        return self._health

    def ready(self) -> None:
        """The service does its work."""
        self._change(Health(live=True, ready=True, reason=""))

    def not_ready(self, reason: str) -> None:
        """The service lives but cannot do its work, for this reason."""
        self._change(Health(live=True, ready=False, reason=reason))

    def failed(self, reason: str) -> None:
        """Only a restart helps."""
        self._change(Health(live=False, ready=False, reason=reason))

    def listen(self, listener: Callable[[Health], None]) -> None:
        """Tell ``listener`` now and at each change; it is called under a lock and must be quick."""
        with self._lock:
            self._listeners.append(listener)
            listener(self._health)

    def _change(self, health: Health) -> None:
        with self._lock:
            if health == self._health or not self._health.live:
                return
            self._health = health
            for listener in self._listeners:
                listener(health)


def probe(address: Address, path: str) -> bool:
    """Whether the service that listens on ``address`` answers 200 at ``path`` (``/livez``, ``/readyz``)."""
    connection = http.client.HTTPConnection(*address.from_here, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
