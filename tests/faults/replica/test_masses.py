"""Large numbers: what they cost grows with them and no faster, and a peer that sends them meets a limit."""

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.peers.operations import batch, commit, make_directory
from tests.support.peers.wire import Wire
from tests.support.running.figures import resident_kib
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal

pytestmark = pytest.mark.programs

_SCAN = """
import resource, sys, time
from dirsync.fs.root import Root
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.tree import Tree
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
tree = Tree()
with Root.open(sys.argv[1]) as root:
    for _ in scan_steps(root, tree):
        pass
    tree.digest()
print(len(tree), time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


class Scan(NamedTuple):
    """What the scan of a tree took, in a process of its own."""

    entries: int
    seconds: float
    kib: int


def fill(root: Path, directories: int, files: int) -> Path:
    """Make so many directories with so many empty files each; none: all of them in the root."""
    for number in range(max(1, directories)):
        parent = root / f"d{number}" if directories else root
        parent.mkdir(parents=True, exist_ok=True)
        for name in range(files):
            (parent / f"f{name}").touch()
    return root


def scan(root: Path) -> Scan:
    """Scan it."""
    command = (sys.executable, "-c", _SCAN, str(root))
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout
    entries, seconds, kib = out.split()
    return Scan(int(entries), float(seconds), int(kib))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "few, many, entries",
    [
        pytest.param((50, 1000), (200, 1000), (50_050, 200_200), id="tree", marks=pytest.mark.case("D16")),
        pytest.param((0, 25_000), (0, 100_000), (25_000, 100_000), id="one directory", marks=pytest.mark.case("D18")),
    ],
)
def test_many_entries(tmp_path: Path, few: tuple[int, int], many: tuple[int, int], entries: tuple[int, int]) -> None:
    """Time and memory of a scan of four times as many entries are four times as much."""
    small, large = scan(fill(tmp_path / "a", *few)), scan(fill(tmp_path / "b", *many))

    assert entries == (small.entries, large.entries)
    assert large.seconds < 4 * 2.5 * small.seconds
    assert large.kib * 1024 < 600 * large.entries


@pytest.mark.timeout(240)
@pytest.mark.case("D08")
def test_renamed_while_scanned(pair: Pair) -> None:
    """A directory of 10,000 entries that is renamed while it is scanned, again and again: nothing of it is deleted."""
    build(pair.source, {"other": "other"})
    fill(pair.source / "a", 0, 10_000)
    server = pair.server()
    client = pair.client(synced=False, rescan_interval="1s", delete_settle="100ms")
    old, new = pair.source / "a", pair.source / "b"
    for _ in range(15):
        time.sleep(0.15)
        old.rename(new)
        old, new = new, old
    until(lambda: equal(pair.source, pair.replica), "both sides are equal", seconds=90)
    # What was sent under a name that the directory lost before all of it was there has been copied and removed.
    both_equal = client.log.mark()
    seen = []
    for _ in range(10):
        old.rename(new)
        old, new = new, old
        time.sleep(0.4)
        seen.append(sum(1 for _ in pair.replica.glob("[ab]/f*")))
    until(lambda: equal(pair.source, pair.replica), "both sides are equal", seconds=60)
    deleted = [event["path"] for event in client.log.all("file.deleted", since=both_equal)]
    client.stop()
    server.stop()

    assert 10_000 <= min(seen)
    assert len(deleted) < 100
    assert [] == client.log.all("guard.held")


@pytest.mark.timeout(240)
@pytest.mark.case("I13")
def test_endless_entries(pair: Pair) -> None:
    """A client that makes entries without end meets the limit of entries; the server's memory does not grow."""
    server = pair.server(quota_entries=2000)
    figures, outcomes = [], set()
    with Wire(server.address) as wire:
        session = wire.open_session()
        push = wire.push(session.session_id)
        number = 0
        for round_number in range(20):
            operations = []
            for _ in range(5000):
                number += 1
                operations.append(make_directory(number, b"d%d" % number))
            push.send(*(batch(*operations[at : at + 1000]) for at in range(0, 5000, 1000)), commit())
            answer = push.receive()
            while not answer.requested:
                outcomes |= {failure.reason for failure in answer.failures}
                answer = push.receive()
            outcomes |= {failure.reason for failure in answer.failures}
            figures.append(resident_kib(server.pid))
            assert round_number < 20
        push.finish()
    made = sum(1 for _ in pair.replica.iterdir())

    assert 2000 == made
    assert {"QUOTA_ENTRIES"} == outcomes
    assert figures[-1] < figures[1] + 48 * 1024
