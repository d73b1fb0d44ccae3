"""The last events of the log, as the page shows them."""

import json
from collections.abc import Callable

import pytest

from dirsync.runtime.log.events import Event
from dirsync.runtime.page.recent_events import FILES_KEPT, OTHERS_KEPT, LastEvents


class Source:
    """A log that is spoken by hand."""

    def __init__(self) -> None:
        self.taps: list[Callable[[str], None]] = []

    def subscribe(self, tap: Callable[[str], None]) -> Callable[[], None]:
        """As the log's own."""
        self.taps.append(tap)
        return lambda: self.taps.remove(tap)

    def say(self, event: str, **fields: object) -> None:
        """Log an event."""
        head = {"timestamp": "2026-01-02T03:04:05.678Z", "level": "info", "event": event, "service": "client"}
        for tap in self.taps:
            tap(json.dumps(head | fields, separators=(",", ":")))


@pytest.fixture
def log() -> Source:
    """A log."""
    return Source()


def test_newest_first(log: Source) -> None:
    """Events of files and others stand in one list, in the order in which they came."""
    last = LastEvents(listen=log.subscribe)
    log.say(Event.SYNC_STARTED)
    log.say(Event.FILE_SYNCED, path="a", strategy="delta", size=5, duration_ms=1.5)
    log.say(Event.SYNC_COMPLETED, files=1, root_digest="00")

    assert ["sync.completed", "file.synced", "sync.started"] == [event.event for event in last.events.shown]
    assert [{"files": 1}, {"path": "a", "strategy": "delta", "size": 5}, {}] == [e.fields for e in last.events.shown]


def test_files_do_not_push_out_the_rest(log: Source) -> None:
    """A thousand files leave the event that says why they came; what is not shown is counted."""
    last = LastEvents(listen=log.subscribe)
    log.say(Event.GUARD_HELD, hold="abc", guard="root_emptied", paths=7)
    for number in range(1000):
        log.say(Event.FILE_SYNCED, path=str(number))
    events = last.events

    assert FILES_KEPT + 1 == len(events.shown)
    assert Event.GUARD_HELD == events.shown[-1].event
    assert 1001 == len(events.shown) + events.more


def test_bounded(log: Source) -> None:
    """Neither many events nor long texts make it long."""
    last = LastEvents(listen=log.subscribe)
    for _ in range(1000):
        log.say(Event.FILE_PROBLEM, path="p" * 9000, kind="unreadable", problem="x" * 9000)
        log.say(Event.CONNECTION_LOST, problem="x" * 9000)

    assert FILES_KEPT + OTHERS_KEPT == len(last.events.shown)
    assert len(last.events.model_dump_json()) < 12_000


def test_only_what_is_for_everybody(log: Source) -> None:
    """Settings, absolute paths, addresses of peers and tracebacks stay in the log."""
    last = LastEvents(listen=log.subscribe)
    log.say(Event.CONFIG_EFFECTIVE, settings={"source": "/secret"})
    log.say(Event.LOG_UNTRACKED, path="/secret", problem="/secret is our log")
    log.say(Event.CLIENT_STARTED, source="/secret", listen="127.0.0.1:1")
    log.say(Event.LIBRARY_MESSAGE, logger="x", message="/secret", exception="/secret")
    log.say(Event.AUTH_REJECTED, method="m", reason="RATE_LIMITED", peer="192.0.2.0/24", problem="secret")
    log.say(Event.CONFIG_REJECTED, setting="TOKEN_FILE", problem="/secret")
    log.say("some.event", text="/secret")
    text = last.events.model_dump_json()

    assert not {word for word in ("secret", "192.0.2") if word in text}
    assert ["config.rejected", "auth.rejected", "library.message", "client.started"] == [
        event.event for event in last.events.shown
    ]


def test_without_names(log: Source) -> None:
    """Where names of files are not for everybody, no event has a path or a text that may name one."""
    last = LastEvents(names=False, listen=log.subscribe)
    log.say(Event.FILE_SYNCED, path="private", strategy="whole", size=3)
    log.say(Event.FILE_PROBLEM, path="private", kind="unreadable", problem="private cannot be read")
    log.say(Event.GUARD_HELD, hold="abc", guard="delete_count", paths=3, problem="private and others")

    assert "private" not in last.events.model_dump_json()
    assert 3 == len(last.events.shown)


def test_close(log: Source) -> None:
    """A page that is closed listens no more."""
    LastEvents(listen=log.subscribe).close()

    assert [] == log.taps


def test_both_directions(log: Source) -> None:
    """What came, and what was in conflict, is among them; a conflict is no event of a single file that passes by."""
    last = LastEvents(listen=log.subscribe)
    log.say(Event.CONFLICT_KEPT, path="a", winner="source", resolution="keep-both", kept_as="a.conflict")
    for _ in range(FILES_KEPT + 1):
        log.say(Event.FILE_RECEIVED, path="b", operation="put_file", size=3, received_bytes=2, saved_bytes=1)
    shown = last.events.shown

    assert {"path": "b", "operation": "put_file", "size": 3, "received_bytes": 2, "saved_bytes": 1} == shown[0].fields
    assert {"path": "a", "winner": "source", "resolution": "keep-both", "kept_as": "a.conflict"} == shown[-1].fields
