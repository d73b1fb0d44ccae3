"""Ends calls whose peer keeps a thread waiting for too long.

gRPC waits without end for a request that was announced and does not come, and for a response that the peer's flow
control does not let out. Keepalive does not notice, because such a peer answers pings. A call that waits sets a
deadline on its :class:`CallTimer`; a call that works has none, and may take as long as it needs.

Ending is final: gRPC cancels the call, the peer gets CANCELLED, and the waiting thread comes back. A call whose peer
moves at the very moment when it is ended is ended too: its deadline had passed.
"""

import math
import threading
from collections.abc import Callable

from dirsync.clock import Monotonic, monotonic
from dirsync.errors import DirsyncError, LimitExceeded
from dirsync.limits import LIMITS

_CHECKS = 8
"""Checks within the shortest deadline: no call overruns its deadline by more than an eighth of that."""


class CallTimer:
    """The deadline of one call. The call's own thread sets it and the watchdog reads it; neither needs a lock."""

    __slots__ = ("_now", "end", "ended", "method", "until", "what")

    def __init__(self, method: str, end: Callable[[], object], now: Monotonic) -> None:
        self.method = method
        self.end = end
        self.what = ""
        """The name of the limit that applies."""
        self.until = math.inf
        self.ended: DirsyncError | None = None
        """Why the watchdog ended the call, if it did."""
        self._now = now

    def request(self) -> None:
        """The call waits for a request from now on."""
        self._begin("request_seconds", LIMITS.request_seconds)

    def response(self) -> None:
        """The call waits for its peer to take a response from now on."""
        self._begin("stalled_response_seconds", LIMITS.stalled_response_seconds)

    def over(self) -> None:
        """The call works, or its peer may be silent for as long as it likes."""
        self.until = math.inf

    def _begin(self, what: str, seconds: float) -> None:
        if self.ended is None:
            self.what = what
            self.until = self._now() + seconds


class StallWatchdog:
    """The calls of a server, and the thread that checks their deadlines while there are any."""

    def __init__(self, ended: Callable[[DirsyncError, str], None], now: Monotonic = monotonic) -> None:
        """``ended`` is told the limit and the method of each call that is ended."""
        self._ended = ended
        self._now = now
        self._changed = threading.Condition()
        self._timers: set[CallTimer] = set()
        self._running = False

    def watch(self, method: str, end: Callable[[], object]) -> CallTimer:
        """Check a call from now on; ``end`` cancels it."""
        timer = CallTimer(method, end, self._now)
        with self._changed:
            self._timers.add(timer)
            if self._running:
                self._changed.notify()
            else:
                self._running = True
                threading.Thread(target=self._run, name="dirsync-stalls", daemon=True).start()
        return timer

    def forget(self, timer: CallTimer) -> None:
        """Check a call no longer."""
        with self._changed:
            self._timers.discard(timer)

    def end_overdue(self) -> None:
        """End the calls whose deadline has passed."""
        now = self._now()
        with self._changed:
            overdue = [timer for timer in self._timers if timer.until <= now]
        for timer in overdue:
            timer.ended = LimitExceeded(timer.what, _complaint(timer.what))
            timer.over()
            self._ended(timer.ended, timer.method)
            timer.end()

    def _run(self) -> None:
        pause = min(LIMITS.request_seconds, LIMITS.stalled_response_seconds) / _CHECKS
        # Not time.sleep: under libfaketime it may fail when the clock steps, and the thread would end.
        never = threading.Event()
        while True:
            with self._changed:
                # The thread sleeps while the server has no calls.
                self._changed.wait_for(lambda: self._timers)
            never.wait(pause)
            self.end_overdue()


def _complaint(what: str) -> str:
    if what == "request_seconds":
        return f"the request did not arrive within {LIMITS.request_seconds:g} s"
    return f"the response was not read within {LIMITS.stalled_response_seconds:g} s"
