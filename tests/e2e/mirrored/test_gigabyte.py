"""Changes of a file of 1 GiB: bytes, memory and time, as they are promised. The figures are printed."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import GIB, KIB, MIB
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair, Process
from tests.support.running.synced import prove_equal, synced, wait_until_agreed
from tests.support.running.waiting import until
from tests.support.trees.edits import append, insert, scatter

pytestmark = [pytest.mark.programs, pytest.mark.slow, pytest.mark.timeout(1200)]

QUIET: dict[str, Any] = {"rescan_interval": "1h", "settle": "500ms"}
PROMISED: dict[str, tuple[Callable[..., None], int]] = {
    "100 edits": (scatter, 12 * MIB // 10),
    "1 KiB inserted": (insert, 64 * KIB),
    "10 MiB appended": (append, 101 * MIB // 10),
}
MEMORY = 160 * MIB
SECONDS = 120.0


def make(path: Path) -> None:
    """A file of 1 GiB in which no two blocks are equal."""
    with path.open("wb") as file:
        for _ in range(GIB // MIB):
            file.write(os.urandom(MIB))


def peak(process: Process) -> int:
    """The most memory that a program has had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith("VmHWM:"))


def test_bytes_and_memory(pair: Pair) -> None:
    """With remembered and with fetched checksums each edit costs what is promised, and neither side much memory."""
    make(pair.source / "large")
    server = pair.server()
    client = pair.client(synced=False, **QUIET)
    client.wait_for("sync.completed", seconds=SECONDS)
    for seed, memory in enumerate(("remembered", "fetched")):
        for name, (edit, bound) in PROMISED.items():
            if memory == "fetched":
                shutil.rmtree(pair.place / "client-state" / "signatures")
            mark, started = client.log.mark(), time.monotonic()
            edit(pair.source / "large", seed=seed)
            client.wait_for("file.synced", since=mark, seconds=SECONDS, path="large")
            seconds = time.monotonic() - started
            wait_until_agreed(pair, client, server, seconds=SECONDS)
            told = client.log.all("file.synced", since=mark, path="large")
            literal = sum(event["literal_bytes"] for event in told)
            print(f"\n{name}, {memory}: {literal:,} bytes, {seconds:.1f} s with the edit itself")

            assert {"delta"} == {event["strategy"] for event in told}
            assert literal <= bound
    peaks = {process.service: peak(process) for process in (client, server)}
    print(f"peak memory: {', '.join(f'{side} {size / MIB:.0f} MiB' for side, size in peaks.items())}")

    assert max(peaks.values()) < MEMORY
    prove_equal(pair)


@contextmanager
def rsync_daemon(root: Path, place: Path) -> Iterator[str]:
    """An rsync daemon that serves ``root``. Returns its address."""
    port = free_port()
    config = place / "rsyncd.conf"
    config.write_text(f"use chroot = no\n[replica]\npath = {root}\nread only = no\nuid = 0\ngid = 0\n")
    command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    address = f"rsync://127.0.0.1:{port}/replica/"
    try:
        until(lambda: subprocess.run(["rsync", address], capture_output=True, check=False).returncode == 0, "rsync up")
        yield address
    finally:
        daemon.terminate()
        daemon.wait(10)


@pytest.mark.needs("rsync", "privileged")
def test_time(pair: Pair) -> None:
    """100 edits take no longer than twice what an rsync daemon needs: both whole processes, one after the other."""
    large, copy = pair.source / "large", pair.place / "copy"
    make(large)
    copy.mkdir()
    pair.server()
    pair.once()
    ours, theirs = [], []
    with rsync_daemon(copy, pair.place) as address:
        for seed in range(4):
            scatter(large, seed=seed)
            started = time.monotonic()
            did = synced(pair.once())
            ours.append(time.monotonic() - started)
            started = time.monotonic()
            subprocess.run(["rsync", "-a", "--no-whole-file", f"{pair.source}/", address], check=True)
            theirs.append(time.monotonic() - started)

            assert {"large": ("delta", "similar")} == did.ways
    # The first time rsync sends everything.
    best = min(ours[1:]), min(theirs[1:])
    print(f"\n100 edits in 1 GiB: dirsync {best[0]:.2f} s, rsync daemon {best[1]:.2f} s, {best[0] / best[1]:.2f} times")

    assert best[0] < 2 * best[1]
    prove_equal(pair)


def test_wholly_changed(pair: Pair) -> None:
    """To see that nothing is left of what a file was takes little of the time that it takes to send it."""
    large = pair.source / "large"
    make(large)
    pair.server()
    pair.once(compression="none")
    shares = []
    for forgets in (False, False, True, True):
        make(large)
        if forgets:
            shutil.rmtree(pair.place / "client-state" / "signatures")
        result = pair.once(compression="none")
        sending = result.event("file.synced")["duration_ms"]
        shares.append((result.event("sync.completed")["duration_ms"] - sending) / sending)

        assert {"large": ("whole", "dissimilar")} == synced(result).ways
    print(f"\n1 GiB wholly changed: {', '.join(f'{share:.1%}' for share in shares)} more time, with and without memory")

    assert min(shares[:2]) < 0.3
    assert min(shares[2:]) < 0.3
