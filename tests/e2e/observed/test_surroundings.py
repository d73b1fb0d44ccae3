"""What changes around a running pair: the wall clock steps, the host gets another name."""

import time
from pathlib import Path

import pytest

from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal

pytestmark = pytest.mark.programs

HOUR, DAY = 3600, 86400


class SteppingClock:
    """A wall clock that the test sets; durations stay as they are."""

    def __init__(self, place: Path) -> None:
        self._file = place / "clock"
        self.step(0)
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.prefix = [
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ]

    def step(self, seconds: int) -> None:
        """From now on it is so many seconds off."""
        fresh = self._file.with_name("fresh")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._file)


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("side", ["client", "server", "both"])
def test_clock_steps(pair: Pair, side: str) -> None:
    """The clock of a running program steps back and forth: changes arrive as before, and nothing is sent twice."""
    clock = SteppingClock(pair.place)
    server = pair.server(prefix=clock.prefix if side != "client" else ())
    build(pair.source, {"a": "0", "still": "still"})
    client = pair.client(prefix=clock.prefix if side != "server" else (), rescan_interval="1s", delete_settle="100ms")
    lags = []
    for number, step in enumerate((-DAY, 0, 30 * DAY, -HOUR, 400 * DAY, 0)):
        clock.step(step)
        build(pair.source, {"a": f"{number} {step}", f"new{number}": "n", "gone": "g"})
        until(lambda: equal(pair.source, pair.replica), "changes arrive")
        (pair.source / "gone").unlink()
        until(lambda: equal(pair.source, pair.replica), "deletes arrive")
        client.wait_until_in_sync()
        lags.append(client.status()["lag_seconds"])
        assert client.get("/readyz").status == server.get("/readyz").status == 200
    mark = client.log.mark()
    time.sleep(2.5)  # two scans of both sides

    assert 0 <= min(lags)
    assert max(lags) < 10
    assert [] == client.log.all("file.synced", path="still", since=mark)
    assert 0 == pair.command("verify", "--deep").code


@pytest.mark.privileged
def test_host_name_changes(pair: Pair) -> None:
    """A client whose host is called otherwise, from one start to the next or while it runs, is the same client."""
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && { (sleep 1; hostname renamed) & exec "$@"; }']
    pair.server(prefix=[*named, "server-host"])
    build(pair.source, {"a": "a", "d/b": "b"})
    first = pair.once(prefix=[*named, "first"])
    second = pair.once(prefix=[*named, "second"])
    client = pair.client(prefix=[*named, "third"])
    time.sleep(1.5)
    build(pair.source, {"late": "late"})
    until(lambda: equal(pair.source, pair.replica), "changes arrive")
    client.wait_until_in_sync()

    assert [0, 0] == [first.code, second.code]
    assert 0 == second.event("sync.completed")["files"]
    assert [] == client.log.all("connection.lost")
    assert [] == differences(pair.source, pair.replica)
