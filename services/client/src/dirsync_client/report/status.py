"""What a client says of itself: one immutable value, replaced by the engine and read by other threads."""

import threading
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.tree.guards.hold import Hold
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.untracked import Untracked

MAX_SHOWN_PROBLEMS = 10_000
"""Problems that the status lists; it counts all, as the metrics do."""
NOT_SYNCED_YET = "the first sync is not done"


class State(Enum):
    """Where a client is."""

    STARTING = "starting"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    STOPPING = "stopping"


class KeptConflict(NamedTuple):
    """A path that both sides had changed, and how that was resolved."""

    path: RelPath
    winner: str
    """The side whose version got the name: ``source`` or ``replica``."""
    resolution: str
    """The policy, as CONFLICTS names it."""
    kept_as: RelPath | None
    """Where both sides keep the other version; ``None``: it is not kept."""
    at: float
    """When, by the monotonic clock."""


class TwoWayTotals(NamedTuple):
    """What came to the source of a two-way client since the start, and what was in conflict; sizes in bytes."""

    received_changes: int = 0
    received_bytes: int = 0
    """Content that the server sent, before compression."""
    saved_bytes: int = 0
    """What did not have to come: content that the source had, and what compression saved."""
    conflicts: int = 0
    latest: tuple[KeptConflict, ...] = ()
    """The latest of these, the newest first."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is true at one moment; times by the monotonic clock."""

    state: State = State.STARTING
    in_sync: bool = False
    pending: int = 0
    oldest_change: float | None = None
    """When the oldest change that is not acknowledged was noticed."""
    waiting_since: float | None = None
    """As ``oldest_change``, but of changes that can be synced: those with a problem do not count."""
    first_sync_done: bool = False
    """Everything that could be synced was synced once, since the start."""
    outage: str = ""
    """The problem because of which nothing can be synced."""
    not_ready_reason: str = NOT_SYNCED_YET
    """Empty while the client is ready."""
    last_error: str = ""
    stalled: str = ""
    """What stands still, in words for people; then nothing is known to be in sync."""
    last_success: float | None = None
    entries: int = 0
    source_digest: bytes = b""
    replica_digest: bytes = b""
    hold: Hold | None = None
    problems: tuple[Problem, ...] = ()
    """The first of these."""
    problem_count: int = 0
    """How many there are in all."""
    untracked: int = 0
    untracked_named: tuple[Untracked, ...] = ()
    """The first of these paths."""
    watch: str = "off"
    two_way: TwoWayTotals | None = None
    """``None`` of a mirror."""
    cycles: int = 0
    """Quiet moments reached so far: each ends a cycle."""


@dataclass(slots=True)
class StatusBoard:
    """Holds the present status and tells who waits for a change of it."""

    now: Monotonic = monotonic
    _status: Status = field(default_factory=Status)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _in_sync: bool = False
    """By what the engine knows."""
    _stalled_since: float | None = None

    @property
    def status(self) -> Status:
        """The present status."""
        return self._status

    def update(self, **changes: Any) -> None:
        """Replace some fields."""
        with self._changed:
            self._in_sync = changes.get("in_sync", self._in_sync)
            stalled = changes.get("stalled", self._status.stalled)
            changes["in_sync"] = self._in_sync and not stalled
            status = replace(self._status, **changes)
            if status != self._status:
                self._status = status
                self._changed.notify_all()

    def stall(self, reason: str, since: float | None) -> None:
        """Something stands still since then, or, with an empty reason, nothing does."""
        self._stalled_since = since
        if reason and not self._status.stalled:
            # The engine says it anew when it has looked again.
            self.update(in_sync=False)
        self.update(stalled=reason)

    def lag(self) -> float:
        """Seconds since the oldest change that is not acknowledged; 0 when none is.

        While something stands still, what happened since then is not known: that counts as a change.
        """
        times = [time for time in (self._status.oldest_change, self._stalled_since) if time is not None]
        return max(0.0, self.now() - min(times)) if times else 0.0
