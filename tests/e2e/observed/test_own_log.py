"""A client whose log nobody reads, or is a file in what is mirrored."""

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from tests.support.running.figures import cpu_seconds
from tests.support.running.metrics import scrape
from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Pair, Service, environment
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs

F_SETPIPE_SZ = 1031


class Started:
    """A client whose stdout and stderr go where the test wants."""

    def __init__(self, pair: Pair, output: int, **settings: str) -> None:
        told = {**pair.client_settings, **settings}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "dirsync_client", "run"],
            cwd=pair.place,
            env=environment(Service.CLIENT, told),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.popen.terminate()
        return self.popen.wait(20)

    def cpu_seconds(self) -> float:
        """Processor time that it took so far."""
        return cpu_seconds(self.popen.pid)


def names(pair: Pair) -> set[str]:
    """What the replica has at its top."""
    return set(os.listdir(pair.replica))


def has_all(pair: Pair, wanted: set[str]) -> bool:
    """Whether the replica has all of these at its top."""
    return wanted <= names(pair)


def test_nobody_reads(pair: Pair) -> None:
    """A client and a server whose log pipes are full go on syncing, say what was dropped, and end in time."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    pair.server()
    client = Started(pair, writing, log_level="debug")
    os.close(writing)
    try:
        for number in range(3000):
            (pair.source / f"{number:040}").write_text(str(number))
        until(lambda: len(names(pair)) == 3000, "all that came is there", seconds=60)
        (pair.source / "late").write_text("late")
        until(lambda: "late" in names(pair), "the last one is there")
        before = time.monotonic()
        code = client.stop()
        took = time.monotonic() - before
    finally:
        client.popen.kill()
        os.close(reading)

    assert 0 == code
    assert took < 12


def test_read_again(pair: Pair) -> None:
    """Once somebody reads again, the log says how many lines are missing, and goes on."""
    reading, writing = os.pipe()
    pair.server()
    port = free_port()
    client = Started(pair, writing, metrics_listen=f"127.0.0.1:{port}")
    os.close(writing)
    waves = (range(start, start + 1000) for start in range(0, 30_000, 1000))
    try:
        # How many files share a write of the log is a matter of speed, so it goes on until lines are dropped.
        dropped = 0.0
        while not dropped:
            wave = {f"{number:0120}" for number in next(waves)}
            build(pair.source, dict.fromkeys(wave, "content"))
            until(partial(has_all, pair, wave), "all that came is there", seconds=60)
            dropped = scrape(port).value("dirsync_log_dropped_lines")
        got = bytearray()
        os.set_blocking(reading, False)

        def dropped_is_told() -> bool:
            with suppress(BlockingIOError):
                got.extend(os.read(reading, 1 << 20))
            return b'"log.dropped"' in got

        until(dropped_is_told, "it is told", seconds=60)
        code = client.stop()
    finally:
        client.popen.kill()
        os.close(reading)

    assert 0 == code
    assert b'"client.started"' in got


@pytest.mark.parametrize("ignore", ["", "*.txt"])
@pytest.mark.parametrize("name", ["log.txt", "logs/log.txt"])
def test_log_in_the_source(pair: Pair, name: str, ignore: str) -> None:
    """A log that is written into the source is left out, and told: no line leads to another one."""
    build(pair.source, {"a": "a", "logs/": None})
    pair.server()
    with (pair.source / name).open("wb") as log:
        client = Started(pair, log.fileno(), ignore=ignore)
    text = (pair.source / name).read_text
    try:
        until(lambda: '"sync.completed"' in text(), "the first sync is done")
        build(pair.source, {"b": "b"})
        until(lambda: "b" in names(pair), "others are synced")
        time.sleep(1)
        lines, cpu = text().count("\n"), client.cpu_seconds()
        time.sleep(3)
        more, spent = text().count("\n") - lines, client.cpu_seconds() - cpu
        status = pair.command("status", "--json")
        code = client.stop()
    finally:
        client.popen.kill()

    assert (0, 0) == (code, more)
    assert spent < 1
    assert '"log.untracked"' in text()
    # A directory that holds only ignored content is left out, too.
    assert {"a", "b"} == names(pair) - {"logs"}
    assert [] == [*(pair.replica / "logs").glob("*")]
    assert (0, True) == (status.code, status.json["in_sync"])


def test_renamed_log(pair: Pair) -> None:
    """It is known by the file, not by its name; what is no log any more when the client ends is mirrored next time."""
    pair.server()
    with (pair.source / "log").open("wb") as log:
        client = Started(pair, log.fileno())
    try:
        until(lambda: '"sync.completed"' in (pair.source / "log").read_text(), "the first sync is done")
        (pair.source / "log").rename(pair.source / "log.1")
        build(pair.source, {"b": "b"})
        until(lambda: "b" in names(pair), "others are synced")
        time.sleep(1)
        seen = names(pair)
        client.stop()
    finally:
        client.popen.kill()
    last: Client = pair.client()

    assert {"b"} == seen
    assert {"b", "log.1"} == names(pair)
    assert last.status()["in_sync"]
