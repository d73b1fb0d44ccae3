"""For how long an owner may publish, and from when on another server may take over. Pure but for the clock.

No two clocks are compared. An owner shows that it lives by *beats*: it writes a number that it has never written
before. It may publish until a part of a lease has passed since a beat *began*. Another server may take over when it has
seen the same beat for a whole lease, counted from when *it* saw the beat first, which is later. The difference, a
fourth of a lease, is the margin for what is under way and for clocks that do not run equally fast.
"""

from typing import Final

from dirsync.clock import Monotonic

BEATS: Final = 4
"""Beats in a lease."""
HELD_PART: Final = 0.75
"""The part of a lease for which an owner may publish after a beat."""


class Lease:
    """An owner's own view. One thread renews it, any thread asks."""

    def __init__(self, seconds: float, now: Monotonic) -> None:
        """Nothing is held yet."""
        self._seconds = seconds
        self._now = now
        self._deadline = float("-inf")
        self.lapses = 0
        """How often it has ended without having been renewed in time. What was begun before the last one is void."""

    def renew(self, began: float) -> bool:
        """A beat that began then is written; returns whether the lease had lapsed."""
        lapsed = self._now() >= self._deadline
        if lapsed:
            # Counted before the deadline moves, so that who sees the new deadline sees the lapse too.
            self.lapses += 1
        self._deadline = began + self._seconds * HELD_PART
        return lapsed

    def holds(self, lapses: int) -> bool:
        """Whether it holds, and has held without a gap since ``lapses`` was read."""
        return self._now() < self._deadline and self.lapses == lapses


class Rival:
    """What one server has seen of another one's beats."""

    def __init__(self, seconds: float, now: Monotonic) -> None:
        """``seconds`` is the lease, the longer one of both if they differ."""
        self._seconds = seconds
        self._now = now
        self._beat: bytes | None = None
        self._since = 0.0

    def is_over(self, beat: bytes) -> bool:
        """Whether its lease is over, as far as can be told from ``beat``, which was read just now."""
        if beat != self._beat:
            self._beat, self._since = beat, self._now()
        return self._now() - self._since >= self._seconds
