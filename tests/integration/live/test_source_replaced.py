"""The path of the source leads to another directory while the client runs, or to none for a while."""

import os
from pathlib import Path

import pytest

from tests.support.faults.privileges import bind_mount
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import Spec, build, differences, equal

pytestmark = pytest.mark.programs


def release(number: int) -> Spec:
    """Files of one release: half of them as in every other one."""
    return {f"f{k}": f"{number if k % 2 else 0} {k}" for k in range(20)} | {f"only{number}": ""}


def until_equal(source: Path, replica: Path) -> None:
    """Return when the replica is what the source's path leads to."""
    until(lambda: equal(source, replica), "replica equal to the source")


def test_link_on_the_way(pair: Pair) -> None:
    """A deployment swaps a link above the source: what it leads to now is mirrored, at once and live; none is held."""
    pair.server()
    current = pair.place / "current"
    for number in range(3):
        build(pair.place / f"releases/{number}/site", release(number))
    current.symlink_to("releases/0")
    client = pair.client(source=current / "site", rescan_interval="1h")
    for number in (1, 2):
        (pair.place / "next").symlink_to(f"releases/{number}")
        (pair.place / "next").rename(current)
        until_equal(current / "site", pair.replica)
        client.wait_until_in_sync()
        build(current / "site", {"f0": f"edited in {number}", "later": ""})
        until_equal(current / "site", pair.replica)
    assert [] == client.status()["holds"]


def test_renamed_above(pair: Pair) -> None:
    """A directory above the source is renamed and another takes its name: that one is followed, the former is not."""
    pair.server()
    build(pair.place / "data/site", release(0))
    build(pair.place / "new/site", release(1))
    source = pair.place / "data/site"
    client = pair.client(source=source, rescan_interval="1h")
    os.rename(pair.place / "data", pair.place / "former")
    os.rename(pair.place / "new", pair.place / "data")
    until_equal(source, pair.replica)
    client.wait_until_in_sync()

    build(pair.place / "former/site", {"f1": "written to what was moved away"})
    build(source, {"f2": "edited"})
    until_equal(source, pair.replica)


@pytest.mark.needs("privileged")
def test_mounted_late(pair: Pair) -> None:
    """A volume that is mounted after the start: its files are kept meanwhile, and then all goes on by itself."""
    pair.server()
    volume = pair.place / "volume"
    build(volume, release(0))
    with bind_mount(volume, pair.source):
        assert 0 == pair.once().code
    build(volume, {"while away": ""})
    client = pair.client(synced=False, rescan_interval="1h")
    client.wait_for("guard.held")
    assert {f"f{k}" for k in range(20)} <= set(os.listdir(pair.replica))

    with bind_mount(volume, pair.source):
        client.wait_until_in_sync()
        assert [] == client.status()["holds"]
        assert differences(pair.source, pair.replica) == []
        build(pair.source, {"live": ""})
        until_equal(pair.source, pair.replica)
