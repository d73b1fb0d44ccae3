"""When one file may be sent again, told from what it cost so far. Pure; times in seconds of one monotonic clock.

A file that is written all the time would be read and sent all the time. What holds instead:

- Each try is followed by a pause of ``LIMITS.pace_least_stretch`` times what it took if little of the file was sent, up
  to ``LIMITS.pace_stretch`` times if all of it was. So one file takes a bounded part of a core and of the line, and
  what the replica has of it is of a bounded age. Pauses are saved up to ``LIMITS.pace_burst_seconds``: a person who
  saves a few times in a row waits for nothing.
- A file that rests is sent without a pause: if nobody wrote it for as long as a try takes, a try will probably succeed.
- Of a file that grows, at most twice its size is sent before it rests, so three times its size in all. Where no delta
  can be made, a file that has used that up is sent every ``LIMITS.pace_longest_seconds`` nevertheless. A small one
  that has used it up is sent as often as ``LIMITS.pace_small_bytes_per_second`` allows: what the replica has of it is
  never old, and costs little.
- A file that is rewritten while it is read costs for nothing. The pause doubles with each such try, up to a limit. So
  does the rest that is asked for, from what a try costs: one that is quickly read is tried soon after its last write.
"""

import math
from typing import Final, NamedTuple

from dirsync.limits import LIMITS

SHOWN_TRIES: Final = 3
"""Tries in a row for nothing that are no problem yet."""
_GROWTH_BUDGET: Final = 2
"""Times its size that may be sent of a file that grows."""
_MAX_DOUBLINGS: Final = 16


class Cost(NamedTuple):
    """What one try took."""

    seconds: float
    """From the first byte that was read to the last one that was sent."""
    sent_bytes: int
    """Bytes of content that were sent, before compression."""


NOTHING: Final = Cost(0.0, 0)


class Pace:
    """What is known of one file that was sent."""

    __slots__ = ("_changed_at", "_cost", "_ended_at", "_free_at", "_sent", "_size", "_spent", "torn")

    def __init__(self) -> None:
        self.torn = 0
        """Tries in a row for nothing: the file was rewritten meanwhile."""
        self._cost = NOTHING
        self._size = 0
        """Bytes of the version that was sent last."""
        self._sent = 0
        """Bytes that its sending took."""
        self._spent = 0
        """Bytes that were sent of the file while it grew."""
        self._ended_at = self._free_at = self._changed_at = 0.0

    def published(self, size: int, cost: Cost, now: float) -> None:
        """A version of ``size`` bytes was acknowledged."""
        self._spent = cost.sent_bytes if size < self._size else self._spent + cost.sent_bytes
        self._size, self._sent, self.torn = size, cost.sent_bytes, 0
        self._ended(cost, now)

    def given_up(self, cost: Cost, now: float) -> None:
        """A try was for nothing: the file was rewritten while it was read."""
        self.torn += 1
        self._spent += cost.sent_bytes
        self._ended(cost, now)
        # Pauses that were saved up do not count: the next try is likely to be for nothing too.
        pause = self._doubled(LIMITS.retry_initial_seconds, LIMITS.retry_max_seconds)
        self._free_at = max(self._free_at, now + pause + LIMITS.pace_burst_seconds)

    def changed(self, now: float) -> None:
        """The file was seen to be different."""
        self._changed_at = now

    def due(self, size: int) -> float:
        """When the file, which has ``size`` bytes now, may be sent."""
        growth = max(0, size - self._size)
        # What is sent again of a file whose last sending took no more than it had grown is what it grew by.
        expected = growth if self._sent < self._size else size
        paced = self._free_at - LIMITS.pace_burst_seconds
        if growth and self._spent + expected > _GROWTH_BUDGET * size:
            small = expected / LIMITS.pace_small_bytes_per_second if size <= LIMITS.inline_file_bytes else math.inf
            paced = max(paced, self._ended_at + min(small, LIMITS.pace_longest_seconds))
        return min(paced, self._changed_at + self._rest)

    def is_over(self, now: float) -> bool:
        """Whether nothing of it matters any more: nobody has written the file for a while."""
        return now >= max(self._free_at, self._changed_at + LIMITS.pace_memory_seconds)

    @property
    def _rest(self) -> float:
        """Seconds without a write after which a try is promising."""
        cost, longest = self._cost.seconds, LIMITS.pace_longest_rest_seconds
        # A small file costs next to nothing: another try soon after its last write harms nobody.
        wanted = self._doubled(cost, longest) if self.torn else min(cost, longest)
        return max(LIMITS.pace_rest_seconds, wanted)

    def _ended(self, cost: Cost, now: float) -> None:
        self._cost, self._ended_at = cost, now
        # What was written meanwhile may not have been noticed yet.
        self._changed_at = now
        seconds = max(cost.seconds, LIMITS.pace_least_seconds)
        share = min(1.0, cost.sent_bytes / self._size) if self._size else 1.0
        stretch = LIMITS.pace_least_stretch + share * (LIMITS.pace_stretch - LIMITS.pace_least_stretch)
        self._free_at = max(self._free_at, now - seconds) + (1 + stretch) * seconds

    def _doubled(self, first: float, last: float) -> float:
        doublings = min(self.torn - 1, _MAX_DOUBLINGS)
        return float(min(first * 2**doublings, last))
