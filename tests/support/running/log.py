"""A program's stderr: the events of its JSON log, and the lines that are none.

Events are dictionaries as the program wrote them. Whatever a library said, every traceback, and every event that is not
as documented, is a complaint that fails a test at its end unless the test forgives it.
"""

import json
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

from tests.support.running.events import faults

Event = dict[str, Any]


class Log:
    """Everything that a program has written so far; a thread of its own reads on until the program ends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._messages: list[str] = []
        self._forgiven: list[str] = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    @property
    def events(self) -> list[Event]:
        """The events so far, oldest first."""
        with self._changed:
            return list(self._events)

    @property
    def messages(self) -> list[str]:
        """Lines for users."""
        with self._changed:
            return list(self._messages)

    def mark(self) -> int:
        """A place in the log, for the ``since`` of the other methods: only what comes after it counts."""
        with self._changed:
            return len(self._events)

    def all(self, event: str, *, since: int = 0, **fields: object) -> list[Event]:
        """The events of this name that have these fields."""
        return list(_matching(self.events[since:], event, fields))

    def wait_for(self, event: str, *, since: int = 0, seconds: float = 15.0, **fields: object) -> Event:
        """The first such event, now or later; fails the test if none comes in time or the program ends without."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for found in _matching(self._events[since:], event, fields):
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the program ended" if self._ended else f"{seconds:g} s passed"
                    msg = f"{why} without {event} {fields or ''}; the log:\n{self._tail(since)}"
                    raise AssertionError(msg)
                self._changed.wait(left)

    def forgive(self, text: str) -> None:
        """Complaints that contain this are what the test wants to see."""
        self._forgiven.append(text)

    def complaints(self) -> list[str]:
        """What should be in no log: messages of libraries, errors, tracebacks."""
        bad = [
            json.dumps(event) for event in self.events if event["event"] == "library.message" or "exception" in event
        ]
        bad += [fault for event in self.events for fault in faults(event)]
        bad += [line for line in self.messages if "Traceback" in line or "Error:" in line or "Exception" in line]
        return [line for line in bad if not any(text in line for text in self._forgiven)]

    def finish(self) -> None:
        """Wait until everything that the program wrote is read."""
        self._thread.join(10)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="backslashreplace").rstrip("\n")
                with self._changed:
                    event = _parse(line)
                    if event is None:
                        self._messages.append(line)
                    else:
                        self._events.append(event)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _tail(self, since: int) -> str:
        return "\n".join([*(json.dumps(event) for event in self._events[since:][-40:]), *self._messages[-20:]])


def _parse(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _matching(events: list[Event], event: str, fields: dict[str, object]) -> Iterator[Event]:
    for found in events:
        if found["event"] == event and all(found.get(name) == value for name, value in fields.items()):
            yield found
