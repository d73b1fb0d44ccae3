"""The end of a client: until when it sends what differs, until when it waits for the answers, and what was left.

Pure: the time is a parameter, in seconds of one monotonic clock.

1. Until ``send_until`` everything is looked at once more, and what differs is sent.
2. Until ``end_at`` nothing more is begun, and what was sent is committed.
3. Then the engine ends, whatever is left.

It ends earlier where nothing is left to do.
"""

from typing import NamedTuple

COMMIT_SHARE = 0.25
"""The part of the grace period that is kept for committing what was sent, and for closing."""
CLOSE_SHARE = 0.125
"""The part of it that is kept for closing alone."""
PATHS_NAMED = 10
"""Paths that are named of those that were left."""
MAX_COUNTED = 100_000
"""Paths that are counted of those that were left, because the process is to end soon."""


class Deadlines(NamedTuple):
    """The times of one end."""

    send_until: float
    end_at: float

    @classmethod
    def within(cls, now: float, grace: float, *, sends: bool = True) -> "Deadlines":
        """Those of an end that takes ``grace`` seconds from ``now``; without ``sends`` nothing more is begun."""
        end_at = now + grace * (1 - CLOSE_SHARE)
        return cls(now + grace * (1 - COMMIT_SHARE) if sends else now, end_at)


class Standing(NamedTuple):
    """How the sync stands at one moment."""

    looked: bool
    """Everything was looked at since the end began."""
    working: bool
    """Something is known that is going on, or will be tried again soon."""
    committed: bool
    """Nothing that was sent waits for its commit."""
    refused: bool
    """The server does not want this client any more: no new session is opened."""


class Ending:
    """One end, from the first signal on."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self.sends = True
        """Differences are still sent; otherwise only commits are awaited."""

    def is_over(self, standing: Standing, now: float) -> bool:
        """Whether the engine may end now. The caller has :attr:`sends` obeyed."""
        if standing.refused or now >= self._deadlines.send_until:
            self.sends = False
        if now >= self._deadlines.end_at:
            return True
        if self.sends:
            return standing.looked and not standing.working
        return standing.committed

    def wake_in(self, now: float) -> float:
        """Seconds until :meth:`is_over` has to be asked again at the latest."""
        due = self._deadlines.send_until if self.sends else self._deadlines.end_at
        return max(0.0, due - now)


class Left(NamedTuple):
    """What is not at the server when a client ends, as far as that is known."""

    paths: tuple[bytes, ...]
    """The first of them."""
    number: int
    """How many there are, counted up to :data:`MAX_COUNTED`."""
    looked: bool
    """Everything was looked at since the end began: otherwise there may be more."""

    def __bool__(self) -> bool:
        return self.number > 0 or not self.looked
