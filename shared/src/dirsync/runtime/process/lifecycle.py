"""The life of a process: stopping by a signal or from inside, and what it leaves to the kernel.

The first SIGTERM or SIGINT asks for a clean end, the second one ends the process at once. Signal handlers only put a
word into a queue that may be used from them; the main thread, which waits for it, does the work of stopping.
"""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType
from typing import NoReturn

from dirsync.clock import monotonic

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_NOW = 1
"""Exit code of a process that was told to stop twice."""
WAKE_SECONDS = 0.5
"""How often the main thread wakes while it waits. The kernel may deliver a signal to any thread (it does right after
another signal such as SIGCONT), and Python runs the handler only once the main thread is awake."""


class Lifetime:
    """Waits for the reason to stop. Made, entered and waited on in the main thread."""

    def __init__(self) -> None:
        self._reasons: SimpleQueue[str] = SimpleQueue()
        self._signalled = False

    def end(self, reason: str) -> None:
        """Ask for the end, from any thread; ``reason`` is a word for the log."""
        self._reasons.put(reason)

    def wait(self, seconds: float | None = None) -> str | None:
        """The first reason to stop; None when none came in time."""
        while True:
            try:
                return self._reasons.get(timeout=WAKE_SECONDS if seconds is None else seconds)
            except Empty:
                if seconds is not None:
                    return None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Inside, SIGTERM and SIGINT are reasons to stop."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            os._exit(EXIT_NOW)
        self._signalled = True
        self._reasons.put(signal.Signals(number).name)


def run_until_stopped(start: Callable[[Lifetime], None], stop: Callable[[str], None]) -> None:
    """Start, wait for a signal or for ``Lifetime.end``, stop with the reason; a signal counts from the first moment."""
    lifetime = Lifetime()
    with lifetime.signals():
        start(lifetime)
        reason = lifetime.wait()
        stop(reason or "")


def within(seconds: float, work: Callable[[], object]) -> bool:
    """Do ``work`` in a thread, for at most ``seconds``; False if it goes on after that."""
    thread = Thread(target=work, name="dirsync-end", daemon=True)
    thread.start()
    return join(thread, seconds)


def join(thread: Thread, seconds: float) -> bool:
    """Wait for the end of a thread in the main thread, which takes signals all the while; False if it goes on."""
    until = monotonic() + seconds
    while thread.is_alive() and (left := until - monotonic()) > 0:
        thread.join(min(WAKE_SECONDS, left))
    return not thread.is_alive()


def end_now(code: int) -> NoReturn:
    """End the process at once, whatever its other threads wait for."""
    for work in _LAST_WORKS:
        work()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


_LAST_WORKS: list[Callable[[], object]] = []


def at_any_end(work: Callable[[], object]) -> None:
    """Do ``work``, which may not take long, when the process ends by itself, by :func:`end_now` too."""
    _LAST_WORKS.append(work)
    atexit.register(work)


def run_process(main: Callable[[], int]) -> NoReturn:
    """Run a program and end the process with its exit code, as :func:`sys.exit` does, but for taking Python apart.

    Threads are waited for, and what is registered to be done at exit is done. The modules and their objects, which
    Python would free one by one, are left to the kernel: that is a thirtieth of the time of a short run.
    """
    code: int | None = None

    def leave() -> None:
        if code is not None:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    atexit.register(leave)  # first, and so done last
    try:
        code = main()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            code = end.code or 0
        raise
    sys.exit(code)


_RARE_COLLECTION = 20_000
"""Objects that are made between two looks of the collector at the youngest ones, where it looks rarely."""


def collect_rarely() -> None:
    """Let the collector look at new objects less often; for a single sync.

    The objects of an operation live until its commit, and thousands are under way: to look after every 700, as Python
    does, finds nothing and costs a tenth of a first sync. Not for a process that serves gRPC: a call that ended with an
    error is part of a cycle, and its connection counts the call's stream until the collector has found it.
    """
    gc.set_threshold(_RARE_COLLECTION)


def collect_from_now_on() -> None:
    """After the imports, which ran without the collector: what they made lives as long as the process."""
    gc.freeze()
    gc.enable()


def freeze_heap() -> None:
    """Exempt what lives now from collection. Call it after a tree was loaded: the tree lives as long as the process."""
    gc.collect()
    gc.freeze()
