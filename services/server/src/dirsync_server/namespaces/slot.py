"""One namespace of a server: closed, opening, open or closing, and the calls that use it."""

import threading
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from dirsync.clock import Monotonic
from dirsync.endpoint.changes.hand_edits import HandEdits
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError


class Hold(NamedTuple):
    """A call that uses a replica until it ends."""

    end: Callable[[], object]
    """Ends the call, from any thread."""
    on_end: Callable[[Callable[[], None]], None]
    """Has a function called when the call has ended; at once if it has."""


class OpenReplica(NamedTuple):
    """A replica with what belongs to it while it is open."""

    replica: Replica
    edits: HandEdits
    release: Callable[[], object]
    """Lets go of what makes it ours."""

    def close(self) -> None:
        """Close it; nothing uses it any more."""
        self.edits.close()
        self.replica.close()
        self.release()


class Slot:
    """Where a namespace's replica is while it is open. ``changed`` guards all of it."""

    def __init__(self, namespace: str, now: Monotonic) -> None:
        self.namespace = namespace
        self.changed = threading.Condition()
        self.opened: OpenReplica | None = None
        self.busy = False
        """It is being opened or closed."""
        self.error: DirsyncError | None = None
        """Why it could not be opened the last time."""
        self.opened_at = 0.0
        self._now = now
        self._numbers = count()
        self._calls: dict[int, Callable[[], object]] = {}
        self._last_used = now()

    def take(self, hold: Hold) -> Callable[[], None]:
        """Count a call, for the holder of ``changed``; returns what uncounts it."""
        number = next(self._numbers)
        self._calls[number] = hold.end

        def ended() -> None:
            with self.changed:
                self._calls.pop(number, None)
                self._last_used = self._now()
                self.changed.notify_all()

        return ended

    def settle(self, opened: OpenReplica | None, error: DirsyncError | None = None) -> None:
        """It has been opened, or closed, or could not be opened."""
        with self.changed:
            self.opened, self.error, self.busy = opened, error, False
            self.opened_at = self._last_used = self._now()
            self.changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it is at rest and not open, and nothing has failed."""
        return not self.busy and self.opened is None and self.error is None

    @property
    def ends(self) -> list[Callable[[], object]]:
        """What ends the calls that use it."""
        return list(self._calls.values())

    @property
    def idle_seconds(self) -> float:
        """For how long no call has used it."""
        return 0.0 if self._calls else self._now() - self._last_used

    @property
    def open_seconds(self) -> float:
        """For how long it has been open."""
        return self._now() - self.opened_at
