"""What happens, and when: one queue of events in virtual time, in an order that a seed decides."""

import hashlib
import heapq
from collections.abc import Callable
from random import Random

from tests.simulation.machine.patching import current

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000

Action = Callable[[], None]


class Stuck(AssertionError):
    """So many events happened that nothing useful can be going on."""


class Scheduler:
    """The time of one world, and its trace. Everything that happens there happens in :meth:`step`."""

    def __init__(self, seed: int, limit: int = 200_000) -> None:
        self._order = Random(f"order {seed}")
        self._queue: list[tuple[int, float, int, str, Action]] = []
        self._count = 0
        self._left = limit
        self._hash = hashlib.sha256()
        self.trace: list[str] = []
        self.after_each: Action = lambda: None
        """Called after each event that no other event is in the middle of."""
        self._depth = 0
        current.wall_ns = START_NS

    @property
    def now(self) -> float:
        """Seconds on the monotonic clock of all processes in this world."""
        return current.wall_ns / SECOND_NS

    @property
    def elapsed(self) -> float:
        """Seconds since the world began."""
        return (current.wall_ns - START_NS) / SECOND_NS

    @property
    def digest(self) -> str:
        """A digest of everything that happened so far."""
        return self._hash.hexdigest()

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        line = f"{self.elapsed:11.6f} {text}"
        self.trace.append(line)
        self._hash.update(line.encode())

    def after(self, seconds: float, label: str, action: Action) -> None:
        """Do this later. Of two things that are due at once, chance decides which comes first."""
        self._count += 1
        when = current.wall_ns + max(0, int(seconds * SECOND_NS))
        heapq.heappush(self._queue, (when, self._order.random(), self._count, label, action))

    def step(self) -> bool:
        """The next thing happens; false if nothing is left."""
        if not self._queue:
            return False
        self._left -= 1
        if self._left < 0:
            msg = "the world goes on for ever"
            raise Stuck(msg)
        when, _, _, label, action = heapq.heappop(self._queue)
        current.wall_ns = max(current.wall_ns, when)
        if label:
            self.note(label)
        self._depth += 1
        try:
            action()
        finally:
            self._depth -= 1
        if not self._depth:
            self.after_each()
        return True

    def run_until(self, elapsed: float) -> None:
        """Go on up to this time."""
        end = START_NS + int(elapsed * SECOND_NS)
        while self._queue and self._queue[0][0] <= end:
            self.step()
        current.wall_ns = max(current.wall_ns, end)

    def run_while(self, condition: Callable[[], bool]) -> None:
        """Go on as long as ``condition`` holds and anything is left to happen."""
        while condition() and self.step():
            pass
