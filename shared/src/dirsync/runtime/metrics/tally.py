"""Additions to counters that are put together first.

Each addition to a counter takes a lock and some Python calls. Code that counts several things for each of thousands of
files adds them up here, and the counters get the sums.
"""

from dirsync.runtime.metrics.metrics import Counter


class Tally:
    """What is not added to the counters yet. One thread at a time."""

    def __init__(self) -> None:
        self._noted: dict[Counter, int] = {}

    def note(self, counter: Counter, amount: int = 1) -> None:
        """Add ``amount`` to the counter with the next :meth:`flush`."""
        self._noted[counter] = self._noted.get(counter, 0) + amount

    def flush(self) -> None:
        """Add what was noted to the counters."""
        noted, self._noted = self._noted, {}
        for counter, amount in noted.items():
            counter.inc(amount)
