"""Content that several readers want: read once as long as they keep up, and never old, unbounded or waited for."""

import threading
from collections.abc import Callable

import pytest

from dirsync.fs.read.shared import SharedReads, Version
from dirsync.tree.path import RelPath

PATH = RelPath(b"file")


class Disk:
    """Counts what is read of it."""

    def __init__(self) -> None:
        self.reads = 0

    def reading(self, data: bytes = b"data") -> Callable[[], bytes]:
        """One reading."""

        def read() -> bytes:
            self.reads += 1
            return data

        return read


class Clock:
    """Time that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def opened(reads: SharedReads, status: bytes = b"status", *, is_racy: bool = False, looked_at_ns: int = 1) -> Version:
    """A reader opens the file."""
    return reads.version(PATH, status, looked_at_ns, is_racy=is_racy)


@pytest.mark.parametrize("readers", [2, 3, 8])
def test_read_once(readers: int) -> None:
    """All readers together cost one reading, and nothing is kept when all have had it."""
    reads, disk = SharedReads(readers), Disk()
    found = [opened(reads).read(0, 4, disk.reading()) for _ in range(readers)]

    assert [b"data"] * readers == found
    assert (1, 0) == (disk.reads, reads.kept_bytes)


def test_other_ranges() -> None:
    """Only the same range of the same version is the same."""
    reads, disk = SharedReads(2), Disk()
    opened(reads).read(0, 4, disk.reading())
    opened(reads).read(0, 8, disk.reading())
    opened(reads).read(4, 4, disk.reading())
    opened(reads, b"other").read(0, 4, disk.reading())

    assert 4 == disk.reads


def test_changed() -> None:
    """What was read before a change is not given to who opens the file after it, whatever the status says."""
    reads, disk = SharedReads(3), Disk()
    before = opened(reads)
    before.read(0, 4, disk.reading(b"old"))
    reads.forget([PATH])
    after = opened(reads)

    assert b"new" == after.read(0, 4, disk.reading(b"new"))
    assert b"old" == before.read(0, 4, disk.reading(b"new"))
    reads.forget_all()
    assert after is not opened(reads)


def test_racy() -> None:
    """What was read within the tick of a change is shared with its time, and only with those who come as early."""
    reads = SharedReads(3)
    early = opened(reads, is_racy=True, looked_at_ns=5)

    assert early is opened(reads, is_racy=True, looked_at_ns=6)
    assert 5 == early.looked_at_ns
    late = opened(reads, looked_at_ns=7)
    assert late is not early
    assert late is opened(reads, is_racy=True, looked_at_ns=8)


def test_bounded_in_bytes() -> None:
    """A reader that never comes costs no more memory than the limit; the oldest goes first."""
    reads, disk = SharedReads(2, limit=10), Disk()
    version = opened(reads)
    for offset in range(0, 100, 4):
        version.read(offset, 4, disk.reading())
        assert reads.kept_bytes <= 10
    before = disk.reads
    version.read(96, 4, disk.reading())
    version.read(0, 4, disk.reading())
    version.read(0, 100, disk.reading(b"x" * 100))

    assert 2 == disk.reads - before
    assert reads.kept_bytes <= 10


def test_bounded_in_time() -> None:
    """What nobody came for is dropped after a time."""
    clock = Clock()
    reads, disk = SharedReads(2, seconds=5.0, now=clock), Disk()
    opened(reads).read(0, 4, disk.reading())
    clock.now = 5.0
    opened(reads).read(4, 4, disk.reading())

    assert 4 == reads.kept_bytes
    opened(reads).read(0, 4, disk.reading())
    assert 3 == disk.reads


def test_failed_reading() -> None:
    """An error is that of who read: the next one reads for itself."""
    reads, disk = SharedReads(2), Disk()

    def fail() -> bytes:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        opened(reads).read(0, 4, fail)

    assert b"data" == opened(reads).read(0, 4, disk.reading())


def test_findings() -> None:
    """What one found out about the whole file the others need not find out."""
    reads, disk = SharedReads(3), Disk()
    found = [opened(reads).once("digest", disk.reading(b"digest")) for _ in range(3)]

    assert ([b"digest"] * 3, 1, 0) == (found, disk.reads, reads.kept_bytes)


def test_at_the_same_time() -> None:
    """Who wants what another one is just reading waits for that, and reads nothing."""
    reads, disk = SharedReads(2), Disk()
    version = opened(reads)
    begun, go_on = threading.Event(), threading.Event()
    found: list[bytes] = []

    def slow() -> bytes:
        begun.set()
        go_on.wait(10)
        return disk.reading()()

    threads = [
        threading.Thread(target=lambda: found.append(version.read(0, 4, slow))),
        threading.Thread(target=lambda: found.append(version.read(0, 4, disk.reading(b"again")))),
    ]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert ([b"data", b"data"], 1) == (found, disk.reads)
