"""Pauses between attempts: exponential, with full jitter.

After a server's restart all its clients fail at the same instant. Were their pauses equal, they would also come back at
the same instant, again and again. With full jitter each pause is drawn evenly from zero to a ceiling that doubles with
every failure, so the returns spread over the whole interval. Nothing here waits: the caller asks for the next pause.
"""

import random
from collections.abc import Callable

from dirsync.limits import LIMITS


class Backoff:
    """The pauses of one connection, from its first failure to its next success."""

    def __init__(
        self,
        initial: float = LIMITS.backoff_initial_seconds,
        maximum: float = LIMITS.backoff_max_seconds,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``initial`` and ``maximum`` are ceilings in seconds; ``draw`` gives numbers from 0 to below 1."""
        self._initial = initial
        self._maximum = maximum
        self._draw = draw
        self._ceiling = initial

    @property
    def ceiling(self) -> float:
        """The longest that the next pause can be, in seconds."""
        return min(self._ceiling, self._maximum)

    def next(self) -> float:
        """The pause before the next attempt, in seconds; the one after it may be twice as long."""
        pause = self._draw() * self.ceiling
        self._ceiling = min(self._ceiling * 2, self._maximum)
        return pause

    def reset(self) -> None:
        """Begin again with the shortest ceiling: an attempt succeeded."""
        self._ceiling = self._initial
