"""The mutex that makes one thread at a time the writer of a replica."""

import threading
from typing import Self


class WriterMutex:
    """A reentrant mutex that knows whether the present thread holds it. A context manager."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def require_held(self) -> None:
        """Fail if another thread, or none, is the writer: a programming error."""
        assert self._owner == threading.get_ident(), "only the writer may do this"
