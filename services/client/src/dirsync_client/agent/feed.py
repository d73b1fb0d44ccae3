"""Events of the log for one reader."""

import threading
from collections.abc import Iterator

from dirsync.wire.agent.events import encode_event

EVENTS_KEPT = 1000
"""Events that are kept for a slow reader; older ones are dropped and counted."""


class EventFeed:
    """Events for one reader; a slow reader misses the oldest."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._missed = 0
        self._ended = False

    def put(self, line: str) -> None:
        """Add an event."""
        with self._changed:
            self._lines.append(line)
            if len(self._lines) > EVENTS_KEPT:
                del self._lines[0]
                self._missed += 1
            self._changed.notify()

    def end(self) -> None:
        """End :meth:`messages`, also while it waits."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def messages(self) -> Iterator[bytes]:
        """The events as they come, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._ended)
                if self._ended:
                    return
                lines, self._lines = self._lines, []
                missed, self._missed = self._missed, 0
            for line in lines:
                yield encode_event(line, missed)
                missed = 0
