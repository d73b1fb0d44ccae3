"""``dirsync-client sync``, ``events`` and ``status --watch``: commands for hooks, scripts and people who look on."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB
from tests.support.running.programs import Client, Pair, Service, environment
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

BLIND: dict[str, Any] = {"watch": "off", "rescan_interval": "1h"}
"""A client that notices nothing by itself."""


def start(client: Client, place: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A command that goes on until it is told to end."""
    return subprocess.Popen(
        [sys.executable, "-m", "dirsync_client", *arguments],
        cwd=place,
        env=environment(Service.CLIENT, client.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestSync:
    """Look again, send all, say how it stands."""

    def test_done(self, pair: Pair) -> None:
        """When it returns with 0, both sides are equal."""
        pair.server()
        client = pair.client(**BLIND)
        build(pair.source, {f"d/f{number}": random_bytes(KIB, number) for number in range(50)})
        asked = client.command("sync")

        assert (0, "in sync\n") == (asked.code, asked.stdout)
        assert differences(pair.source, pair.replica) == []

    def test_held(self, pair: Pair) -> None:
        """What is held is named, with its id, and the exit status is that of ``status``."""
        build(pair.source, {f"f{number}": "x" for number in range(20)})
        pair.server()
        client = pair.client(**BLIND)
        for path in pair.source.iterdir():
            path.unlink()
        asked = client.command("sync", "--json")

        assert 3 == asked.code
        assert not asked.json["in_sync"]
        assert "root_emptied" == asked.json["holds"][0]["guard"]
        assert client.command("sync").stdout.startswith("not in sync: ")

    def test_not_in_time(self, pair: Pair) -> None:
        """A server that is away makes it wait, but not longer than it is told to."""
        server = pair.server()
        client = pair.client()
        client.excused = True
        server.stop()
        client.wait_for("connection.lost")
        asked = client.command("sync", "--timeout", "1s")

        assert 1 == asked.code
        assert "the sync did not end within 1s" in asked.messages[0]

    @pytest.mark.parametrize("command", ["sync", "events"])
    def test_no_client(self, pair: Pair, command: str) -> None:
        """Without a client it ends at once, and says which setting names it."""
        asked = pair.command(command)

        assert 1 == asked.code
        assert "no client answers at DIRSYNC_CLIENT_LISTEN=" in asked.messages[0]


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Somebody writes a file again and again: what looks on may begin late."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.2):
            path.write_bytes(os.urandom(8))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("form", ["text", "json"])
def test_events(pair: Pair, form: str) -> None:
    """What happens is printed when it happens, and an interrupt ends that without an error."""
    pair.server()
    client = pair.client()
    shown = start(client, pair.place, "events", *(["--json"] if form == "json" else []))
    assert shown.stdout is not None

    with changing(pair.source / "f"):
        line = next(line for line in shown.stdout if "file.synced" in line)
    shown.send_signal(signal.SIGINT)
    rest, wrong = shown.communicate(timeout=10)

    assert (0, "") == (shown.returncode, wrong)
    if form == "json":
        assert "f" == json.loads(line)["path"]
        assert all(json.loads(more)["event"] for more in rest.splitlines())
    else:
        assert "  info  file.synced  " in line
        assert " path=f " in line


def test_status_watch(pair: Pair) -> None:
    """It goes on when the client ends and another one starts, and ends when nobody reads it any more."""
    pair.server()
    client = pair.client()
    shown = start(client, pair.place, "status", "--watch", "--json")
    assert shown.stdout is not None
    first = json.loads(shown.stdout.readline())
    client.stop()
    pair.client()
    (pair.source / "new").write_text("new")
    until(
        lambda: json.loads(shown.stdout.readline() if shown.stdout else "{}")["entries"] == 1, "the new client's entry"
    )
    shown.stdout.close()

    assert first["in_sync"]
    assert 0 == shown.wait(10)
    assert shown.stderr is not None
    shown.stderr.close()
