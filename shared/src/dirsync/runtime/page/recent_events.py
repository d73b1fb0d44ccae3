"""The last events of the log, for the status page: what happened, without what is not for everybody who may look.

The log has absolute paths, settings and addresses. A page has what :data:`SHOWN` names, and nothing else. Events of
single files are kept apart, so that a thousand files do not push out the one event that says why they came.
"""

import json
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import subscribe
from dirsync.runtime.page.document import RecentEvent, RecentEvents
from dirsync.runtime.page.shorten import PATH_BYTES, TEXT_BYTES, shorten

FILES_KEPT = 10
"""Events of single files that are shown."""
OTHERS_KEPT = 15
"""Other events that are shown."""

SHOWN: dict[Event, tuple[str, ...]] = {
    Event.SERVER_STARTED: (),
    Event.SERVER_STOPPING: ("reason",),
    Event.CLIENT_STARTED: (),
    Event.CLIENT_STOPPING: ("reason",),
    Event.CLIENT_STOPPED: ("left", "held", "problems"),
    Event.CONFIG_RELOADED: ("setting",),
    Event.CONFIG_REJECTED: ("setting",),
    Event.SESSION_OPENED: ("namespace", "generation"),
    Event.SESSION_CLOSED: ("namespace",),
    Event.CONNECTION_LOST: ("problem",),
    Event.CONNECTION_RESTORED: (),
    Event.AUTH_REJECTED: ("method", "reason"),
    Event.REQUEST_REJECTED: ("method", "reason"),
    Event.SYNC_STARTED: (),
    Event.SYNC_STALLED: ("part", "problem"),
    Event.SYNC_RESUMED: (),
    Event.SYNC_COMPLETED: ("files", "deletes", "literal_bytes", "saved_bytes", "duration_ms"),
    Event.FILE_SYNCED: ("path", "strategy", "reason", "size", "saved_bytes"),
    Event.FILE_DELETED: ("path",),
    Event.FILE_RECEIVED: ("path", "operation", "size", "received_bytes", "saved_bytes"),
    Event.CONFLICT_KEPT: ("path", "winner", "resolution", "kept_as"),
    Event.FILE_LEFT_OUT: ("path", "problem"),
    Event.FILE_PROBLEM: ("path", "kind", "problem"),
    Event.GUARD_HELD: ("hold", "guard", "paths", "problem"),
    Event.GUARD_RELEASED: ("hold", "guard"),
    Event.WATCH_OVERFLOW: (),
    Event.WATCH_DEGRADED: ("reason",),
    Event.RESCAN_COMPLETED: ("namespace", "entries", "found", "duration_ms"),
    Event.HOOK_SUCCEEDED: ("hook", "namespace", "paths", "duration_ms"),
    Event.HOOK_FAILED: ("hook", "namespace", "kind", "retry_s"),
    Event.HOOK_UNDELIVERED: ("hook", "namespace"),
    Event.LOG_DROPPED: ("dropped",),
    Event.AGENT_DEGRADED: (),
    Event.LIBRARY_MESSAGE: ("logger",),
}
"""Fields of each event that are shown; an event that is not here is not."""
NAMING = frozenset({"path", "problem", "kept_as"})
"""Fields that may name a path."""

_FILE_MARK = '"event":"file.'
_HEAD = 80
"""Characters of a line in which its event stands."""


class LastEvents:
    """Listens to the log from its making to :meth:`close`."""

    def __init__(self, *, names: bool = True, listen: Callable[..., Callable[[], None]] = subscribe) -> None:
        """``names``: whether fields that may name a path are shown."""
        self._names = names
        self._number = count(1)
        self._newest = 0
        self._files: deque[tuple[int, str]] = deque(maxlen=FILES_KEPT)
        self._others: deque[tuple[int, str]] = deque(maxlen=OTHERS_KEPT)
        self._unsubscribe = listen(self._take)

    def close(self) -> None:
        """Listen no more."""
        self._unsubscribe()

    @property
    def events(self) -> RecentEvents:
        """What is shown now, the newest first."""
        kept = sorted((*tuple(self._files), *tuple(self._others)), reverse=True)
        read = (self._read(line) for _, line in kept)
        shown = [event for event in read if event is not None]
        return RecentEvents(shown=shown, more=max(0, self._newest - len(kept)))

    def _take(self, line: str) -> None:
        # In the thread that logs, for each file: it must cost next to nothing.
        number = self._newest = next(self._number)
        (self._files if _FILE_MARK in line[:_HEAD] else self._others).append((number, line))

    def _read(self, line: str) -> RecentEvent | None:
        fields: dict[str, Any] = json.loads(line)
        name = fields.get("event")
        if name not in SHOWN:
            return None
        wanted = (*SHOWN[Event(name)], "target", "suppressed")
        shown = {key: _bounded(key, fields[key]) for key in wanted if fields.get(key) is not None}
        if not self._names:
            shown = {key: value for key, value in shown.items() if key not in NAMING}
        return RecentEvent(time=fields["timestamp"], level=fields["level"], event=name, fields=shown)


def _bounded(key: str, value: object) -> str | int | float:
    if isinstance(value, int | float):
        return value
    return shorten(str(value), PATH_BYTES if key in ("path", "kept_as") else TEXT_BYTES)
