"""Files that somebody writes all the time: they are published at a bounded age, at a bounded cost, and never torn."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirsync.limits import LIMITS, MIB
from tests.support.running.figures import cpu_seconds
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import equal

pytestmark = pytest.mark.programs


APPEND = """
import os, sys, time
path, pause, seconds, line = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
end = time.monotonic() + seconds
with open(path, "ab", 0) as file:
    while time.monotonic() < end:
        file.write(os.urandom(line))
        time.sleep(pause)
"""
REWRITE = """
import os, sys, time
path, pause, seconds, size = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
end = time.monotonic() + seconds
with open(path, "r+b", 0) as file:
    while time.monotonic() < end:
        os.pwrite(file.fileno(), os.urandom(1) * size, 0)
        time.sleep(pause)
"""


@contextmanager
def program(code: str, path: Path, pause: float, seconds: float, size: int) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody who writes ``size`` bytes to ``path`` after each ``pause``, for so many seconds."""
    command = [sys.executable, "-c", code, str(path), str(pause), str(seconds), str(size)]
    writer = subprocess.Popen(command)
    try:
        yield writer
    finally:
        writer.kill()
        writer.wait()


def sent_bytes(client: Client) -> float:
    """Bytes of all messages that it has sent."""
    return client.metrics().value("dirsync_wire_bytes_total", direction="sent")


@pytest.mark.case("D01")
def test_log(pair: Pair) -> None:
    """A large log is renewed while a line is added every 5 ms; each time the replica has a first part of it."""
    log, copy = pair.source / "log", pair.replica / "log"
    log.write_bytes(random_bytes(30 * MIB))
    pair.server()
    client = pair.client()
    sizes = [copy.stat().st_size]
    with program(APPEND, log, 0.005, 15, 100) as writer:
        while writer.poll() is None:
            content = copy.read_bytes()
            if len(content) != sizes[-1]:
                sizes.append(len(content))

                assert content == log.read_bytes()[: len(content)]
            time.sleep(0.1)
    until(lambda: equal(pair.source, pair.replica), "the whole log")
    client.stop()

    assert len(sizes) > 4
    assert sizes == sorted(sizes)
    assert [] == client.log.all("file.problem")


@pytest.mark.case("D01")
def test_log_and_once(pair: Pair) -> None:
    """`once` is done with a log that is written all the time: it takes what was there when it was read."""
    log, copy = pair.source / "log", pair.replica / "log"
    log.write_bytes(random_bytes(30 * MIB))
    pair.server()
    with program(APPEND, log, 0.001, 60, 100):
        results = [pair.once(), pair.once()]
        content = copy.read_bytes()

        assert [0, 0] == [result.code for result in results]
        assert content == log.read_bytes()[: len(content)]
        assert len(content) > 30 * MIB


@pytest.mark.case("D01")
def test_copied_in(pair: Pair) -> None:
    """A file that is copied in slowly costs at most three times its size, and is complete soon after its end."""
    pair.server()
    client = pair.client()
    before = sent_bytes(client)
    with program(APPEND, pair.source / "iso", 0.001, 10, 8192) as writer:
        writer.wait()
    ended = time.monotonic()
    until(lambda: equal(pair.source, pair.replica), "all of it")
    late = time.monotonic() - ended
    total = sent_bytes(client) - before
    client.stop()

    assert total <= 3 * (pair.source / "iso").stat().st_size
    assert late < LIMITS.pace_longest_rest_seconds + 5


@pytest.mark.case("D20")
@pytest.mark.parametrize("size", [20_000, 5 * MIB])
def test_rewritten(pair: Pair, size: int) -> None:
    """A file that is rewritten every 10 ms takes a bounded part of a core, and in the end the replica has it."""
    path = pair.source / "f"
    path.write_bytes(bytes(size))
    pair.server()
    client = pair.client()
    before, used = sent_bytes(client), cpu_seconds(client.pid)
    seconds = 20
    with program(REWRITE, path, 0.01, seconds, size) as writer:
        writer.wait()
    used = cpu_seconds(client.pid) - used
    total = sent_bytes(client) - before
    until(lambda: equal(pair.source, pair.replica), "the last version")
    client.stop()

    assert used < 0.5 * seconds
    assert total <= max(20 * size, 15 * seconds * size / 10)


def test_rotated(pair: Pair) -> None:
    """A log is renamed while its writer goes on in it, and another is cut while it is appended to: nothing is lost."""
    pair.server()
    log = pair.source / "log"
    log.write_bytes(b"")
    client = pair.client(rescan_interval="1h")
    with program(APPEND, log, 0.01, 6, 100) as writer:
        for turn in (1, 2):
            time.sleep(1)
            for number in range(turn, 0, -1):
                former = log.with_name(f"log.{number - 1}") if number > 1 else log
                former.rename(log.with_name(f"log.{number}"))
            log.write_bytes(b"")
        writer.wait()
    until(lambda: equal(pair.source, pair.replica), "every file of the rotation")
    assert log.with_name("log.2").stat().st_size > 20_000

    with program(APPEND, log, 0.01, 3, 100) as writer:
        time.sleep(1)
        shutil.copyfile(log, log.with_name("copy"))
        os.truncate(log, 0)
        writer.wait()
    until(lambda: equal(pair.source, pair.replica), "the log that was cut, and its copy")
    client.wait_until_in_sync()


def test_log_at_the_end(pair: Pair) -> None:
    """A client that is told to end while a log is written leaves it as it was at the signal, or newer."""
    pair.server()
    log = pair.source / "log"
    log.write_bytes(b"")
    with program(APPEND, log, 0.003, 60, 100):
        for turn in range(2):
            client = pair.client(rescan_interval="1h")
            time.sleep(1.5)
            size = log.stat().st_size
            client.signal(signal.SIGTERM)
            assert client.wait() == 0

            mirrored = (pair.replica / "log").read_bytes()
            assert size > turn * 10_000
            assert len(mirrored) >= size
            assert log.read_bytes().startswith(mirrored)
