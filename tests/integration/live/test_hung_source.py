"""A source that does not answer, as a network file system whose server is gone: noticed, told, survived, and over."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.faultfs import FaultyFs, faulty
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import differences

pytestmark = [pytest.mark.programs, pytest.mark.needs("fuse")]

INTERVAL = 4.0
POLLED: dict[str, Any] = {"watch": "poll", "poll_interval": "1s", "rescan_interval": f"{INTERVAL:g}s"}
ANSWER_SECONDS = 2.0
"""How long `status` and `health` may take, whatever the source does."""


@pytest.fixture
def disk(pair: Pair) -> Iterator[FaultyFs]:
    """A file system that can hang; the source is its directory ``faulty``, and ``backing`` shows what is in it."""
    with faulty(pair.place) as made:
        for number in range(10):
            (pair.place / "backing" / f"f{number}").write_text(str(number))
        yield made


def hung(pair: Pair, disk: FaultyFs) -> Client:
    """A pair in sync whose source hangs with a change in it."""
    pair.server()
    client = pair.client(source=disk.path, **POLLED)
    client.wait_until_in_sync()
    until(lambda: not not_ready(client), "ready")
    disk.hang()
    (pair.place / "backing" / "new").write_text("x")
    return client


def not_ready(client: Client) -> bool:
    """Whether it says that it is not ready."""
    return client.get("/readyz").status == 503


def test_told(pair: Pair, disk: FaultyFs) -> None:
    """Within two rescan intervals it is not ready, with the reason everywhere, and alive; then it is all over."""
    client = hung(pair, disk)
    started = time.monotonic()
    until(lambda: not_ready(client), "not ready", seconds=2 * INTERVAL)

    assert time.monotonic() - started <= 2 * INTERVAL
    assert "the source does not answer" in client.get("/readyz").body
    assert 200 == client.get("/livez").status
    started = time.monotonic()
    result = client.command("status", "--json")
    assert time.monotonic() - started < ANSWER_SECONDS
    assert 5 == result.code
    assert not result.json["in_sync"]
    assert "the source does not answer" in result.json["last_error"]
    assert result.json["lag_seconds"] >= 3
    started = time.monotonic()
    at = f"127.0.0.1:{client.http_port}"
    codes = [client.command("health", *more, metrics_listen=at).code for more in ([], ["--ready"])]
    assert [0, 1] == codes
    assert time.monotonic() - started < 2 * ANSWER_SECONDS
    metrics = client.metrics()
    assert (0, 1) == (metrics.value("dirsync_in_sync"), metrics.value("dirsync_stalled", part="source"))
    assert "source" == client.wait_for("sync.stalled")["part"]

    disk.go_on()
    until((pair.replica / "new").exists, "what changed meanwhile", seconds=5)
    client.wait_for("sync.resumed")
    until(lambda: client.get("/readyz").status == 200, "ready", seconds=5)
    client.wait_until_in_sync()
    assert 0 == client.metrics().value("dirsync_stalled", part="source")
    # The wait was no work: it is looked at as often as before.
    (pair.place / "backing" / "later").write_text("y")
    until((pair.replica / "later").exists, "what changed after that", seconds=5)
    assert [] == differences(pair.place / "backing", pair.replica)


def test_told_to_end(pair: Pair, disk: FaultyFs) -> None:
    """A client whose source hangs ends within its grace all the same, and says that it does not know what was left."""
    client = hung(pair, disk)
    client.wait_for("sync.stalled")
    client.settings["shutdown_grace"] = "8s"
    started = time.monotonic()
    client.signal(signal.SIGTERM)

    assert 0 == client.wait()
    assert time.monotonic() - started < 10
    assert not client.log.wait_for("client.stopped")["looked"]
