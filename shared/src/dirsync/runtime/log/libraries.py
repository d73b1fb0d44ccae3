"""What libraries, warnings and uncaught exceptions would write to stderr, as events ``library.message``."""

import atexit
import logging
import sys
import threading
from types import TracebackType

from dirsync.runtime.config.settings import LogLevel
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import flush, get_logger

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"))


def capture_libraries(level: LogLevel = LogLevel.INFO) -> None:
    """Turn what libraries, warnings and uncaught exceptions write to stderr into events, from now on."""
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[_Handler()], force=True)
    logging.getLogger().setLevel(logging.INFO if level is LogLevel.DEBUG else logging.WARNING)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda args: _log("error", "python", args.err_msg or "ignored exception", args.exc_value)
    threading.excepthook = lambda args: _thread_died(args.thread, args.exc_value)
    atexit.register(flush)


class _Handler(logging.Handler):
    """Everything from :mod:`logging`, as our event."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for least, name in _LEVELS if record.levelno >= least), "info")
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's wrong format string
            message = str(record.msg)
        _log(level, record.name, message, record.exc_info[1] if record.exc_info else None)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _log("critical", "python", f"uncaught {kind.__name__}: {error}", error.with_traceback(trace))


def _thread_died(thread: threading.Thread | None, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        _log("error", "threading", f"thread {thread.name if thread else '?'} died: {error}", error)


def _log(level: str, logger: str, message: str, error: BaseException | None) -> None:
    getattr(get_logger(), level)(Event.LIBRARY_MESSAGE, logger=logger, message=message, exc_info=error)
