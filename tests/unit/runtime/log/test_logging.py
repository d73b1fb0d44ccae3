"""The log."""

import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from dirsync import __version__
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.limiter import Limiter


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes during a test."""
    stream = io.StringIO()
    yield stream
    logging.configure("dirsync")


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    """The log's lines as objects."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line(stream: io.StringIO) -> None:
    """Every line has the contract's keys, in order, and the event's own."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)

    logging.get_logger(session="abc").info(Event.FILE_SYNCED, path=b"a\n\xff", size=5)

    (event,) = events(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    expected = {
        "level": "info",
        "event": "file.synced",
        "service": "client",
        "version": __version__,
        "namespace": None,
        "session": "abc",
        "path": "a\\x0a\\xff",
        "size": 5,
    }
    assert list(expected.items()) == list(event.items())


def test_context(stream: io.StringIO) -> None:
    """A process with one session sets it once; what a thread is bound to wins, and so do an event's own fields."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    logging.set_context(namespace="a", session="1")
    log = logging.get_logger()
    log.info("x")
    logging.set_context(namespace="a", session="2")
    log.info("x")
    log.info("x", namespace="b", session=None)
    with structlog.contextvars.bound_contextvars(session="3"):
        log.info("x")

    assert [("a", "1"), ("a", "2"), ("b", None), ("a", "3")] == [(e["namespace"], e["session"]) for e in events(stream)]


def test_level(stream: io.StringIO) -> None:
    """What is less severe than the level is not written."""
    logging.configure("client", LogLevel.WARNING, LogFormat.JSON, stream=stream)
    log = logging.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")

    assert ["c", "d"] == [event["event"] for event in events(stream)]


def test_console(stream: io.StringIO) -> None:
    """The readable form carries the same facts on one escaped line."""
    logging.configure("client", LogLevel.INFO, LogFormat.CONSOLE, stream=stream)

    logging.get_logger().info(Event.FILE_SYNCED, path=b"a\n\x1b[31m", size=5)

    (line,) = stream.getvalue().splitlines()
    assert "file.synced" in line
    assert "size=5" in line
    assert "\x1b" not in line
    assert "session" not in line


def test_auto_is_json_without_a_terminal(stream: io.StringIO) -> None:
    """What is not a terminal gets JSON."""
    logging.configure("client", LogLevel.INFO, LogFormat.AUTO, stream=stream)

    logging.get_logger().info("x")

    assert 1 == len(events(stream))


@pytest.mark.case("L09")
def test_repeated_problems_are_limited(stream: io.StringIO) -> None:
    """A hundred thousand like problems are a few lines, and the count of the rest is right."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream, limiter=Limiter(burst=10))
    log = logging.get_logger().bind()
    for _ in range(100_000):
        log.warning(Event.FILE_PROBLEM, path=b"x", kind="unreadable")
    log.warning(Event.FILE_PROBLEM, path=b"y", kind="storage")
    logging.flush()

    found = events(stream)
    assert 12 == len(found)
    assert ("file.problem", "warning", "unreadable", 99_990) == tuple(
        found[-1][key] for key in ("event", "level", "kind", "suppressed")
    )


def test_swallowed_are_told_by_any_later_event(stream: io.StringIO) -> None:
    """When the interval is over the next event, whatever it is, brings the count of what was swallowed."""
    now = [0.0]
    limiter = Limiter(burst=1, interval_seconds=60, clock=lambda: now[0])
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream, limiter=limiter)
    log = logging.get_logger()
    for _ in range(3):
        log.warning(Event.AUTH_REJECTED, reason="unauthenticated")
    now[0] = 60.0
    log.info(Event.SYNC_COMPLETED)

    expected = [("auth.rejected", None), ("auth.rejected", 2), ("sync.completed", None)]
    assert expected == [(event["event"], event.get("suppressed")) for event in events(stream)]


class Finalized:
    """Something whose end is logged."""

    def __del__(self) -> None:
        logging.get_logger().warning(Event.LIBRARY_MESSAGE, logger="finalizer")


class Stream(io.StringIO):
    """A stream in whose writing something ends."""

    def write(self, text: str) -> int:
        """Let the garbage collector come at the worst moment."""
        if "finalizer" not in text:
            Finalized()
        return super().write(text)


def test_finalizers_may_log() -> None:
    """A finalizer that logs while its own thread writes a line does not stop the thread."""
    stream = Stream()
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    logging.get_logger().info("x")
    logging.configure("dirsync")

    assert ["library.message", "x"] == [event["event"] for event in events(stream)]


def test_other_events_are_not_limited(stream: io.StringIO) -> None:
    """Each synced file is logged."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream, limiter=Limiter(burst=1))
    for _ in range(50):
        logging.get_logger().info(Event.FILE_SYNCED, path=b"x")

    assert 50 == len(events(stream))


