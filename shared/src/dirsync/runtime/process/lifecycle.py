"""The life of a process: told to stop by a signal or from inside, and how it keeps its memory still.

The first SIGTERM or SIGINT asks for a clean end, the second one means now. Signal handlers only put a word into a queue
that may be used from them; the work of stopping is done by whoever waits.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

from dirsync.limits import MIB

SIGNALS = (signal.SIGTERM, signal.SIGINT)
KEPT_ALLOCATION_BYTES = 4 * MIB
"""Larger allocations than this go back to the kernel at once: no message is larger."""
KEPT_HEAP_BYTES = 16 * MIB
"""More free memory than this at the end of the heap goes back."""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
EXIT_NOW = 1
"""Exit code of a process that was told twice."""
WAKE_SECONDS = 0.5
"""How often whoever waits without end wakes: the kernel may hand a signal to any thread (it does when another one, as
SIGCONT, came right before), and Python runs the handler only once the main thread is awake."""


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


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM ends the work as SIGINT does, by KeyboardInterrupt, so that what was opened is closed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def keep_message_memory() -> None:
    """Let the C library keep what large messages need, instead of returning it to the kernel after each of them.

    Otherwise every message of a bulk transfer costs the faults of a megabyte of new pages. Elsewhere than with glibc
    (``mallopt(3)``) nothing happens.
    """
    import ctypes  # noqa: PLC0415 - only a server that runs for long pays for it

    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, KEPT_ALLOCATION_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_HEAP_BYTES)


def skip_exit_gc() -> None:
    """Keep the collector from running at exit, where it would visit all memory that the kernel is about to free."""
    gc.disable()
    gc.freeze()


def collect_from_now_on() -> None:
    """After the imports, which ran without the collector: what they made lives as long as the process."""
    gc.freeze()
    gc.enable()


def freeze_heap() -> None:
    """Exempt what lives now from collection. Call it after a tree was loaded: the tree lives as long as the process."""
    gc.collect()
    gc.freeze()
