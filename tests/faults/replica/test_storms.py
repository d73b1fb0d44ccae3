"""A server that dies again and again under a client that goes on, and both of them replaced one after the other."""

import random
import threading
import time
from pathlib import Path

import pytest

from dirsync.limits import MIB
from tests.support.running.figures import descriptors, resident_kib
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, equal

pytestmark = pytest.mark.programs

STORM_SECONDS = 20.0


class Churn:
    """A thread that changes the source until it is told to stop."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Return when nothing changes any more."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(1)
        number = 0
        while not self._stopped.wait(0.02):
            number += 1
            path = self._source / f"c{number % 30}"
            path.write_bytes(chance.randbytes(chance.choice((10, 3000, 100_000))))
            if number % 50 == 0:
                (self._source / "large").write_bytes(chance.randbytes(3 * MIB))


def left_in_staging(pair: Pair) -> list[Path]:
    """What is in the staging directory beside the replica."""
    return [path for path in pair.place.glob(".replica.dirsync-staging*/*") if not path.name.startswith("upload")]


@pytest.mark.case("A12")
def test_restart_storm(pair: Pair) -> None:
    """The server is killed all the time while files change: then both sides are equal, and nothing has piled up."""
    build(pair.source, {"large": File(random_bytes(3 * MIB)), "still": "still"})
    pair.server()
    client = pair.client(rescan_interval="5s")
    client.wait_until_in_sync()
    pair._started[0].kill()
    chance, churn = random.Random(2), Churn(pair.source)
    kills, figures = 0, (descriptors(client.pid), resident_kib(client.pid))
    until_time = time.monotonic() + STORM_SECONDS
    while time.monotonic() < until_time:
        server = pair.server(ready=False)
        time.sleep(chance.choice((0.2, 0.6, 1.0, 1.4)))
        server.kill()
        kills += 1
    churn.stop()
    pair.server()
    until(lambda: equal(pair.source, pair.replica), "both sides are equal", seconds=60)
    client.wait_until_in_sync()
    now = descriptors(client.pid), resident_kib(client.pid)

    assert kills > 8
    assert [] == client.log.all("guard.held")
    assert [] == left_in_staging(pair)
    assert now[0] <= figures[0] + 15
    assert now[1] < figures[1] + 60 * 1024


@pytest.mark.case("L10")
@pytest.mark.parametrize("first", ["server", "client"])
def test_rolling_restart(pair: Pair, first: str) -> None:
    """Both are replaced, one after the other, while files change: nothing is held, deleted or sent again."""
    build(pair.source, {f"d{n % 4}/f{n}": File(random_bytes(20_000, n)) for n in range(60)})
    server, client = pair.server(), pair.client()
    client.wait_until_in_sync()
    before = {path: path.stat().st_ino for path in pair.replica.rglob("f*")}
    events = []
    for side in (first, "client" if first == "server" else "server"):
        if side == "server":
            server.stop()
            server = pair.server()
        else:
            client.stop()
            events += client.log.events
            client = pair.client()
        build(pair.source, {f"new-{side}": side})
        until(lambda: equal(pair.source, pair.replica), "both sides are equal", seconds=40)
    client.wait_until_in_sync()
    events += client.log.events
    names = [event["event"] for event in events]
    sent = {event["path"] for event in events if event["event"] == "file.synced" and event["path"].startswith("new")}

    assert [] == [name for name in names if name in ("guard.held", "file.deleted", "file.problem")]
    assert {"new-server", "new-client"} == sent
    assert before == {path: path.stat().st_ino for path in pair.replica.rglob("f*")}
