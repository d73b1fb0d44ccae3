"""Where the processor time of a sync goes at both ends, by the part of the program that runs: needs perf."""

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running.programs import Pair
from tests.support.trees.content import random_bytes

pytestmark = [
    pytest.mark.bench,
    pytest.mark.programs,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("perf") is None, reason="perf is not installed"),
]

FREQUENCY = 499
"""Samples of a second of processor time. Not a round number, so that they keep no step with a clock."""
SETTLE_SECONDS = 3.0
PARTS = {
    "kernel": "kernel",
    "crypto": "SHA-256",
    "python3": "Python",
    "cygrpc": "gRPC",
    "upb": "protobuf",
    "umath": "numpy",
    "xxhash": "xxh3",
    "zstd": "zstd",
    "sqlite": "SQLite",
    "libc.": "libc, most of it copies",
}
"""Parts by what is in the name of their shared object."""
MIB = 1024 * 1024


def part(shared_object: str) -> str:
    """The part that a shared object belongs to."""
    return next((name for hint, name in PARTS.items() if hint in shared_object), "other")


def shares(recording: Path) -> tuple[float, Counter[str]]:
    """Seconds that were sampled, and the share of each part in percent."""
    command = ["perf", "report", "--input", str(recording), "--sort", "dso", "--show-nr-samples", "--stdio"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    samples: Counter[str] = Counter()
    for line in report.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0].endswith("%"):
            samples[part(words[2])] += int(words[1])
    total = samples.total()
    return total / FREQUENCY, Counter({name: round(100 * count / total) for name, count in samples.items()})


@contextmanager
def recorded(pid: int, recording: Path) -> Iterator[None]:
    """Sample a process that runs."""
    command = ["perf", "record", "--quiet", "--freq", str(FREQUENCY), "--pid", str(pid), "--output", str(recording)]
    perf = subprocess.Popen(command)
    time.sleep(0.5)
    try:
        yield
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()


def sync(pair: Pair, workload: str) -> None:
    """One ``once``, and where the time of both ends went."""
    (server,) = pair.servers
    ours, theirs = pair.place / "client.data", pair.place / "server.data"
    prefix = ("perf", "record", "--quiet", "--freq", str(FREQUENCY), "--output", str(ours), "--")
    with recorded(server.pid, theirs):
        assert pair.once(prefix=prefix, compression="none").code == 0
    for end, recording in (("client", ours), ("server", theirs)):
        seconds, parts = shares(recording)
        print(f"{workload:4} {end}: {seconds:5.2f} s: " + ", ".join(f"{n} {s} %" for n, s in parts.most_common(6)))


def test_small_files(pair: Pair) -> None:
    """W1: 10,000 files of 1 to 16 KiB in 100 directories."""
    sizes = random.Random(1)
    for number in range(10_000):
        path = pair.source / f"{number % 100:02}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes(sizes.randrange(1024, 16_384), number))
    pair.server(fsync="never")
    time.sleep(SETTLE_SECONDS)
    print()
    sync(pair, "W1")


def test_large_file(pair: Pair) -> None:
    """W2: a gibibyte of random bytes. W4: a hundred blocks of it are edited."""
    pair.source.mkdir(exist_ok=True)
    path = pair.source / "large"
    with path.open("wb") as file:
        for number in range(1024):
            file.write(random_bytes(MIB, number))
    pair.server(fsync="never")
    time.sleep(SETTLE_SECONDS)
    print()
    sync(pair, "W2")
    places = random.Random(1)
    with path.open("r+b") as file:
        for number in range(100):
            file.seek(4096 * places.randrange(1024 * MIB // 4096))
            file.write(random_bytes(4096, number))
    time.sleep(SETTLE_SECONDS)
    sync(pair, "W4")
