"""A disk in memory forgets in a power cut what was not synced, and nothing else."""

import copy
import errno
import os
import stat
from random import Random

import pytest

from tests.simulation.machine.disk import Disk
from tests.simulation.machine.fakeos import FakeOs

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@pytest.fixture
def machine() -> FakeOs:
    """A program alone on an empty disk."""
    return FakeOs(Disk(1, lambda: 10**18, Random(1)), Random(2))


def write(machine: FakeOs, path: bytes, content: bytes, *, synced: bool) -> None:
    """Make a file."""
    file = machine.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    machine.write(file, content)
    if synced:
        machine.fsync(file)
    machine.close(file)


def sync(machine: FakeOs, path: bytes) -> None:
    """Make the names in a directory durable."""
    directory = machine.open(path, DIRECTORY)
    machine.fsync(directory)
    machine.close(directory)


def after_power_cut(machine: FakeOs, seed: int) -> dict[bytes, bytes | None]:
    """What the disk holds when the power is back: content by path."""
    machine.disk.random = Random(seed)
    machine.kill()
    machine.disk.cut_power()
    again = FakeOs(machine.disk, Random(0))
    found: dict[bytes, bytes | None] = {}
    stack = [b""]
    while stack:
        at = stack.pop()
        directory = again.open(at or b"/", DIRECTORY)
        for name in again.listdir(directory):
            path = at + b"/" + os.fsencode(name)
            if stat.S_ISDIR(again.lstat(path).st_mode):
                found[path] = None
                stack.append(path)
            else:
                found[path] = again.read(again.open(path, os.O_RDONLY), 100)
        again.close(directory)
    return found


SEEDS = range(40)
"""Power cuts that leave different parts of what was not synced."""


def copies_of(machine: FakeOs) -> list[dict[bytes, bytes | None]]:
    """What different power cuts leave of one disk."""
    return [after_power_cut(copy.deepcopy(machine), seed) for seed in SEEDS]


def test_what_was_synced_survives(machine: FakeOs) -> None:
    """Content after fsync of the file, its name after fsync of the directory, the directory after fsync of its own."""
    machine.mkdir(b"/d")
    write(machine, b"/d/f", b"content", synced=True)
    sync(machine, b"/d")
    sync(machine, b"/")

    assert [{b"/d": None, b"/d/f": b"content"}] == unique(copies_of(machine))


def test_what_was_not_synced_may_be_lost_or_torn(machine: FakeOs) -> None:
    """A name without content, half of it, and nothing at all: each can be what is left."""
    write(machine, b"/f", b"content", synced=False)
    left = unique(copies_of(machine))

    assert {} in left
    assert {b"/f": b""} in left
    assert {b"/f": b"content"} in left
    assert any(0 < len(found.get(b"/f") or b"") < 7 for found in left)


def test_a_rename_is_atomic_and_not_durable_by_itself(machine: FakeOs) -> None:
    """A power cut leaves the old content or the new one under a name, and never neither."""
    write(machine, b"/f", b"old", synced=True)
    sync(machine, b"/")
    write(machine, b"/new", b"new", synced=True)
    machine.rename(b"/new", b"/f")
    left = unique(copies_of(machine))

    assert {b"/f": b"old"} in left
    assert {b"/f": b"new"} in left
    assert all(found[b"/f"] in (b"old", b"new") for found in left)


def test_names_of_one_directory_become_durable_in_their_order(machine: FakeOs) -> None:
    """A later change is never there without an earlier one."""
    for name in (b"/1", b"/2", b"/3"):
        machine.mkdir(name)

    assert all(found.keys() in ({*()}, {b"/1"}, {b"/1", b"/2"}, {b"/1", b"/2", b"/3"}) for found in copies_of(machine))


def test_an_fsync_that_failed_proves_nothing_when_it_is_tried_again(machine: FakeOs) -> None:
    """The kernel takes the pages for clean: what was written is lost though the second fsync succeeds."""
    write(machine, b"/f", b"old", synced=True)
    sync(machine, b"/")
    file = machine.open(b"/f", os.O_RDWR)
    machine.pwrite(file, b"new", 0)
    machine.hook = fail_fsync
    with pytest.raises(OSError, match="Input/output error"):
        machine.fsync(file)
    machine.hook = None
    machine.fsync(file)

    assert {b"/f": b"old"} in copies_of(machine)


def test_a_full_disk_takes_no_more(machine: FakeOs) -> None:
    """A write beyond the capacity fails, and what is removed makes room."""
    machine.disk.capacity = 5
    write(machine, b"/f", b"12345", synced=False)
    with pytest.raises(OSError, match="No space left"):
        write(machine, b"/g", b"6", synced=False)
    machine.unlink(b"/f")

    write(machine, b"/h", b"12345", synced=False)


def test_a_number_is_given_again(machine: FakeOs) -> None:
    """A new file may have the number of one that is gone."""
    write(machine, b"/f", b"", synced=False)
    number = machine.lstat(b"/f").st_ino
    machine.unlink(b"/f")
    write(machine, b"/g", b"", synced=False)

    assert number == machine.lstat(b"/g").st_ino


def fail_fsync(call: str) -> None:
    """A disk that fails."""
    if call == "fsync":
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def unique(found: list[dict[bytes, bytes | None]]) -> list[dict[bytes, bytes | None]]:
    """Each outcome once."""
    different: list[dict[bytes, bytes | None]] = []
    for one in found:
        if one not in different:
            different.append(one)
    return different
