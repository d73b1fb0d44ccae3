"""Where the log goes, and what happens when nobody reads it."""

import fcntl
import os
import select
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dirsync.limits import LIMITS
from dirsync.runtime.log.output import Output

SMALL = replace(LIMITS, log_backlog_characters=10_000, log_stall_seconds=0.2, log_drain_seconds=5.0)
PIPE_BYTES = 4096


class Pipe:
    """A pipe in the place of stderr, which holds as little as the kernel allows."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.stream = os.fdopen(writing, "w")

    def read(self, ends: str) -> list[str]:
        """The lines up to one that ends so."""
        content = b""
        while not content.endswith(f"{ends}\n".encode()):
            assert select.select([self.reading], [], [], 10)[0], content[-200:]
            content += os.read(self.reading, 1 << 16)
        return content.decode().splitlines()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """A pipe that is stderr."""
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe.stream)
    monkeypatch.setattr(sys, "__stderr__", pipe.stream)
    yield pipe
    os.close(pipe.reading)


def detached() -> Output:
    """An output that writes in its thread."""
    output = Output(lambda count: f"{count} dropped\n", SMALL)
    output.detach()
    return output


def test_in_order(pipe: Pipe) -> None:
    """Lines come whole and in order, and all are written once it is drained."""
    output = detached()
    for number in range(100):
        output.msg(f"{number}")
    output.drain()

    assert [str(number) for number in range(100)] == pipe.read("99")


def test_nobody_reads(pipe: Pipe) -> None:
    """Logging goes on; what does not fit is dropped, and counted as soon as somebody reads again."""
    output = detached()
    line = "x" * 99
    for _ in range(1000):
        output.msg(line)
    kept = pipe.read(" dropped")

    assert {line, kept[-1]} == set(kept)
    assert 1000 - len(kept[:-1]) == int(kept[-1].split()[0]) > 500
    output.msg("again")
    assert ["again"] == pipe.read("again")


def test_slow_reader(pipe: Pipe) -> None:
    """Nothing is dropped for a reader that is slow and reads, however much is logged."""
    output, got = detached(), bytearray()

    def read() -> None:
        while not got.endswith(b"end\n") and select.select([pipe.reading], [], [], 10)[0]:
            got.extend(os.read(pipe.reading, 512))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2000):
        output.msg("x" * 99)
    output.msg("end")
    reader.join(60)

    assert 2001 == got.count(b"\n")


def test_a_line_larger_than_the_bound(pipe: Pipe) -> None:
    """It is written, as everything is of which there is only one."""
    output = detached()
    threading.Thread(target=output.msg, args=("y" * 20_000,)).start()

    assert ["y" * 20_000] == pipe.read("y")


def test_no_thread_left(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread for it, lines are written by who logs them."""
    monkeypatch.setattr("dirsync.runtime.log.output.Thread.start", no_thread)
    output = detached()
    output.msg("a")

    assert ["a"] == pipe.read("a")


def no_thread(_thread: threading.Thread) -> None:
    """Do what the standard library does under a pid limit."""
    msg = "can't start new thread"
    raise RuntimeError(msg)
