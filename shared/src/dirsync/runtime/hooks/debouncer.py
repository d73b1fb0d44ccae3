"""Decides when a hook is run, and for which state. Pure: the time is a parameter, in seconds of one monotonic clock.

A state is a root digest. The hook is run for the newest state that it does not know, when no newer one has come for a
while. At most one run is under way. A run that failed is tried again after a growing pause, for the state that is the
newest then.

Invariants: whenever nothing changes any more and runs succeed, the last run that succeeds is for the newest state. A
state is forgotten only for a newer one.
"""

from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.changes import ChangedPaths

_MAX_DOUBLINGS = 30


class Run(NamedTuple):
    """One run of a hook."""

    state: bytes
    changes: ChangedPaths
    """What changed since the last state that the hook knows."""


class Debouncer:
    """One hook of one namespace. The caller sees to it that one thread at a time is in here."""

    def __init__(self, debounce: float, known: bytes | None = None) -> None:
        """``debounce`` in seconds; ``known`` is the state that the hook was told last, before this process began."""
        self._debounce = debounce
        self._known = known
        """The state that the hook knows; ``None`` where that is not sure."""
        self._newest: bytes | None = None
        self._running: Run | None = None
        self._since = 0.0
        """When there was first a state that the hook does not know."""
        self._changed_at = 0.0
        self._waiting = False
        """There is a state that the hook does not know, nor is it told that now."""
        self._ending = False
        self._failures = 0
        self._retry_at: float | None = None
        self._ahead = ChangedPaths()
        """What changed after the newest state: it belongs to the next one."""
        # What changed before this process began was told to nobody that is still there.
        self._changes = ChangedPaths(truncated=True)

    @property
    def newest(self) -> bytes | None:
        """The newest state."""
        return self._newest

    @property
    def is_delivered(self) -> bool:
        """Whether the hook knows the newest state."""
        return self._running is None and not self._waiting

    @property
    def due(self) -> float | None:
        """When to start a run; ``None`` while there is nothing to run for, or a run is under way."""
        if self._running is not None or not self._waiting:
            return None
        due = min(self._changed_at + self._debounce, self._since + self._debounce * LIMITS.hook_debounces)
        if self._ending:
            due = self._since
        return due if self._retry_at is None else max(due, self._retry_at)

    @property
    def ahead(self) -> ChangedPaths:
        """Where paths are added that have changed."""
        return self._ahead

    def reached(self, state: bytes, now: float) -> None:
        """Everything that was added led to this state."""
        self._changes.merge(self._ahead.take())
        if state == self._newest:
            return
        self._newest = state
        self._changed_at = now
        told = self._known if self._running is None else self._running.state
        if state != told:
            self._since = self._since if self._waiting else now
            self._waiting = True
            return
        # It is as it was when the hook was told.
        self._waiting = False
        if self._running is None:
            self._changes.clear()

    def start(self) -> Run:
        """A run begins, for the newest state."""
        assert self._newest is not None
        # Whatever becomes of it, the hook may have been told this state.
        self._known = None
        self._waiting = False
        self._running = Run(self._newest, self._changes.take())
        return self._running

    def finish(self, now: float, *, succeeded: bool) -> float | None:
        """The run has ended; returns the pause before it is tried again, in seconds."""
        run, self._running = self._running, None
        assert run is not None
        if succeeded:
            self._known = run.state
            self._failures = 0
            self._retry_at = None
            if not self._waiting:
                self._changes.clear()
            return None
        changes = run.changes
        changes.merge(self._changes)
        self._changes = changes
        self._since = self._since if self._waiting else now
        self._waiting = True
        doubled = LIMITS.hook_first_pause_seconds * 2.0 ** min(self._failures, _MAX_DOUBLINGS)
        pause = min(doubled, LIMITS.hook_longest_pause_seconds)
        self._failures += 1
        self._retry_at = now + pause
        return pause

    def end(self) -> None:
        """The process is to end: run at once for a state that the hook does not know."""
        self._ending = True
        self._retry_at = None
