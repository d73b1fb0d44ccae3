"""The log: one JSON object a line on stderr (or a readable line on a terminal), and nothing else there.

``get_logger().info(Event.FILE_SYNCED, path=b"a/b", size=5)`` is all that callers do. Every line carries ``timestamp``,
``level``, ``event``, ``service``, ``version``, ``namespace`` and ``session``; the first five are no names for fields of
an event. Paths are given as bytes and are escaped here. What libraries say becomes the event ``library.message``
(:mod:`dirsync.runtime.log.libraries`). Events that can repeat without end
(:data:`dirsync.runtime.log.events.REPEATED`) are limited by kind; how many were dropped is told in ``suppressed``.

structlog filters by level and passes an event through :data:`_CHAIN`. Logging never raises.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO, cast

from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import structure
from dirsync.runtime.log.events import REPEATED, Event
from dirsync.runtime.log.limiter import Limiter
from dirsync.runtime.log.output import Output
from dirsync.runtime.log.processors import AddHead, Escape, Fields, LimitRepeats, Publish, Render, Tap
from dirsync.runtime.log.render import clean, to_json, to_members
from dirsync.runtime.process.lifecycle import at_any_end


def _report(level: str, event: str, fields: Fields) -> None:
    """Log an event past the limit."""
    made: Any = {"event": event, **fields}
    for processor in _AFTER_LIMIT:
        made = processor(None, level, made)
    _output.msg(made)


def _dropped_line(count: int) -> str:
    made: Any = {"event": Event.LOG_DROPPED, "dropped": count}
    for processor in _AFTER_LIMIT:
        made = processor(None, "warning", made)
    return f"{made}\n"


_add_head = AddHead()
_limit = LimitRepeats(_report)
_publish = Publish()
_render = Render()
_output = Output(_dropped_line)
_AFTER_LIMIT: tuple[structure.Processor, ...] = (_add_head, Escape(_add_head), _publish, _render)
_CHAIN: tuple[structure.Processor, ...] = (structure.merge_contextvars, _limit, *_AFTER_LIMIT)


def configure(
    service: str,
    level: LogLevel = LogLevel.INFO,
    log_format: LogFormat = LogFormat.AUTO,
    *,
    stream: TextIO | None = None,
    limiter: Limiter | None = None,
) -> None:
    """Decide once, before anything is logged, who we are and what is written how; ``stream`` is stderr otherwise."""
    _add_head.service = service
    set_context(namespace=None, session=None)
    _limit.limiter = limiter or Limiter()
    _output.stream = stream
    terminal = (stream or sys.stderr).isatty()
    readable = log_format is LogFormat.CONSOLE or (log_format is LogFormat.AUTO and terminal)
    _render.console = structure.ConsoleRenderer(colors=terminal, sort_keys=False) if readable else None
    _configure_structlog(level, cache=True)


def _configure_structlog(level: LogLevel, *, cache: bool) -> None:
    structure.configure(
        processors=_CHAIN,
        wrapper_class=structure.make_filtering_bound_logger(level.value),
        logger_factory=lambda *_: _output,
        cache_logger_on_first_use=cache,
    )


_configure_structlog(LogLevel.INFO, cache=False)


def get_logger(**fields: object) -> structure.FilteringBoundLogger:
    """A logger whose events carry these fields. Cheap; where thousands are logged, keep one in a variable."""
    return cast("structure.FilteringBoundLogger", structure.get_logger(**fields))


def set_context(*, namespace: str | None, session: str | None) -> None:
    """Set ``namespace`` and ``session`` of the events of all threads that do not bring their own."""
    _add_head.context = {"namespace": namespace, "session": session}


def subscribe(tap: Tap) -> Callable[[], None]:
    """Hand every event that passes the level and the limit to ``tap`` as well.

    Returns:
        A function that ends that.
    """
    _publish.taps = (*_publish.taps, tap)

    def unsubscribe() -> None:
        _publish.taps = tuple(other for other in _publish.taps if other is not tap)

    return unsubscribe


def info_each(event: Event, rows: Sequence[Mapping[str, object]], shared: Mapping[str, object] | None = None) -> None:
    """Log the same event many times at the level ``info``, each with the fields of one row, at a third of the cost.

    ``shared``: further fields, the same for all rows.
    """
    logger = get_logger()
    if not rows or not logger.is_enabled_for(logging.INFO):
        return
    if _render.console is not None or event in REPEATED:
        for row in rows:
            logger.info(event, **row, **(shared or {}))
    else:
        _write_each(event, rows, shared or {})


def _write_each(event: str, rows: Iterable[Mapping[str, object]], shared: Mapping[str, object]) -> None:
    """A line of JSON for each of ``rows``, with one time and in one piece."""
    whole = _add_head.head("info", event)
    # What the shared fields say of the context counts, and stands where the context does.
    whole |= {name: value for name, value in shared.items() if name in whole}
    head = to_json({name: clean(value) for name, value in whole.items()})[:-1]
    shared = {name: value for name, value in shared.items() if name not in whole}
    tail = to_json({name: clean(value) for name, value in shared.items()})[1:]
    lines: list[str] = []
    tail = f",{tail}" if shared else "}"
    for members in to_members(rows):
        line = f"{head},{members}{tail}"
        _publish.publish(line)
        lines.append(f"{line}\n")
    _output.write("".join(lines))


def detach() -> None:
    """Write the log in a thread from now on: a reader of stderr that stops reading stops nothing else.

    At the end of the process what was logged is written, for as long as somebody reads.
    """
    stream = sys.__stderr__
    if stream is not None and sys.stderr is stream:
        stream.flush()
        _output.detach(stream.fileno())
        at_any_end(_output.drain)


def tell_people(text: str) -> None:
    """Write whole lines for people among those of the log."""
    _output.write(text)


def dropped_lines() -> int:
    """Lines of the log that were dropped so far."""
    return _output.dropped


def flush() -> None:
    """Report what the limit has dropped so far."""
    _limit.report_dropped(everything=True)
