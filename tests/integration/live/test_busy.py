"""A source that is never still: the lag is that of the oldest change, and SyncNow waits for no quiet moment."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs

LAG_SECONDS = 5.0
"""More than any change waits for, and less than the time for which is written here."""


def write(source: Path, ended: threading.Event) -> None:
    """Write one of some files again and again."""
    draw = random.Random(1)
    while not ended.wait(0.002):
        (source / str(draw.randrange(100))).write_text(str(draw.random()))


@pytest.fixture
def busy(pair: Pair) -> Iterator[Path]:
    """A source that is written all the time, until the test ends."""
    ended = threading.Event()
    writer = threading.Thread(target=write, args=(pair.source, ended))
    writer.start()
    try:
        yield pair.source
    finally:
        ended.set()
        writer.join()


def test_busy(pair: Pair, busy: Path) -> None:
    """What was written before SyncNow is there at its answer, although more is written; no change is old."""
    pair.server()
    client = pair.client(synced=False, rescan_interval="2s")
    client.wait_for("session.opened")
    until(lambda: len(list(pair.replica.glob("*"))) > 20, "the first files")
    (busy / "before").write_text("x")
    lags = []
    answered = threading.Event()

    def ask() -> None:
        with Wire(client.address) as wire:
            wire.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    started = time.monotonic()
    while time.monotonic() - started < 2 * LAG_SECONDS:
        lags.append(client.status()["lag_seconds"])
        if answered.is_set():
            assert (pair.replica / "before").exists()

    assert answered.is_set()
    assert max(lags) < LAG_SECONDS
