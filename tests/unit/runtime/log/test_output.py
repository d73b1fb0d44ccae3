"""Where the log goes, and what happens when nobody reads it."""

import fcntl
import os
import select
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dirsync.limits import LIMITS
from dirsync.runtime.log.output import Output

BACKLOG = 10_000
PIPE_BYTES = 4096
LINE = "x" * 99
F_SETPIPE_SZ = 1031
"""Of Linux; older versions of fcntl have no name for it."""


class Pipe:
    """A pipe that holds as little as the kernel allows."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, F_SETPIPE_SZ, PIPE_BYTES)

    def read(self, *, until: str) -> list[str]:
        """The lines up to one that ends so."""
        content = b""
        while not content.endswith(f"{until}\n".encode()):
            assert select.select([self.reading], [], [], 30)[0], content[-200:]
            content += os.read(self.reading, 1 << 16)
        return content.decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe; its reading end is closed at the end, so that no thread stays in it."""
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)


def detached(pipe: Pipe, *, stall_seconds: float = 30.0) -> Output:
    """An output that writes to the pipe in its thread."""
    output = Output(
        lambda count: f"{count} dropped\n", replace(LIMITS, log_backlog_bytes=BACKLOG, log_stall_seconds=stall_seconds)
    )
    output.detach(pipe.writing)
    return output


def test_in_order(pipe: Pipe) -> None:
    """Lines come whole and in order, and all are written once it is drained."""
    output = detached(pipe)
    for number in range(100):
        output.msg(f"{number}")
    output.drain()

    assert [str(number) for number in range(100)] == pipe.read(until="99")


def test_nobody_reads(pipe: Pipe) -> None:
    """Logging goes on; what does not fit is dropped, and counted as soon as somebody reads again."""
    output = detached(pipe, stall_seconds=0.2)
    for _ in range(1000):
        output.msg(LINE)
    output.drain()
    dropped = output.dropped
    kept = pipe.read(until=" dropped")
    output.msg("again")

    assert {LINE, kept[-1]} == set(kept)
    assert 1000 - (len(kept) - 1) == int(kept[-1].split()[0]) == dropped
    assert dropped > 500
    assert ["again"] == pipe.read(until="again")
    assert dropped == output.dropped


def test_slow_reader(pipe: Pipe) -> None:
    """Nothing is dropped for a reader that is slow and reads, however much is logged."""
    output, got = detached(pipe), bytearray()

    def read() -> None:
        while not got.endswith(b"end\n") and select.select([pipe.reading], [], [], 30)[0]:
            got.extend(os.read(pipe.reading, 512))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2000):
        output.msg(LINE)
    output.msg("end")
    output.drain()
    reader.join(60)

    assert (2001, 0) == (got.count(b"\n"), output.dropped)


def test_line_larger_than_the_bound(pipe: Pipe) -> None:
    """It is written, as everything is of which there is only one."""
    output = detached(pipe)
    output.msg("y" * 2 * BACKLOG)

    assert ["y" * 2 * BACKLOG] == pipe.read(until="y")


def test_descriptor_that_does_not_wait(pipe: Pipe) -> None:
    """Who gave us the pipe may have set it not to wait: all is written as there is room."""
    os.set_blocking(pipe.writing, False)
    output = detached(pipe)
    for number in range(90):
        output.msg(f"{number:099}")
    lines = pipe.read(until="089")

    assert [f"{number:099}" for number in range(90)] == lines


def test_reader_gone(pipe: Pipe) -> None:
    """A pipe without a reader takes nothing, and nobody waits for it."""
    read_end, other = os.pipe()
    os.dup2(read_end, pipe.reading)
    os.close(read_end)
    output = detached(pipe)
    for _ in range(1000):
        output.msg(LINE)
    output.drain()
    os.close(other)

    assert 0 == output.dropped


def test_no_thread_left(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread for it, lines are written by who logs them."""
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    output = Output()
    with os.fdopen(os.dup(pipe.writing), "w") as stream:
        output.stream = stream
        output.detach(pipe.writing)
        output.msg("a")

    assert ["a"] == pipe.read(until="a")


def no_thread(_thread: threading.Thread) -> None:
    """Do what the standard library does under a pid limit."""
    msg = "can't start new thread"
    raise RuntimeError(msg)


def test_stream_comes_first(pipe: Pipe) -> None:
    """A stream that was chosen is written by who logs."""
    output = detached(pipe)
    with os.fdopen(os.dup(pipe.writing), "w") as stream:
        output.stream = stream
        output.msg("a")

        assert b"a\n" == os.read(pipe.reading, 2)
