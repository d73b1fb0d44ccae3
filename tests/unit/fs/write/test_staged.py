"""A staged file: what is appended to it, from memory and by sharing, and what it makes of a disk that fails."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs.failure import StorageFailed
from dirsync.fs.root import Root
from dirsync.fs.write import staged
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import GIB, KIB, MIB
from tests.unit.fs.places import disk_of, make, path_of

F = path_of("f")
SEED = os.urandom(4 * MIB)


@pytest.fixture
def staging(disk: Path) -> Iterator[Staging]:
    """A staging directory; whatever is left in it goes with the disk."""
    with Root.open(make(disk, "r/") / "r") as root, Staging.open(root) as opened:
        yield opened


@pytest.fixture
def file(staging: Staging) -> Iterator[StagedFile]:
    """An empty staged file."""
    created = staging.create(F)
    yield created
    created.discard()


@pytest.fixture
def basis(disk: Path) -> Iterator[int]:
    """A descriptor of a file of 4 MiB."""
    (disk / "basis").write_bytes(SEED)
    descriptor = os.open(disk / "basis", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def content(file: StagedFile) -> bytes:
    """What is in a staged file."""
    return os.pread(file.fd, file.size + 1, 0)


def allocated(descriptor: int) -> int:
    """Bytes that a file takes on the disk."""
    return os.fstat(descriptor).st_blocks * 512


def test_write_and_seal(staging: Staging) -> None:
    """Content, mode and mtime are there when the file is sealed, and it is closed."""
    file = staging.create(F)
    file.write(b"abc")
    file.write(memoryview(b"def"))
    file.seal(6, 0o640, 123_456_789)
    descriptor = file.reopen()
    status = os.fstat(descriptor)

    assert b"abcdef" == os.read(descriptor, 100)
    assert (6, 0o640, 123_456_789) == (file.size, status.st_mode & 0o7777, status.st_mtime_ns)
    assert file.fd == -1
    os.close(descriptor)
    file.discard()
    file.discard()


@pytest.mark.case("A09")
def test_lying_disk(staging: Staging) -> None:
    """A file that has another size than was written is not sealed."""
    file = staging.create(F)
    file.write(b"abc")
    os.ftruncate(file.fd, 2)
    with pytest.raises(StorageFailed, match="cannot stage f: 3 bytes were written, 2 are there"):
        file.seal(3, 0o644, 0)
    file.discard()


@pytest.mark.case("A08", "B03")
def test_disk_that_takes_a_part(staging: Staging) -> None:
    """A short write is continued, and the error that ends it names the path."""
    file = staging.create(F)
    with disk_of(1000), pytest.raises(StorageFailed, match="cannot stage f: File too large"):
        file.write(b"x" * 2000)

    assert 1000 == os.fstat(file.fd).st_size
    file.discard()


def copied(source: int, target: int, offset: int, length: int, at: int) -> bool:
    """What a file system that shares blocks would show of it."""
    os.pwrite(target, os.pread(source, length, offset), at)
    return True


def test_pieces_follow_one_another(file: StagedFile, basis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Literals, zeros and shared ranges, in any order and of any length, make up one content."""
    monkeypatch.setattr(staged, "share_range", copied)
    file.write(b"abc")
    assert file.share_from(basis, 5, 3 * MIB + 1)
    file.write_zeros(10)
    assert file.share_from(basis, 0, 1)
    file.write(b"def")
    file.write_zeros(100_000)
    assert file.share_from(basis, len(SEED) - 3, 3)
    expected = b"abc" + SEED[5 : 3 * MIB + 6] + bytes(10) + SEED[:1] + b"def" + bytes(100_000) + SEED[-3:]

    assert len(expected) == file.size
    assert expected == content(file)
    assert SEED[7:10] == file.read_at(5, 3)
    file.seal(len(expected), 0o600, None)


def test_what_cannot_be_shared_changes_nothing(file: StagedFile, basis: int) -> None:
    """These are no whole blocks, so no file system can share them."""
    file.write(b"abc")

    assert not file.share_from(basis, 5, 7)
    file.write(b"def")
    assert b"abcdef" == content(file)


@pytest.mark.case("D13")
def test_zeros_take_no_room(file: StagedFile) -> None:
    """A hole is no data on the disk, counts where it ends the file, and what follows it is where it belongs."""
    file.write_zeros(5 * GIB)
    file.write(b"x" * MIB)
    file.write_zeros(5 * GIB)
    file.write_zeros(1)
    allocation = allocated(file.fd)
    size = 10 * GIB + MIB + 1

    assert size == file.size == os.fstat(file.fd).st_size
    assert MIB <= allocation <= MIB + 64 * KIB
    assert b"\0" + b"x" * MIB + b"\0" == os.pread(file.fd, MIB + 2, 5 * GIB - 1)
    file.seal(size, 0o600, None)


@pytest.mark.case("B03")
def test_hole_that_does_not_fit(file: StagedFile) -> None:
    """A hole too, and it leaves the file as it was."""
    with disk_of(MIB), pytest.raises(StorageFailed, match="cannot stage f: File too large"):
        file.write_zeros(2 * MIB)

    assert 0 == os.fstat(file.fd).st_size


@pytest.mark.case("A09")
def test_hole_hides_no_lost_bytes(file: StagedFile) -> None:
    """Bytes that a lying disk never took are noticed before a hole would take their place."""
    file.write(b"abc")
    os.lseek(file.fd, -2, os.SEEK_CUR)
    with pytest.raises(StorageFailed, match="cannot stage f: 3 bytes were written, 1 are there"):
        file.write_zeros(MIB)
