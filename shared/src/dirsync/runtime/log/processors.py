"""What happens to an event between the code that logs it and the stream: one small processor for each step.

structlog calls them in order with the event's fields. Their settings are attributes, because loggers that exist keep
the processors that they were made with.
"""

import sys
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from dirsync import __version__
from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.runtime.log.events import REPEATED, Event
from dirsync.runtime.log.limiter import Limiter
from dirsync.runtime.log.render import clean, clean_exception, to_json
from dirsync.runtime.log.structure import DropEvent

if TYPE_CHECKING:
    from dirsync.runtime.log.structure import ConsoleRenderer

Fields = MutableMapping[str, Any]
Tap = Callable[[str], None]
"""Called with each event as one line of JSON, in the thread that logs: it must be quick and must not log."""

_KIND_FIELDS = ("kind", "reason", "logger")
_NOT_FOR_PEOPLE = ("service", "version")


class LimitRepeats:
    """Drops events that repeat without end, and reports how many it has dropped."""

    def __init__(self, report: Callable[[str, str, Fields], None]) -> None:
        """``report`` is called with level, event and fields of what is to be logged about dropped events."""
        self.limiter = Limiter()
        self._report = report

    def __call__(self, _logger: object, level: str, fields: Fields) -> Fields:
        """Pass the event on, unless there were too many of its kind lately."""
        self.report_dropped()
        event = fields.get("event", "")
        if event in REPEATED:
            kind = next((str(fields[name]) for name in _KIND_FIELDS if name in fields), "")
            if not self.limiter.admit((level, str(event), kind)):
                raise DropEvent
        return fields

    def report_dropped(self, *, everything: bool = False) -> None:
        """Report each kind of event that was dropped since the last report."""
        for (level, event, kind), count in self.limiter.due(everything=everything):
            message = f"{count} more of this kind were not logged"
            self._report(level, event, {"kind": kind or None, "suppressed": count, "message": message})


class AddHead:
    """Puts in front of an event's own fields when it was, how severe it is, and who logs it."""

    def __init__(self) -> None:
        self.service = "dirsync"
        self.context: dict[str, str | None] = {"namespace": None, "session": None}
        """For events that do not bring their own; for all threads, which contextvars would not be."""
        self.wall_ns: WallNanoseconds = wall_ns
        self._second = (-1, "")

    def __call__(self, _logger: object, level: str, fields: Fields) -> Fields:
        """The head, then the fields."""
        whole = self.head(level, fields.pop("event", ""))
        whole.update(fields)
        return whole

    def head(self, level: str, event: object) -> dict[str, Any]:
        """The head of an event that brings no fields."""
        return {
            "timestamp": self._timestamp(),
            "level": level,
            "event": event,
            "service": self.service,
            "version": __version__,
            **self.context,
        }

    def _timestamp(self) -> str:
        second, nanoseconds = divmod(self.wall_ns(), 1_000_000_000)
        known, text = self._second
        if known != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{nanoseconds // 1_000_000:03d}Z"


class Escape:
    """Makes all values such that JSON can carry them and a terminal can show them."""

    def __init__(self, add_head: AddHead) -> None:
        self._add_head = add_head

    def __call__(self, _logger: object, _level: str, fields: Fields) -> Fields:
        """The fields, escaped; another event where a value's own code fails: logging never raises."""
        try:
            exc_info = fields.pop("exc_info", None)
            escaped = {name: clean(value) for name, value in fields.items()}
            if exc_info and (error := _exception(exc_info)) is not None:
                escaped["exception"] = clean_exception(error)
        except Exception as error:  # noqa: BLE001 - whatever a value's own code does, the work goes on
            escaped = self._add_head.head("error", Event.LIBRARY_MESSAGE)
            message = f"event could not be rendered: {type(error).__name__}"
            escaped |= {"logger": __name__, "message": message}
        return escaped


class Publish:
    """Hands each event to the listeners, as a line of JSON."""

    def __init__(self) -> None:
        self.taps: tuple[Tap, ...] = ()

    def __call__(self, _logger: object, _level: str, fields: Fields) -> Fields:
        """Pass the event on."""
        if self.taps:
            self.publish(to_json(fields))
        return fields

    def publish(self, line: str) -> None:
        """Hand one line to the listeners."""
        for tap in self.taps:
            try:
                tap(line)
            except Exception:  # noqa: BLE001, S112 - a listener's trouble cannot be logged, or it would be told of it
                continue


class Render:
    """Makes the line of an event: JSON, or for people on a terminal."""

    def __init__(self) -> None:
        self.console: ConsoleRenderer | None = None
        """None for JSON."""

    def __call__(self, _logger: object, level: str, fields: Fields) -> str:
        """The line, without its end."""
        if self.console is None:
            return to_json(fields)
        shown = {name: value for name, value in fields.items() if value is not None and name not in _NOT_FOR_PEOPLE}
        return str(self.console(None, level, shown))


def _exception(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1]
