"""What a client says of itself: one immutable value, replaced by the engine and read by other threads."""

import threading
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from dirsync.clock import Monotonic, monotonic
from dirsync.tree.guards import Hold
from dirsync.tree.problem import Problem


class State(Enum):
    """Where a client is."""

    STARTING = "starting"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Status:
    """What is true at one moment; times by the monotonic clock."""

    state: State = State.STARTING
    in_sync: bool = False
    pending: int = 0
    oldest_change: float | None = None
    """When the oldest change that is not acknowledged was noticed."""
    last_error: str = ""
    last_success: float | None = None
    entries: int = 0
    source_digest: bytes = b""
    replica_digest: bytes = b""
    hold: Hold | None = None
    problems: tuple[Problem, ...] = ()
    untracked: int = 0
    watch: str = "off"
    cycles: int = 0
    """Quiet moments reached so far: each ends a cycle."""


@dataclass(slots=True)
class StatusBoard:
    """Holds the present status and tells who waits for a change of it."""

    now: Monotonic = monotonic
    _status: Status = field(default_factory=Status)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def status(self) -> Status:
        """The present status."""
        return self._status

    def update(self, **changes: Any) -> None:
        """Replace some fields."""
        with self._changed:
            status = replace(self._status, **changes)
            if status != self._status:
                self._status = status
                self._changed.notify_all()

    def lag(self) -> float:
        """Seconds since the oldest change that is not acknowledged; 0 when none is."""
        oldest = self._status.oldest_change
        return 0.0 if oldest is None else max(0.0, self.now() - oldest)
