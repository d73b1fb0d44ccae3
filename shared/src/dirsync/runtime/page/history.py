"""What a service did in the last hour, in steps of some seconds: a ring in memory. Pure but for its lock.

Amounts are differences of totals, peaks the largest value that was seen in a step. A step in which nobody looked,
because the thread that does was kept waiting, has no value: nothing is made up for it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

STEP_SECONDS = 10.0
"""Length of a step."""
STEPS = 360
"""Steps that are kept: an hour."""

Number = int | float


class History:
    """The last hour. One thread observes, any thread may read."""

    def __init__(
        self, amounts: Sequence[str], peaks: Sequence[str], steps: int = STEPS, step_seconds: float = STEP_SECONDS
    ) -> None:
        """``amounts`` and ``peaks`` name the series."""
        self.step_seconds = step_seconds
        self._amounts = tuple(amounts)
        self._peaks = tuple(peaks)
        self._rows: deque[tuple[Number | None, ...]] = deque(maxlen=steps)
        self._step: int | None = None
        """Number of the step that is not over."""
        self._before: dict[str, float] = {}
        """The totals at its beginning."""
        self._largest: dict[str, float] = {}
        self._lock = Lock()

    def observe(self, now: float, totals: Callable[[], Mapping[str, float]], peaks: Mapping[str, float]) -> None:
        """Look at the service; often, because peaks between two looks are not seen.

        Args:
            now: seconds by the monotonic clock.
            totals: asked for the sums of all amounts since the start, once in each step.
            peaks: the present values.
        """
        step = int(now // self.step_seconds)
        with self._lock:
            if step != self._step:
                self._begin(step, totals())
            for name in self._peaks:
                self._largest[name] = max(self._largest.get(name, 0.0), peaks[name])

    def _begin(self, step: int, totals: Mapping[str, float]) -> None:
        if self._step is not None:
            amounts = (round(totals[name] - self._before[name]) for name in self._amounts)
            self._rows.append((*amounts, *(round(self._largest.get(name, 0.0), 3) for name in self._peaks)))
            nothing = (None,) * (len(self._amounts) + len(self._peaks))
            for _ in range(min(step - self._step - 1, self._rows.maxlen or 0)):
                self._rows.append(nothing)
        self._step = step
        self._before = {name: totals[name] for name in self._amounts}
        self._largest = {}

    def seconds_since_end(self, now: float) -> float:
        """Seconds since the last step that is over ended."""
        with self._lock:
            return 0.0 if self._step is None else max(0.0, now - self._step * self.step_seconds)

    @property
    def series(self) -> dict[str, list[Number | None]]:
        """The steps that are over, the oldest first, by the name of the series."""
        with self._lock:
            rows = list(self._rows)
        names = (*self._amounts, *self._peaks)
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}
