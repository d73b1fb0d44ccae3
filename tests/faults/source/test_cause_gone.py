"""Once the cause of a problem is gone the client goes on within seconds, however often it has failed before."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.privileges import tmpfs, without_override
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal

pytestmark = [pytest.mark.programs, pytest.mark.privileged]

UNSEEN: dict[str, Any] = {"rescan_interval": "1h", "watch": "off"}
"""Nothing tells that something is different."""
FAILING_SECONDS = 12.0
"""After this the next of the growing pauses takes eight seconds and more."""
SOON = 6.0
"""Five seconds are promised; and some for a busy machine."""
KIB = 1024


def fails_for_a_while(client: Client) -> None:
    """Let it try; it says little meanwhile."""
    client.wait_for("session.opened")
    until(lambda: client.status()["problems"], "a problem")
    lines = len(client.log.events)
    time.sleep(FAILING_SECONDS)

    assert client.status()["problems"]
    assert len(client.log.events) - lines <= 12


def fill(replica: Path, room: int) -> Path:
    """A file that leaves so many bytes, and is no part of the replica."""
    filler = replica / "lost+found" / "filler"
    filler.parent.mkdir()
    status = os.statvfs(replica)
    filler.write_bytes(bytes(status.f_bavail * status.f_frsize - room))
    return filler


@pytest.mark.case("B01")
@pytest.mark.parametrize(
    "sizes", [[9 * KIB] * 30, [3000 * KIB], [200 * KIB, 3000 * KIB]], ids=["many", "large", "both"]
)
def test_space(pair: Pair, sizes: list[int]) -> None:
    """There is room again at the replica; meanwhile little was sent."""
    with tmpfs(pair.replica, size="6m"):
        server = pair.server(min_free_bytes=0)
        build(pair.source, {"a": "1"})
        client = pair.client(compression="none", rescan_interval="1h")
        filler = fill(pair.replica, 4 * KIB)
        build(pair.source, {f"f{number}": File(random_bytes(size, number)) for number, size in enumerate(sizes)})
        fails_for_a_while(client)
        sent = client.metrics().value("dirsync_wire_bytes_total", direction="sent")
        filler.unlink()
        filler.parent.rmdir()
        until(lambda: equal(pair.source, pair.replica), "the files", seconds=SOON)
        client.wait_until_in_sync()
        client.stop()
        server.stop()

    assert sent < 10 * sum(sizes)


@pytest.mark.case("B06", "B07")
@pytest.mark.parametrize("closed", ["f", "d", "d/f"])
def test_permission_at_the_source(pair: Pair, closed: str) -> None:
    """A file or directory may be read again, and no event tells of it."""
    pair.server()
    build(pair.source, {"f": "1", "d/f": "2", "d/e/f": "3"})
    path = pair.source / closed
    mode = path.stat().st_mode
    path.chmod(0)
    client = pair.client(prefix=without_override(), synced=False, **UNSEEN)
    fails_for_a_while(client)
    path.chmod(mode)
    until(lambda: equal(pair.source, pair.replica), "what may be read", seconds=SOON)
    client.wait_until_in_sync()

    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("B08")
@pytest.mark.parametrize("deletes", [True, False])
def test_permission_at_the_replica(pair: Pair, deletes: bool) -> None:
    """What could not be changed at the replica may be changed again."""
    pair.server()
    build(pair.source, {"d/f": "1", "d/g": "2"})
    client = pair.client(rescan_interval="1h")
    try:
        subprocess.run(["chattr", "+i", pair.replica / "d"], check=True)
        (pair.source / "d" / "g").unlink() if deletes else build(pair.source, {"d/f": "changed", "d/new": "new"})
        fails_for_a_while(client)
    finally:
        subprocess.run(["chattr", "-i", pair.replica / "d"], check=True)
    until(lambda: equal(pair.source, pair.replica), "the changes", seconds=SOON)
    client.wait_until_in_sync()
