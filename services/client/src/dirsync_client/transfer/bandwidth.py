"""The bandwidth limit: a token bucket over the bytes of messages."""

from threading import Lock

from dirsync.limits import LIMITS


class TokenBucket:
    """Says how long to wait before the next message. The time is a parameter. Thread-safe: several servers share it.

    At most ``rate`` bytes per second on average, with bursts of at most one second's worth or one message.
    A rate of 0 means no limit.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._burst = max(rate, LIMITS.max_message_bytes)
        self._tokens = float(self._burst)
        self._last: float | None = None
        self._lock = Lock()

    def take(self, size: int, now: float) -> float:
        """Account for ``size`` bytes; gives the seconds to wait before they may go."""
        if not self._rate:
            return 0.0
        with self._lock:
            if self._last is not None:
                self._tokens = min(self._burst, self._tokens + max(0.0, now - self._last) * self._rate)
            self._last = now
            self._tokens -= size
            return max(0.0, -self._tokens / self._rate)
