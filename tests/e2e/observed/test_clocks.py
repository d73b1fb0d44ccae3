"""Two clocks that disagree: no decision compares a time of one side with a time of the other."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dirsync.limits import KIB
from tests.support.running.log import Event
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, equal

pytestmark = pytest.mark.programs


def clock(shift: str) -> list[str]:
    """A prefix that runs a program with another wall clock; durations stay as they are."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return ["env", f"LD_PRELOAD={library}", f"FAKETIME={shift}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


def now(event: Event) -> datetime:
    """When a program says that something happened."""
    return datetime.fromisoformat(event["timestamp"])


@pytest.mark.case("L04")
@pytest.mark.needs("faketime")
@pytest.mark.parametrize("shift", ["-1d", "+1d"])
def test_client_a_day_off(pair: Pair, shift: str) -> None:
    """A client whose clock is a day off syncs, sees changes live, sends nothing twice, and both sides are equal."""
    server = pair.server()
    build(pair.source, {"d/a": "1", "large": File(random_bytes(300 * KIB), mtime_ns=0)})
    client = pair.client(prefix=clock(shift))
    build(pair.source, {"d/a": "2", "new": "n"})
    os.utime(pair.source / "large", ns=(0, 2**32 * 10**9))
    until(lambda: equal(pair.source, pair.replica), "live changes arrive")
    apart = now(client.log.events[0]) - now(server.log.events[0])
    client.stop()
    again = pair.once(prefix=clock(shift))
    other = pair.once()
    verified = pair.command("verify", "--deep")

    assert timedelta(hours=23) < abs(apart)
    assert [0, 0] == [result.event("sync.completed")["literal_bytes"] for result in (again, other)]
    assert 0 == verified.code
