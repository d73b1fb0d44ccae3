"""Polling, for file systems that report no changes.

A thread that says at intervals that anything may have changed. Only the one that looks knows what a look costs, so the
interval can be changed while the thread runs.
"""

import threading
from collections.abc import Callable, Sequence

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.tree.path import ROOT


class Poller(threading.Thread):
    """Gives a ``LOST`` hint every ``interval`` seconds, the first one after the first interval."""

    def __init__(self, interval: float, sink: Callable[[Sequence[Hint]], None]) -> None:
        super().__init__(name="dirsync-poll", daemon=True)
        self.interval = interval
        """Seconds; a change counts from the next hint on."""
        self._sink = sink
        self._stopping = threading.Event()

    def run(self) -> None:
        """Hint until :meth:`stop`."""
        while not self._stopping.wait(self.interval):
            self._sink([Hint(ROOT, HintKind.LOST)])

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopping.set()
