"""First syncs and live changes, timed from outside as whole processes, beside what copies files otherwise.

The figures are printed. No test here fails for being slow, only for a result that is wrong.
"""

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import capabilities
from tests.capabilities import Capability
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import differences, equal

pytestmark = pytest.mark.bench

FILES = 2_000
SIZE = 4096
ROUNDS = 3
CHANGES = 100


def seconds(action: Callable[..., object], *arguments: object) -> float:
    """How long that takes."""
    started = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - started


def wait_for(path: Path) -> None:
    """Return when it is there, at most a fifth of a millisecond later."""
    while not path.exists():
        time.sleep(0.0002)


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def test_small_files(tmp_path: Path) -> None:
    """A first ``once`` of many small files, beside ``cp`` and, where there is one, rsync; the best of some rounds."""
    took: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        pair = Pair(tmp_path / f"round{number}")
        for n in range(FILES):
            path = pair.source / f"d{n % 20}" / f"f{n}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(random_bytes(SIZE, n))
        pair.server()
        took.setdefault("dirsync", []).append(seconds(pair.once))
        found = differences(pair.source, pair.replica)
        wrong = pair.end()
        took.setdefault("cp", []).append(seconds(run, "cp", "-a", pair.source, pair.place / "copied"))
        if capabilities.has(Capability.RSYNC):
            target = pair.place / "rsynced"
            took.setdefault("rsync", []).append(seconds(run, "rsync", "-a", f"{pair.source}/", target))
        shutil.rmtree(pair.place)

        assert ([], []) == (found, wrong)
    best = {name: min(times) for name, times in took.items()}
    print(f"\nfirst sync of {FILES:,} files of {SIZE} B, whole processes, best of {ROUNDS}:")
    for name, least in best.items():
        print(f"  {name:8} {least:7.3f} s   dirsync takes {best['dirsync'] / least:6.2f} times as long")


def test_live(pair: Pair) -> None:
    """From the close of a new file of 1 KiB to its appearance at the replica, beside a process that copies it."""
    pair.server()
    (pair.source / "first").write_bytes(b"x")
    pair.client()
    ours, theirs = [], []
    for number in range(CHANGES):
        source, replica = pair.source / f"f{number}", pair.replica / f"f{number}"
        source.write_bytes(random_bytes(1024, number))
        ours.append(seconds(wait_for, replica))
        theirs.append(seconds(run, "cp", source, pair.place / "copy"))
    median, copied = statistics.median(ours), statistics.median(theirs)
    print(f"\nnew file of 1 KiB at the replica: median {median * 1000:.1f} ms, worst {max(ours) * 1000:.1f} ms")
    print(f"  a process that copies it takes {copied * 1000:.1f} ms: {median / copied:.2f} times as long")
    until(lambda: equal(pair.source, pair.replica), "both sides equal")
