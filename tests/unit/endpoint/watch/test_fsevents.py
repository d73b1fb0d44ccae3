"""macOS's events as hints, with a stand-in for the C module that only macOS has."""

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import EventQueue, ObservedWatch

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.tree.path import ROOT, RelPath

CHANGED, WRITING, DIRECTORY, LOST = HintKind.CHANGED, HintKind.WRITING, HintKind.DIRECTORY, HintKind.LOST


@pytest.fixture
def fsevents(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module under test."""
    native = ModuleType("_watchdog_fsevents")
    native.Stream = lambda _paths, **_options: SimpleNamespace(stop=lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "_watchdog_fsevents", native)
    for name in ("watchdog.observers.fsevents", "dirsync.endpoint.watch.fsevents"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import dirsync.endpoint.watch.fsevents as module  # noqa: PLC0415 - only with the stand-in in place

    yield module
    for name in ("watchdog.observers.fsevents", "dirsync.endpoint.watch.fsevents"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "event,expected",
    [
        (FileCreatedEvent("/s/f"), [(b"f", WRITING)]),
        (FileModifiedEvent("/s/d/f"), [(b"d/f", WRITING)]),
        (FileAttribEvent("/s/f"), [(b"f", CHANGED)]),
        (FileDeletedEvent("/s/f"), [(b"f", CHANGED)]),
        (FileMovedEvent("/s/a", "/s/b"), [(b"a", CHANGED), (b"b", CHANGED)]),
        (FileMovedEvent("/s/a", "/elsewhere/b"), [(b"a", CHANGED)]),
        (DirCreatedEvent("/s/d"), [(b"d", CHANGED), (b"d", DIRECTORY)]),
        (DirMovedEvent("/s/d", "/s/e"), [(b"d", CHANGED), (b"d", DIRECTORY), (b"e", CHANGED), (b"e", DIRECTORY)]),
        (DirDeletedEvent("/s/d"), [(b"d", CHANGED)]),
        (DirModifiedEvent("/s/d"), []),
        (DirModifiedEvent("/s"), [(b"", DIRECTORY)]),
        (DirDeletedEvent("/s"), [(b"", LOST)]),
        (FileCreatedEvent("/so/f"), []),
    ],
)
def test_hints(fsevents: Any, event: FileSystemEvent, expected: list[tuple[bytes, HintKind]]) -> None:
    """Each event hints the paths that it is about, together; the root itself is in doubt when it leaves."""
    batches: list[Sequence[Hint]] = []
    hints = fsevents.FSEventsHints(b"/s", batches.append, overflowed=lambda: None)

    hints.dispatch(event)

    wanted = [Hint(RelPath(path), kind) for path, kind in expected]
    assert ([wanted] if wanted else []) == batches


@pytest.mark.parametrize("flag", ["must_scan_subdirs", "is_user_dropped", "is_kernel_dropped"])
def test_dropped(fsevents: Any, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When FSEvents reports dropped events, that is reported, and everything is in doubt."""
    told: list[object] = []
    hints = fsevents.FSEventsHints(b"/s", told.extend, overflowed=lambda: told.append("overflowed"))
    queue = EventQueue()
    emitter = fsevents.TellingFSEventsEmitter(queue, ObservedWatch("/s", recursive=True))
    monkeypatch.setattr(fsevents.FSEventsEmitter, "queue_events", lambda *_: None)
    flags = dict.fromkeys(("must_scan_subdirs", "is_user_dropped", "is_kernel_dropped"), False)

    emitter.queue_events(1.0, [SimpleNamespace(**flags)])
    emitter.queue_events(1.0, [SimpleNamespace(**flags | {flag: True})])
    while not queue.empty():
        hints.dispatch(queue.get()[0])

    assert ["overflowed", Hint(ROOT, LOST)] == told
