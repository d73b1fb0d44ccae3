"""The log: one JSON object a line on stderr (or a readable line on a terminal), and nothing else there.

``get_logger().info(Event.FILE_SYNCED, path=b"a/b", size=5)`` is all that callers do. Every line carries ``timestamp``,
``level``, ``event``, ``service``, ``version``, ``namespace`` and ``session``; the first five are no names for fields of
an event. Paths are given as bytes and are escaped here. What libraries say (:mod:`logging`, warnings, uncaught
exceptions) becomes the event ``library.message``. Events that can repeat without end
(:data:`dirsync.runtime.log.events.REPEATED`) are limited by kind; how many were swallowed is told in ``suppressed``.

structlog filters by level and binds fields; from there one function does all the work, because ``file.synced`` may be
logged ten thousand times in a second. Logging never raises.
"""

import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, TextIO, cast

from dirsync import __version__
from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log.events import REPEATED, Event
from dirsync.runtime.log.limiter import Limiter
from dirsync.runtime.log.render import clean, clean_exception, to_json
from dirsync.runtime.process.imports import without

with without("rich", "better_exceptions"):  # a third of a short run's start, for tracebacks that we never draw
    import structlog
    from structlog.typing import FilteringBoundLogger

Tap = Callable[[str], None]
"""Called with each event as one line of JSON, in the thread that logs: it must be quick and must not log."""

_KIND_FIELDS = ("kind", "reason", "logger")
_NOT_FOR_PEOPLE = ("service", "version")


