"""Limits messages that repeat: the first few of each key pass in an interval, the others are only counted.

Pure but for its lock; the time is a parameter.
"""

from dataclasses import dataclass
from threading import RLock

from dirsync.clock import Monotonic, monotonic

BURST = 20
"""Messages of one key that pass in one interval."""
INTERVAL_SECONDS = 60.0
"""How long counting goes on before messages of a key pass again. Seconds."""
MAX_KEYS = 256
"""Keys that are counted apart; all further keys share one, so that no peer can make the table grow."""

Key = tuple[str, str, str]
"""Level, event and kind of a message."""

_OVERFLOW: Key = ("warning", "library.message", "other")


@dataclass(slots=True)
class _Window:
    ends: float
    passed: int = 0
    suppressed: int = 0


class Limiter:
    """Decides which of many like messages pass, and counts those that do not. Thread-safe."""

    def __init__(
        self, *, burst: int = BURST, interval_seconds: float = INTERVAL_SECONDS, clock: Monotonic = monotonic
    ) -> None:
        self._burst = burst
        self._interval = interval_seconds
        self._clock = clock
        # Reentrant: a finalizer may log in the middle of what its own thread logs.
        self._lock = RLock()
        self._windows: dict[Key, _Window] = {}
        self._next_due = float("inf")

    def admit(self, key: Key) -> bool:
        """Whether a message with this key passes now; one that does not is counted."""
        with self._lock:
            window = self._window(key)
            if window.passed < self._burst:
                window.passed += 1
                return True
            window.suppressed += 1
            self._next_due = min(self._next_due, window.ends)
            return False

    def due(self, *, everything: bool = False) -> list[tuple[Key, int]]:
        """How many messages of each key were dropped in intervals that are over, or in all; each is returned once."""
        now = self._clock()
        if not everything and now < self._next_due:
            return []
        with self._lock:
            over = [key for key, window in self._windows.items() if everything or window.ends <= now]
            told = [(key, window.suppressed) for key in over if (window := self._windows.pop(key)).suppressed]
            self._next_due = min((w.ends for w in self._windows.values() if w.suppressed), default=float("inf"))
        return told

    def _window(self, key: Key) -> _Window:
        now = self._clock()
        if key not in self._windows and len(self._windows) >= MAX_KEYS:
            self._windows = {k: w for k, w in self._windows.items() if w.suppressed or w.ends > now}
            key = key if len(self._windows) < MAX_KEYS else _OVERFLOW
        window = self._windows.get(key)
        if window is None or (window.ends <= now and not window.suppressed):
            window = self._windows[key] = _Window(now + self._interval)
        return window
