"""Calls whose peer keeps them waiting."""

from collections.abc import Callable

import pytest

from dirsync.errors import DirsyncError
from dirsync.limits import LIMITS
from dirsync.rpc.interceptors.stall_watchdog import CallTimer, StallWatchdog


class Bench:
    """A watchdog with a clock of the test's own, and what it ended."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ended: list[tuple[str, str]] = []
        self.cancelled = 0
        self.watchdog = StallWatchdog(self._told, lambda: self.now)

    def watch(self) -> CallTimer:
        """A call."""
        return self.watchdog.watch("/service/Method", self._cancel)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and look."""
        self.now += seconds
        self.watchdog.end_overdue()

    def _cancel(self) -> None:
        self.cancelled += 1

    def _told(self, error: DirsyncError, method: str) -> None:
        self.ended.append((error.reason, method))


REQUEST: Callable[[CallTimer], None] = CallTimer.request
RESPONSE: Callable[[CallTimer], None] = CallTimer.response


@pytest.mark.case("I15")
@pytest.mark.parametrize(
    "begin, seconds, reason",
    [
        (REQUEST, LIMITS.request_seconds, "REQUEST_SECONDS"),
        (RESPONSE, LIMITS.stalled_response_seconds, "STALLED_RESPONSE_SECONDS"),
    ],
)
def test_a_wait_ends(begin: Callable[[CallTimer], None], seconds: float, reason: str) -> None:
    """A call that waits longer than it may is cancelled once, and named with its limit; not a moment earlier."""
    bench = Bench()
    begin(bench.watch())
    bench.pass_time(seconds - 1)
    early = list(bench.ended)
    bench.pass_time(1)
    bench.pass_time(seconds)

    assert ([], [(reason, "/service/Method")], 1) == (early, bench.ended, bench.cancelled)


def test_work_and_silence_have_no_end() -> None:
    """A call that works, or that is over, is left alone for ever."""
    bench = Bench()
    bench.watch()
    works, gone = bench.watch(), bench.watch()
    works.request()
    works.over()
    gone.request()
    bench.watchdog.forget(gone)
    bench.pass_time(1e9)

    assert ([], 0) == (bench.ended, bench.cancelled)


def test_each_wait_begins_anew() -> None:
    """What counts is how long one message takes, not the call."""
    bench = Bench()
    timer = bench.watch()
    for _ in range(10):
        timer.response()
        bench.pass_time(LIMITS.stalled_response_seconds / 2)

    assert [] == bench.ended
