"""Trees and files of the sizes that the promises name; the figures are printed."""

import os
import time
from pathlib import Path

import pytest

from dirsync.limits import GIB, MIB
from tests.support.running.programs import Client, Pair, Process, Server

pytestmark = [pytest.mark.programs, pytest.mark.slow, pytest.mark.timeout(900)]


def peak(process: Process) -> int:
    """The most memory that a program has had, in bytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(process)


def sync(pair: Pair, what: str) -> tuple[Server, Client]:
    """Both programs after a first sync, and how long that took; ``what`` says it."""
    server = pair.server()
    started = time.monotonic()
    client = pair.client(synced=False)
    client.wait_for("sync.completed", seconds=800)
    seconds = time.monotonic() - started
    print(
        f"\n{what}: {seconds:.1f} s; peak memory of the client {peak(client) / MIB:.0f} MiB, "
        f"of the server {peak(server) / MIB:.0f} MiB"
    )

    assert client.status()["in_sync"]
    return server, client


def test_large_file(pair: Pair) -> None:
    """A file of 2 GiB is mirrored with at most 160 MiB of memory on either side."""
    block = os.urandom(MIB)
    with (pair.source / "large").open("wb") as file:
        for number in range(2 * GIB // MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
    server, client = sync(pair, "2 GiB in one file")
    peaks = peak(client), peak(server)
    verified = client.command("verify", "--deep")

    assert max(peaks) < 160 * MIB
    assert 0 == verified.code


def test_many_files(pair: Pair) -> None:
    """100,000 files in 1000 directories are mirrored, and found equal when all is read again."""
    for number in range(1000):
        directory = pair.source / f"d{number}"
        directory.mkdir()
        for name in range(100):
            (directory / f"f{name}").write_bytes(b"%d/%d" % (number, name))
    _, client = sync(pair, "100,000 files")

    assert 101_000 == client.status()["entries"]
    assert 0 == client.command("verify", "--deep").code


def test_million_entries(pair: Pair) -> None:
    """A million entries exceed no limit of a message, and cost at most 600 bytes each on either side."""
    for number in range(1000):
        directory = pair.source / f"d{number}"
        directory.mkdir()
        for name in range(999):
            os.symlink("x", directory / f"l{name}")
    server, client = sync(pair, "1,000,000 entries")
    base = 70 * MIB

    assert 1_000_000 == client.status()["entries"]
    assert max(peak(client), peak(server)) < base + 600 * 1_000_000
