"""The file system in memory answers as the kernel does."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from dirsync.fs import kernel
from tests.simulation.machine.disk import TICK_NS, Disk
from tests.simulation.machine.fakeos import FakeOs

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
CHANGED = (b"a", b"b", b"c", b"a/a", b"a/b", b"b/a", b"c/x", b"loop/a")
NAMES = (*CHANGED, b".", b"a/..")
OPENINGS = (
    DIRECTORY,
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK,
    os.O_RDONLY,
    os.O_PATH | os.O_NOFOLLOW,
    os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
    os.O_WRONLY | os.O_CREAT,
    os.O_RDWR | os.O_TRUNC,
    os.O_WRONLY | os.O_APPEND,
)


class Result(NamedTuple):
    """What a call gave, or the error that it raised."""

    value: object = None
    error: str | None = None


class Pair:
    """The same calls on the kernel and on the stand-in."""

    def __init__(self, directory: Path, random: Random) -> None:
        self.now = 10**18
        self.fake = FakeOs(Disk(1, lambda: self.now, Random(1)), Random(2))
        self.random = random
        base = directory / "base"
        base.mkdir()
        self.real_root = os.open(base, DIRECTORY)
        self.fake.mkdir(b"/base")
        self.fake_root = self.fake.open("/base", DIRECTORY)
        self.open: list[tuple[int, int]] = [(self.real_root, self.fake_root)]

    def close(self) -> None:
        """Let go of the real descriptors."""
        for real, _ in self.open:
            os.close(real)

    def step(self) -> None:
        """One random call; both answer the same."""
        self.now += self.random.choice((0, TICK_NS // 3, TICK_NS))
        calls: list[Callable[[], None]] = [self.opens, self.opens, self.changes, self.changes, self.names, self.uses]
        self.random.choice(calls)()

    def opens(self) -> None:
        """Open a name."""
        flags, name, place = self.random.choice(OPENINGS), self.random.choice(NAMES), self.random.choice(self.open)
        real = outcome(lambda: os.open(name, flags, 0o640, dir_fd=place[0]))
        fake = outcome(lambda: self.fake.open(name, flags, 0o640, dir_fd=place[1]))

        assert real.error == fake.error, (name, flags)
        if real.error is None:
            assert isinstance(real.value, int)
            assert isinstance(fake.value, int)
            self.open.append((real.value, fake.value))

    def changes(self) -> None:
        """A call that changes a name."""
        place, other = self.random.choice(self.open), self.random.choice(self.open)
        name, new = self.random.choice(CHANGED), self.random.choice(CHANGED)
        target = self.random.choice((b"a", b"../b", b"loop", b"nowhere", b"c/x"))
        mode = self.random.choice((0o700, 0o755))

        def run(calls: Any, at: int, there: int) -> list[Callable[[], object]]:
            return [
                lambda: calls.mkdir(name, mode, dir_fd=at),
                lambda: calls.symlink(target, name, dir_fd=at),
                lambda: calls.symlink(b"loop", b"loop", dir_fd=at),
                lambda: calls.unlink(name, dir_fd=at),
                lambda: calls.rmdir(name, dir_fd=at),
                lambda: calls.rename(name, new, src_dir_fd=at, dst_dir_fd=there),
                lambda: calls.rename(name, new, src_dir_fd=at, dst_dir_fd=at),
                lambda: calls.link(name, new, src_dir_fd=at, dst_dir_fd=there),
            ]

        real, fake = run(os, place[0], other[0]), run(self.fake, place[1], other[1])
        real.append(lambda: swap(place[0], name, other[0], new))
        fake.append(lambda: self.fake.exchange(place[1], name, other[1], new))
        self.compare(real, fake, (name, new))

    def names(self) -> None:
        """A call that looks at a name, or changes what it has but not the name."""
        place, name = self.random.choice(self.open), self.random.choice(NAMES)
        times = (1, self.random.choice((0, 1_600_000_000_123_456_789)))

        def run(calls: Any, at: int) -> list[Callable[[], object]]:
            return [
                lambda: shown(calls.stat(name, dir_fd=at, follow_symlinks=False)),
                lambda: shown(calls.stat(name, dir_fd=at)),
                lambda: calls.readlink(name, dir_fd=at),
                lambda: calls.utime(name, ns=times, dir_fd=at, follow_symlinks=False),
            ]

        self.compare(run(os, place[0]), run(self.fake, place[1]), name)

    def uses(self) -> None:
        """A call on a descriptor."""
        number = self.random.randrange(len(self.open))
        data, offset = b"x" * self.random.randrange(20), self.random.randrange(30)
        source = self.random.choice(self.open)

        def run(calls: Any, at: int, other: int) -> list[Callable[[], object]]:
            buffer = memoryview(bytearray(8))
            return [
                lambda: shown(calls.fstat(at)),
                lambda: calls.write(at, data),
                lambda: calls.pwrite(at, data, offset),
                lambda: calls.read(at, 10),
                lambda: calls.pread(at, 10, offset),
                lambda: (calls.readv(at, [buffer]), bytes(buffer)),
                lambda: calls.ftruncate(at, offset),
                lambda: seek(calls, at, offset),
                lambda: calls.fchmod(at, 0o700 + offset),
                lambda: sorted(calls.listdir(at)),
                lambda: sorted(entry.name for entry in calls.scandir(at)),
                lambda: calls.fsync(at),
                lambda: copy_range(calls, other, at, offset),
            ]

        real, fake = run(os, *self.both(number, source, 0)), run(self.fake, *self.both(number, source, 1))
        self.compare(real, fake, offset)
        if number and self.random.random() < 0.4:
            closed = self.open.pop(number)
            os.close(closed[0])
            self.fake.close(closed[1])

    def both(self, number: int, source: tuple[int, int], side: int) -> tuple[int, int]:
        """The descriptors of two files on one side."""
        return self.open[number][side], source[side]

    def compare(self, real: list[Callable[[], object]], fake: list[Callable[[], object]], of: object) -> None:
        """Make one of the calls on both sides."""
        which = self.random.randrange(len(real))

        assert outcome(real[which]) == outcome(fake[which]), (which, of)


def swap(first_directory: int, first: bytes, second_directory: int, second: bytes) -> None:
    """The kernel's exchange."""
    assert kernel.exchange(first_directory, first, second_directory, second)