def test_tap(stream: io.StringIO) -> None:
    """A listener gets each written event as JSON, whatever the format, until it is removed; its errors are its own."""
    logging.configure("client", LogLevel.INFO, LogFormat.CONSOLE, stream=stream)
    heard: list[str] = []

    def broken(_line: str) -> None:
        raise RuntimeError

    stop = [logging.subscribe(broken), logging.subscribe(heard.append)]
    logging.get_logger().info("a")
    logging.get_logger().debug("filtered")
    for end in stop:
        end()
    logging.get_logger().info("b")

    assert ["a"] == [json.loads(line)["event"] for line in heard]


class Unprintable:
    """A value whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


def test_never_raises(stream: io.StringIO) -> None:
    """A value that cannot be shown, or a stream that is gone, costs a line and nothing else."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    log = logging.get_logger()
    log.info("x", value=Unprintable())
    (event,) = events(stream)
    stream.close()
    log.info("y")

    assert ("library.message", "error") == (event["event"], event["level"])


def test_exception(stream: io.StringIO) -> None:
    """An exception comes with its traceback."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    try:
        int("x")
    except ValueError:
        logging.get_logger().exception("failed")

    (event,) = events(stream)
    assert "error" == event["level"]
    assert event["exception"].endswith("invalid literal for int() with base 10: 'x'")


def test_threads_do_not_mix_lines(stream: io.StringIO) -> None:
    """Lines of several threads are whole."""
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream)
    log = logging.get_logger().bind()

    def work() -> None:
        for number in range(500):
            log.info("x", number=number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 2000 == len(events(stream))


LIBRARIES = """
import logging, threading, warnings, sys
from dirsync.runtime.log import libraries, logging as ours
from dirsync.runtime.config.settings import LogFormat, LogLevel
ours.configure("server", LogLevel.INFO, LogFormat.AUTO)
libraries.capture_libraries()
logging.getLogger("lib").info("quiet")
logging.getLogger("lib").warning("loud %s", "a\\nb")
logging.getLogger("lib").error("wrong %d", "x")
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start(); thread.join()
class Bad:
    def __del__(self): raise ValueError("unraisable")
Bad()
raise KeyError("end\\x1b")
"""


def test_libraries() -> None:
    """logging, warnings and uncaught exceptions of all threads are events, and stderr holds nothing else."""
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=False)

    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"library.message"} == {event["event"] for event in found}
    expected = [
        ("warning", "lib", "loud a\\x0ab"),
        ("error", "lib", "wrong %d"),
        ("warning", "py.warnings", None),
        ("error", "threading", "thread worker died: division by zero"),
        ("error", "python", None),
        ("critical", "python", "uncaught KeyError: 'end\\x1b'"),
    ]
    assert expected == [
        (e["level"], e["logger"], want and e["message"]) for e, (_, _, want) in zip(found, expected, strict=True)
    ]
    assert 1 == done.returncode


def test_interrupt_is_silent() -> None:
    """Ctrl-C leaves no traceback."""
    code = LIBRARIES.split("logging.getLogger", maxsplit=1)[0] + "raise KeyboardInterrupt"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "" == done.stderr
