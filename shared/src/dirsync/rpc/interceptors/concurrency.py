"""Who has how many calls under way: nobody gets more threads than his share, so that there is one for everybody else.

Pure but for its lock. Whose share a call takes, and how large that is, is decided where callers are known.
"""

import threading
from collections import Counter
from typing import NamedTuple

from dirsync.errors import LimitExceeded


class Share(NamedTuple):
    """Calls that somebody may have under way."""

    holder: str
    calls: int
    limit: str
    """The limit's name, which the refusal carries."""


class Crowd:
    """The calls under way. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = Counter[str]()

    def enter(self, share: Share) -> None:
        """Count a call.

        Raises:
            LimitExceeded: the holder has as many as it may; the call is not counted.
        """
        with self._lock:
            if self._calls[share.holder] >= share.calls:
                msg = f"{share.calls} calls are under way already; wait for one of them to end"
                raise LimitExceeded(share.limit, msg)
            self._calls[share.holder] += 1

    def leave(self, share: Share) -> None:
        """The call is over."""
        with self._lock:
            self._calls[share.holder] -= 1
            if not self._calls[share.holder]:
                del self._calls[share.holder]

    def __len__(self) -> int:
        with self._lock:
            return self._calls.total()