class _Log:
    """Who we are, where lines go, who listens. structlog's only processor, and the logger behind its own."""

    def __init__(self) -> None:
        self.service = "dirsync"
        self.context: dict[str, str | None] = {"namespace": None, "session": None}
        self.stream: TextIO | None = None
        self.console: structlog.dev.ConsoleRenderer | None = None
        self.limiter = Limiter()
        self.wall_ns: WallNanoseconds = wall_ns
        self.taps: tuple[Tap, ...] = ()
        self._second = (-1, "")
        # Reentrant: a finalizer may log in the middle of what its own thread logs.
        self._lock = threading.RLock()

    def __call__(self, _logger: object, level: str, fields: MutableMapping[str, Any]) -> str:
        """Make the line of an event; ends in the methods below unless the limit swallows it."""
        event = fields.pop("event", "")
        self.tell_suppressed()
        if event in REPEATED:
            kind = next((str(fields[name]) for name in _KIND_FIELDS if name in fields), "")
            if not self.limiter.admit((level, str(event), kind)):
                raise structlog.DropEvent
        try:
            return self.line(level, event, fields)
        except Exception as error:  # noqa: BLE001 - whatever a value's own code does, the work goes on
            message = f"event could not be rendered: {type(error).__name__}"
            return self.line("error", Event.LIBRARY_MESSAGE, {"logger": __name__, "message": message})

    def line(self, level: str, event: str, fields: MutableMapping[str, Any]) -> str:
        """An event in the form that the stream wants; listeners get it as JSON whatever that is."""
        exc_info = fields.pop("exc_info", None)
        whole = self._head(level, event, fields)
        for name, value in fields.items():
            whole[name] = clean(value)
        if exc_info and (error := _exception(exc_info)) is not None:
            whole["exception"] = clean_exception(error)
        if self.console is None:
            text = to_json(whole)
            self._tell(text)
            return text
        if self.taps:
            self._tell(to_json(whole))
        told = {name: value for name, value in whole.items() if value is not None and name not in _NOT_FOR_PEOPLE}
        return str(self.console(None, level, told))

    def tell_suppressed(self, *, everything: bool = False) -> None:
        """A line for each kind of event that the limit swallowed since the last one."""
        for key, count in self.limiter.due(everything=everything):
            level, event, kind = key
            message = f"{count} more of this kind were not logged"
            self.msg(self.line(level, event, {"kind": kind or None, "suppressed": count, "message": message}))

    def msg(self, line: str) -> None:
        """Write a line; where nothing can be written, the work goes on without a log."""
        self.write(f"{line}\n")

    def each(self, level: str, event: str, rows: Iterable[Mapping[str, object]]) -> None:
        """A line for each of ``rows``, with one time and in one piece."""
        head = to_json(self._head(level, event, {}))[:-1]
        lines: list[str] = []
        for row in rows:
            line = f"{head},{to_json({name: clean(value) for name, value in row.items()})[1:]}"
            self._tell(line)
            lines.append(f"{line}\n")
        self.write("".join(lines))

    def write(self, text: str) -> None:
        """Write whole lines."""
        stream = self.stream or sys.stderr
        try:
            with self._lock:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return

    debug = info = warning = error = critical = notset = msg

    def _head(self, level: str, event: str, fields: MutableMapping[str, Any]) -> dict[str, object]:
        context = self.context
        return {
            "timestamp": self._timestamp(),
            "level": level,
            "event": clean(event),
            "service": self.service,
            "version": __version__,
            "namespace": clean(fields.pop("namespace", context["namespace"])),
            "session": clean(fields.pop("session", context["session"])),
        }

    def _timestamp(self) -> str:
        second, nanoseconds = divmod(self.wall_ns(), 1_000_000_000)
        known, text = self._second
        if known != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{nanoseconds // 1_000_000:03d}Z"

    def _tell(self, line: str) -> None:
        for tap in self.taps:
            try:
                tap(line)
            except Exception:  # noqa: BLE001, S112 - a listener's trouble cannot be logged, or it would be told of it
                continue


_log = _Log()


def configure(
    service: str,
    level: LogLevel = LogLevel.INFO,
    log_format: LogFormat = LogFormat.AUTO,
    *,
    stream: TextIO | None = None,
    limiter: Limiter | None = None,
) -> None:
    """Decide once, before anything is logged, who we are and what is written how; ``stream`` is stderr otherwise."""
    _log.service = service
    _log.context = {"namespace": None, "session": None}
    _log.stream = stream
    _log.limiter = limiter or Limiter()
    terminal = (stream or sys.stderr).isatty()
    readable = log_format is LogFormat.CONSOLE or (log_format is LogFormat.AUTO and terminal)
    _log.console = structlog.dev.ConsoleRenderer(colors=terminal, sort_keys=False) if readable else None
    _configure_structlog(level, cache=True)


def _configure_structlog(level: LogLevel, *, cache: bool) -> None:
    structlog.configure(
        processors=[_log],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=lambda *_: _log,
        cache_logger_on_first_use=cache,
    )


_configure_structlog(LogLevel.INFO, cache=False)


def get_logger(**fields: object) -> FilteringBoundLogger:
    """A logger whose events carry these fields. Cheap; where thousands are logged, keep one in a variable."""
    return cast("FilteringBoundLogger", structlog.get_logger(**fields))


def set_context(*, namespace: str | None, session: str | None) -> None:
    """What ``namespace`` and ``session`` are for events that do not bring their own: a client has one of each."""
    _log.context = {"namespace": namespace, "session": session}


def subscribe(tap: Tap) -> Callable[[], None]:
    """Hand every event that passes the level and the limit to ``tap`` as well; returns what ends that."""
    _log.taps = (*_log.taps, tap)

    def unsubscribe() -> None:
        _log.taps = tuple(other for other in _log.taps if other is not tap)

    return unsubscribe


def info_each(event: Event, rows: Sequence[Mapping[str, object]]) -> None:
    """Log the same event many times at the level ``info``, each with the fields of one row, at a third of the cost."""
    logger = get_logger()
    if not rows or not logger.is_enabled_for(logging.INFO):
        return
    if _log.console is not None or event in REPEATED:
        for row in rows:
            logger.info(event, **row)
    else:
        _log.each("info", event, rows)


def flush() -> None:
    """Tell what the limit has swallowed so far."""
    _log.tell_suppressed(everything=True)


def capture_libraries(level: LogLevel = LogLevel.INFO) -> None:
    """Turn what libraries, warnings and uncaught exceptions write to stderr into events, from now on."""
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[_Handler()], force=True)
    logging.getLogger().setLevel(logging.INFO if level is LogLevel.DEBUG else logging.WARNING)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda args: _library("error", "python", args.err_msg or "ignored exception", args.exc_value)
    threading.excepthook = lambda args: _thread_died(args.thread, args.exc_value)
    atexit.register(flush)


_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"))


class _Handler(logging.Handler):
    """Everything from :mod:`logging`, as our event."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for least, name in _LEVELS if record.levelno >= least), "info")
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's wrong format string
            message = str(record.msg)
        _library(level, record.name, message, record.exc_info[1] if record.exc_info else None)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _library("critical", "python", f"uncaught {kind.__name__}: {error}", error.with_traceback(trace))


def _thread_died(thread: threading.Thread | None, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        _library("error", "threading", f"thread {thread.name if thread else '?'} died: {error}", error)


def _library(level: str, logger: str, message: str, error: BaseException | None) -> None:
    getattr(get_logger(), level)(Event.LIBRARY_MESSAGE, logger=logger, message=message, exc_info=error)


def _exception(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1]
