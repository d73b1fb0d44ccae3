"""How many system calls a file costs at each end: counted, so that no busy machine changes the answer.

Each figure is the difference between a larger and a smaller tree, divided by the difference of their files: what a run
costs in any case falls out. A bound is the best that was seen, and a fifth more. One who lowers a figure lowers its
bound.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from dirsync.limits import KIB, MIB
from tests.support.faults.syscalls import calls, prefix, traced
from tests.support.running.programs import Pair
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build

pytestmark = [pytest.mark.programs, pytest.mark.needs("strace")]

FEW, MANY = 200, 1200
WORK = (
    *("openat", "close", "read", "write", "pread64", "preadv2", "pwrite64", "lseek", "copy_file_range", "getdents64"),
    *("stat", "lstat", "fstat", "newfstatat", "statx", "getxattr", "fgetxattr", "fcntl"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "utimensat", "fchmod", "ftruncate", "mkdirat"),
)
"""Calls that work on files. How often threads wake each other, and how often the network is used, is a matter of
time, and not counted here."""


def counted(log: Path) -> Counter[str]:
    """How often each call was made; threads that wake each other through a descriptor are left out."""
    return Counter(call.name for call in calls(log) if "anon_inode:" not in call.names)


def each(many: Mapping[str, int], few: Mapping[str, int], more: int) -> tuple[float, dict[str, float]]:
    """Calls for each of so many more: all of them, and those of each name that count at all."""
    found = {name: (count - few.get(name, 0)) / more for name, count in many.items()}
    return sum(found.values()), {name: round(value, 2) for name, value in found.items() if value > 0.01}


def first_and_second(place: Path, files: int) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """The calls of the server and of the client for a first sync, and of the client for a second one."""
    place.mkdir()
    pair = Pair(place)
    build(pair.source, {f"d{number // 100}/f{number}": f"{number}" * 500 for number in range(files)})
    server = pair.server()
    with traced(server.pid, place / "server", names=WORK):
        first = pair.once(prefix=prefix(place / "client", names=WORK))
    second = pair.once(prefix=prefix(place / "again", names=WORK))
    assert [] == pair.end()
    assert (0, 0) == (first.code, second.code)
    return counted(place / "server"), counted(place / "client"), counted(place / "again")


def test_small_files(tmp_path: Path) -> None:
    """A first sync of small files, and a sync with nothing to do."""
    few, many = first_and_second(tmp_path / "few", FEW), first_and_second(tmp_path / "many", MANY)
    server, client, again = (each(m, f, MANY - FEW) for m, f in zip(many, few, strict=True))
    print(f"\ncalls for each file: server {server}; client {client}; unchanged {again}")

    assert server[0] <= 1.2 * 5.2
    assert client[0] <= 1.2 * 6.4
    assert again[0] <= 1.2 * 1.15


def edited(place: Path, edits: int) -> tuple[Counter[str], Counter[str]]:
    """The calls of the server and of the client for so many edits of a large file whose blocks are remembered."""
    place.mkdir()
    pair = Pair(place)
    content = bytearray(random_bytes(64 * MIB))
    build(pair.source, {"large": bytes(content)})
    server = pair.server()
    assert 0 == pair.once().code
    for number in range(edits):
        at = number * 300 * KIB
        content[at : at + 10] = bytes(10)
    build(pair.source, {"large": bytes(content)})
    with traced(server.pid, place / "server", names=WORK):
        done = pair.once(prefix=prefix(place / "client", names=WORK))
    assert [] == pair.end()
    assert 0 == done.code
    return counted(place / "server"), counted(place / "client")


def test_edits_of_a_large_file(tmp_path: Path) -> None:
    """An edit of a large file."""
    few, many = edited(tmp_path / "few", 10), edited(tmp_path / "many", 210)
    server, client = (each(m, f, 200) for m, f in zip(many, few, strict=True))
    print(f"\ncalls for each edit: server {server}; client {client}")

    assert server[0] <= 1.2 * 2.4
    assert client[0] <= 0.1  # it reads the file once, and what it knows of the blocks from its memory
