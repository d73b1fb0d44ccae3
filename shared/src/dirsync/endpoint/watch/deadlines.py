"""Keys with a time each, earliest first.

A heap beside a dictionary. The dictionary is authoritative: a heap entry that disagrees with it is an old time of a key
that was moved or dropped, and is skipped when it comes up. Moving one key again and again must not make the heap grow
without end, so it is rebuilt when most of it is old; every method stays logarithmic on average.
"""

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K")

_SPARE = 64
"""Old heap entries that are not worth a rebuild."""


class Deadlines(Generic[K]):
    """Each key is due once, at its time; the times are of whatever clock the caller uses."""

    def __init__(self) -> None:
        self._times: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._times)

    def set(self, key: K, time: float) -> None:
        """Make ``key`` due at ``time`` instead of any time that it had."""
        self._times[key] = time
        heapq.heappush(self._heap, (time, next(self._order), key))
        if len(self._heap) > 2 * len(self._times) + _SPARE:
            self._heap = [(when, next(self._order), waiting) for waiting, when in self._times.items()]
            heapq.heapify(self._heap)

    def discard(self, key: K) -> None:
        """Drop ``key`` if it is waiting."""
        self._times.pop(key, None)

    def clear(self) -> None:
        """Drop all."""
        self._times.clear()
        self._heap.clear()

    def earliest(self) -> float | None:
        """When the next key is due; None when there is none."""
        while self._heap:
            time, _, key = self._heap[0]
            if self._times.get(key) == time:
                return time
            heapq.heappop(self._heap)
        return None

    def take(self, now: float) -> Iterator[K]:
        """Remove and yield the keys that are due at ``now``, earliest first."""
        while (time := self.earliest()) is not None and time <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._times[key]
            yield key
