"""macOS's events as hints, through watchdog's stock FSEvents emitter.

FSEvents watches a whole tree with one stream and tells when it dropped events, so the limits of inotify do not occur.
It does not tell of a close: a file that was written is hinted as being written and is looked at when it is quiet. Nor
can be known here whether the root is on a network file system, whose other writers cause no events: there the
periodic rescan finds the changes, or the setting ``WATCH=poll``.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from watchdog.events import (
    DirCreatedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.fsevents import FSEventsEmitter

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT, RelPath

_WRITING = (FileCreatedEvent, FileModifiedEvent)
_NEW_DIRECTORY = (DirCreatedEvent, DirMovedEvent)


class EventsDropped(FileSystemEvent):
    """FSEvents reported fewer events than happened."""

    event_type = "dropped"
    is_directory = True


class TellingFSEventsEmitter(FSEventsEmitter):
    """The stock emitter, which passes over in silence that events were dropped, made to tell it."""

    # The stock emitter adds the argument itself.
    def queue_events(self, timeout: float, events: list[Any]) -> None:  # type: ignore[override]
        """Queue the events, and before them that some are missing."""
        flags = ("must_scan_subdirs", "is_user_dropped", "is_kernel_dropped")
        if any(getattr(event, flag) for event in events for flag in flags):
            self.queue_event(EventsDropped(self.watch.path))
        super().queue_events(timeout, events)


class FSEventsHints(FileSystemEventHandler):
    """Hands over the hints of each event."""

    def __init__(self, root: bytes, sink: Callable[[Sequence[Hint]], None], *, overflowed: Callable[[], None]) -> None:
        """``root`` is the path that all paths of events begin with."""
        self._root = root
        self._below = root.rstrip(b"/") + b"/"
        self._sink = sink
        self._overflowed = overflowed

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Turn one event into hints."""
        if isinstance(event, EventsDropped):
            return
        paths = [os.fsencode(path) for path in (event.src_path, event.dest_path) if path]
        hints = [hint for path in paths for hint in self._hints(path, event)]
        if hints:
            self._sink(hints)

    def on_dropped(self, _event: EventsDropped) -> None:
        """Say that everything may be different."""
        self._overflowed()
        self._sink([Hint(ROOT, HintKind.LOST)])

    def _hints(self, path: bytes, event: FileSystemEvent) -> list[Hint]:
        if path == self._root:
            kind = HintKind.DIRECTORY if isinstance(event, DirModifiedEvent) else HintKind.LOST
            return [Hint(ROOT, kind)]
        if not path.startswith(self._below):
            return []
        below = RelPath(path[len(self._below) :])
        if isinstance(event, DirModifiedEvent):
            return []  # the entry that was added or removed has an event of its own
        hints = [Hint(below, HintKind.WRITING if isinstance(event, _WRITING) else HintKind.CHANGED)]
        if isinstance(event, _NEW_DIRECTORY):
            hints.append(Hint(below, HintKind.DIRECTORY))
        return hints


def make_observer(
    root: Root,
    sink: Callable[[Sequence[Hint]], None],
    *,
    ignored: Callable[[RelPath], bool],  # noqa: ARG001 - one stream watches all, what is ignored too
    overflowed: Callable[[], None],
    refused: Callable[[str], None],  # noqa: ARG001 - FSEvents has no limit that could be reached later
) -> BaseObserver:
    """An observer of everything below ``root``, which it closes at once; not yet started."""
    path = os.path.realpath(root.path)
    root.close()
    observer = BaseObserver(TellingFSEventsEmitter)
    observer.schedule(FSEventsHints(path, sink, overflowed=overflowed), os.fsdecode(path), recursive=True)
    return observer


def count_watches(observer: BaseObserver) -> int:
    """How many watches there are: one stream for each tree."""
    return len(observer.emitters)
