"""The end of a client: what is there when the signal comes arrives, and what could not is told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.running.log import Log
from tests.support.running.programs import Client, Pair, Service, environment
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, look

pytestmark = pytest.mark.programs

UNSEEN: dict[str, Any] = {"rescan_interval": "1h", "watch": "off"}
"""Nothing tells of changes: only looking once more finds them."""
LIMITED: dict[str, Any] = {"compression": "none", "bandwidth_limit": "1MiB"}


def many(source: Path) -> None:
    """Many small files."""
    for number in range(300):
        (source / f"last-{number}").write_bytes(os.urandom(2000))


def large(source: Path) -> None:
    """One large file."""
    (source / "large").write_bytes(os.urandom(20 << 20))


def edit(source: Path) -> None:
    """Another content, and a file less."""
    (source / "a").write_text("changed")
    (source / "b").unlink()


def last_words(client: Client) -> dict[str, Any]:
    """What the client said was left."""
    return client.log.wait_for("client.stopped")


class TestRun:
    """A client that runs gets SIGTERM or SIGINT."""

    @pytest.mark.parametrize("settings", [{}, UNSEEN], ids=["watched", "unseen"])
    @pytest.mark.parametrize("write", [many, large, edit])
    def test_last_words(self, pair: Pair, write: Callable[[Path], None], settings: dict[str, Any]) -> None:
        """What was written right before the signal is at the replica when the client has ended."""
        pair.server()
        build(pair.source, {"a": "1", "b": "2", "c": "3"})
        client = pair.client(**settings)
        write(pair.source)
        client.signal(signal.SIGTERM)

        assert 0 == client.wait()
        assert [] == differences(pair.source, pair.replica)
        assert (0, [], True) == tuple(last_words(client)[field] for field in ("left", "paths", "looked"))

    def test_during_the_first_sync(self, pair: Pair) -> None:
        """A client that was told to end before its first sync was done does it first."""
        pair.server()
        many(pair.source)
        client = pair.client(synced=False)
        client.wait_for("client.started")
        client.signal(signal.SIGINT)

        assert 0 == client.wait()
        assert [] == differences(pair.source, pair.replica)

    def test_what_is_held_stays_held(self, pair: Pair) -> None:
        """The end of a client approves nothing."""
        pair.server()
        build(pair.source, {f"f{number}": "x" for number in range(30)})
        client = pair.client(**UNSEEN)
        before = look(pair.replica)
        for path in pair.source.iterdir():
            path.unlink()
        client.signal(signal.SIGTERM)

        assert 0 == client.wait()
        assert before == look(pair.replica)
        assert (30, 30) == (last_words(client)["held"], last_words(client)["left"])

    def test_commits_what_was_sent(self, pair: Pair) -> None:
        """A client that cannot send everything in time ends in time, and says how many paths are left."""
        pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(shutdown_grace="4s", **LIMITED)
        for number in range(200):
            (pair.source / f"f{number}").write_bytes(os.urandom(50_000))
        started = time.monotonic()
        client.signal(signal.SIGTERM)

        assert 0 == client.wait()
        assert time.monotonic() - started < 6
        left = last_words(client)
        arrived = len(look(pair.replica)) - 1
        assert 0 < arrived < 200
        assert 200 - arrived == left["left"]
        assert 10 == len(left["paths"])

    def test_server_away(self, pair: Pair) -> None:
        """Where the server has gone the client tries until its grace is over, and names what did not arrive."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(shutdown_grace="3s")
        server.stop()
        client.wait_for("connection.lost")
        (pair.source / "late").write_text("2")
        client.signal(signal.SIGTERM)
        started = time.monotonic()

        assert 0 == client.wait()
        assert 1 < time.monotonic() - started < 5
        assert ["late"] == last_words(client)["paths"]
        assert last_words(client)["problem"]

    def test_server_comes_back(self, pair: Pair) -> None:
        """A server that comes back within the grace is sent what differs, whatever pause was due."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(shutdown_grace="10s")
        server.stop()
        client.wait_for("connection.lost")
        (pair.source / "late").write_text("2")
        client.signal(signal.SIGTERM)
        pair.server()

        assert 0 == client.wait()
        assert [] == differences(pair.source, pair.replica)

    def test_second_signal(self, pair: Pair) -> None:
        """A second signal ends it at once."""
        build(pair.source, {"a": "1"})
        client = pair.client(synced=False, shutdown_grace="60s")
        client.wait_for("connection.lost")
        client.excused = True
        client.signal(signal.SIGTERM)
        client.wait_for("client.stopping")
        client.signal(signal.SIGTERM)

        assert 1 == client.wait(3)


class TestOnce:
    """``once`` is interrupted."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
    def test_commits_what_was_sent(self, pair: Pair, number: signal.Signals) -> None:
        """What was sent is published, what is left is told, and the exit status is 1."""
        pair.server()
        for index in range(200):
            (pair.source / f"f{index}").write_bytes(os.urandom(50_000))
        settings = {**pair._client_defaults, **LIMITED}
        with subprocess.Popen(
            [sys.executable, "-m", "dirsync_client", "once"],
            cwd=pair.place,
            env=environment(Service.CLIENT, settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as once:
            assert once.stderr is not None
            log = Log(once.stderr)
            until(lambda: pair.replica.exists() and log.all("sync.started"), "sending")
            time.sleep(1)
            once.send_signal(number)
            code = once.wait(12)
            log.finish()
        arrived = len(look(pair.replica))

        assert 1 == code
        assert 0 < arrived < 200
        assert any(f"interrupted: {200 - arrived} paths are not at the server yet" in line for line in log.messages)
        assert [] == log.complaints()