def seek(calls: Any, descriptor: int, offset: int) -> int:
    """Move, but not in a directory, where each file system has offsets of its own."""
    if stat.S_ISDIR(calls.fstat(descriptor).st_mode):
        return 0
    position: int = calls.lseek(descriptor, offset, (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_SET)[offset % 4])
    return position


def copy_range(calls: Any, source: int, target: int, offset: int) -> int:
    """Copy between two files; what is wrong with several things may be refused for any of them."""
    try:
        copied: int = calls.copy_file_range(source, target, 10, offset)
    except OSError:
        return -1
    return copied


def outcome(call: Callable[[], object]) -> Result:
    """What a call gives."""
    try:
        return Result(call())
    except OSError as error:
        return Result(error=errno.errorcode[error.errno or 0])
    except AssertionError:
        return Result(error="EINVAL")


def shown(status: Any) -> tuple[int, ...]:
    """What of a status is the same in both worlds."""
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return status.st_mode, status.st_nlink, size


def listing(calls: Any, directory: int) -> Iterator[tuple[object, ...]]:
    """Everything below a directory."""
    for name in sorted(calls.listdir(directory)):
        status = calls.stat(name, dir_fd=directory, follow_symlinks=False)
        yield name, shown(status)
        if stat.S_ISDIR(status.st_mode):
            below = calls.open(name, DIRECTORY, dir_fd=directory)
            yield from ((name, *rest) for rest in listing(calls, below))
            calls.close(below)
        elif stat.S_ISREG(status.st_mode):
            file = calls.open(name, os.O_RDONLY, dir_fd=directory)
            yield name, calls.pread(file, 1000, 0)
            calls.close(file)


@pytest.mark.parametrize("seed", range(150))
def test_it_answers_as_the_kernel_does(seed: int) -> None:
    """The same calls have the same results, the same errors, and leave the same tree."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        pair = Pair(Path(directory), Random(seed))
        try:
            for _ in range(120):
                pair.step()

            assert list(listing(os, pair.real_root)) == list(listing(pair.fake, pair.fake_root))
        finally:
            pair.close()
