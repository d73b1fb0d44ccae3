"""Counts the calls under way of each caller, so that no caller takes more threads than its quota.

Pure but for its lock. The caller of a call and its quota are decided elsewhere.
"""

import threading
from collections import Counter
from typing import NamedTuple

from dirsync.errors import LimitExceeded


class CallQuota(NamedTuple):
    """How many calls a caller may have under way."""

    caller: str
    calls: int
    limit: str
    """The limit's name, which the refusal carries."""


class ConcurrencyLimiter:
    """The calls under way. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = Counter[str]()

    def acquire(self, quota: CallQuota) -> None:
        """Count a call.

        Raises:
            LimitExceeded: the caller has as many as it may; the call is not counted.
        """
        with self._lock:
            if self._calls[quota.caller] >= quota.calls:
                msg = f"{quota.calls} calls are in flight already; wait for one of them to end"
                raise LimitExceeded(quota.limit, msg)
            self._calls[quota.caller] += 1

    def release(self, quota: CallQuota) -> None:
        """Count a call no longer."""
        with self._lock:
            self._calls[quota.caller] -= 1
            if not self._calls[quota.caller]:
                del self._calls[quota.caller]

    def __len__(self) -> int:
        with self._lock:
            return self._calls.total()
