"""Calls whose peer keeps a thread waiting, and the one thread that ends them when that takes too long.

gRPC waits without end for a request that was announced and does not come, and for a response that the peer's flow
control does not let out; keepalive sees nothing of it, because such a peer answers pings. A call that waits says until
when; one that works says nothing, and may take as long as it takes.

Ending is final: gRPC cancels the call, the peer gets CANCELLED, and the waiting thread comes back. A call whose peer
moves at the very moment when it is ended is ended too; it was as late as it may be.
"""

import math
import threading
import time
from collections.abc import Callable

from dirsync.clock import Monotonic, monotonic
from dirsync.errors import DirsyncError, LimitExceeded
from dirsync.limits import LIMITS

_LOOKS = 8
"""How often the shortest wait is looked at before it is over: none is overdrawn by more than an eighth of that."""


class Wait:
    """What one call waits for. Its own thread says so, the thread that looks reads it; neither needs a lock."""

    __slots__ = ("_now", "end", "ended", "method", "until", "what")

    def __init__(self, method: str, end: Callable[[], object], now: Monotonic) -> None:
        self.method = method
        self.end = end
        self.what = ""
        """The limit that applies, by its name."""
        self.until = math.inf
        self.ended: DirsyncError | None = None
        """Why it was ended, if it was."""
        self._now = now

    def request(self) -> None:
        """It waits for a request from now on."""
        self._begin("request_seconds", LIMITS.request_seconds)

    def response(self) -> None:
        """It waits for its peer to take a response from now on."""
        self._begin("stalled_response_seconds", LIMITS.stalled_response_seconds)

    def over(self) -> None:
        """It works, or its peer may be silent for as long as it likes."""
        self.until = math.inf

    def _begin(self, what: str, seconds: float) -> None:
        if self.ended is None:
            self.what = what
            self.until = self._now() + seconds


class Stalls:
    """The calls of a server, and the thread that looks at them while there are any."""

    def __init__(self, ended: Callable[[DirsyncError, str], None], now: Monotonic = monotonic) -> None:
        """``ended`` is told the limit and the method of each call that is ended."""
        self._ended = ended
        self._now = now
        self._changed = threading.Condition()
        self._waits: set[Wait] = set()
        self._looking = False

    def watch(self, method: str, end: Callable[[], object]) -> Wait:
        """Look at a call from now on; ``end`` cancels it."""
        wait = Wait(method, end, self._now)
        with self._changed:
            self._waits.add(wait)
            if self._looking:
                self._changed.notify()
            else:
                self._looking = True
                threading.Thread(target=self._look, name="dirsync-stalls", daemon=True).start()
        return wait

    def forget(self, wait: Wait) -> None:
        """The call is over."""
        with self._changed:
            self._waits.discard(wait)

    def end_overdue(self) -> None:
        """End the calls that have waited too long."""
        now = self._now()
        with self._changed:
            overdue = [wait for wait in self._waits if wait.until <= now]
        for wait in overdue:
            wait.ended = LimitExceeded(wait.what, _complaint(wait.what))
            wait.over()
            self._ended(wait.ended, wait.method)
            wait.end()

    def _look(self) -> None:
        pause = min(LIMITS.request_seconds, LIMITS.stalled_response_seconds) / _LOOKS
        while True:
            with self._changed:
                # A process that serves nobody is left asleep.
                self._changed.wait_for(lambda: self._waits)
            time.sleep(pause)
            self.end_overdue()


def _complaint(what: str) -> str:
    if what == "request_seconds":
        return f"the request did not come within {LIMITS.request_seconds:g} s"
    return f"the response was not taken within {LIMITS.stalled_response_seconds:g} s"
