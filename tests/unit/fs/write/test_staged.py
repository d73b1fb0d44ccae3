"""A staged file: what is appended to it, from memory and from other files, and what it makes of a disk that fails."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs.failure import BasisLost, StorageFailed
from dirsync.fs.root import Root
from dirsync.fs.write import staged
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import GIB, KIB, LIMITS, MIB
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


@pytest.fixture(params=["kernel", "by hand"])
def _copying(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as the kernel copies, once where it cannot."""
    if request.param == "by hand":
        monkeypatch.setattr(staged, "_copy_file_range", None)


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


@pytest.mark.usefixtures("_copying")
def test_pieces_follow_one_another(file: StagedFile, basis: int) -> None:
    """Literals, zeros and copies, in any order and of any length, make up one content."""
    file.write(b"abc")
    file.copy_from(basis, 5, 3 * MIB + 1)
    file.write_zeros(10)
    file.copy_from(basis, 0, 1)
    file.write(b"def")
    file.write_zeros(100_000)
    file.copy_from(basis, len(SEED), 0)
    file.copy_from(basis, len(SEED) - 3, 3)
    expected = b"abc" + SEED[5 : 3 * MIB + 6] + bytes(10) + SEED[:1] + b"def" + bytes(100_000) + SEED[-3:]

    assert len(expected) == file.size
    assert expected == content(file)
    file.seal(len(expected), 0o600, None)


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


@pytest.mark.parametrize("tail", [0, 7])
@pytest.mark.usefixtures("_copying")
@pytest.mark.case("D13", "D15")
def test_holes_stay_holes(disk: Path, file: StagedFile, tail: int) -> None:
    """Of a huge file with little in it only that is copied, from and to beyond 4 GiB, and the same holes are left."""
    with (disk / "sparse").open("w+b") as sparse:
        for at in (0, GIB, 5 * GIB - MIB // 2):
            sparse.seek(at)
            sparse.write(SEED[:MIB])
        sparse.truncate(6 * GIB + tail)
        file.write(b"!")
        file.copy_from(sparse.fileno(), 1, 5 * GIB + MIB)
        file.copy_from(sparse.fileno(), 5 * GIB, GIB + tail)
    size = 1 + 6 * GIB + MIB + tail

    assert size == os.fstat(file.fd).st_size == file.size
    assert allocated(file.fd) <= 4 * MIB + 256 * KIB
    assert b"!" + SEED[1:MIB] + b"\0" == os.pread(file.fd, MIB + 1, 0)
    assert b"\0" + SEED[:MIB] + b"\0" == os.pread(file.fd, MIB + 2, GIB - 1)
    assert b"\0" + SEED[:MIB] + b"\0" == os.pread(file.fd, MIB + 2, 5 * GIB - MIB // 2 - 1)
    assert SEED[MIB // 2 : MIB] + b"\0" == os.pread(file.fd, MIB // 2 + 1, 5 * GIB + MIB + 1)


def test_from_another_file_system(tmp_path: Path, memory: Path) -> None:
    """What the kernel refuses to copy (another file system, on most kernels) is copied all the same."""
    (memory / "basis").write_bytes(SEED)
    with (
        Root.open(make(tmp_path, "r/") / "r") as root,
        Staging.open(root) as staging,
        (memory / "basis").open("rb") as basis,
    ):
        file = staging.create(F)
        file.copy_from(basis.fileno(), 1, len(SEED) - 1)

        assert SEED[1:] == content(file)
        file.discard()


@pytest.mark.usefixtures("_copying")
@pytest.mark.parametrize("offset, length", [(0, len(SEED) + 1), (len(SEED), 1), (1 << 62, 1), (0, 1 << 63)])
@pytest.mark.case("I06")
def test_basis_that_is_shorter(file: StagedFile, basis: int, offset: int, length: int) -> None:
    """What the basis does not have is not made up, and nothing is staged for it."""
    with pytest.raises(BasisLost, match="the basis of f is shorter than it was"):
        file.copy_from(basis, offset, length)

    assert 0 == file.size == os.fstat(file.fd).st_size


@pytest.mark.usefixtures("_copying")
def test_basis_that_cannot_be_read(disk: Path, file: StagedFile) -> None:
    """A basis that cannot be read is told apart from a disk that cannot be written."""
    (disk / "basis").write_bytes(SEED)
    descriptor = os.open(disk / "basis", os.O_WRONLY)
    try:
        with pytest.raises(BasisLost, match="cannot read the basis of f: Bad file descriptor"):
            file.copy_from(descriptor, 0, 10)
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("_copying")
@pytest.mark.case("B03")
def test_copy_that_does_not_fit(file: StagedFile, basis: int) -> None:
    """A copy that does not fit is a failure of storage, of the path that is staged."""
    with disk_of(MIB), pytest.raises(StorageFailed, match="cannot stage f: File too large"):
        file.copy_from(basis, 0, 2 * MIB)

    assert MIB == os.fstat(file.fd).st_size


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


def test_hand_copies_are_bounded(file: StagedFile, basis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying by hand takes no more memory than one read, however long the range is."""
    asked: list[int] = []
    pread = os.pread

    def watched(descriptor: int, length: int, offset: int) -> bytes:
        asked.append(length)
        return pread(descriptor, length, offset)

    monkeypatch.setattr(staged, "_copy_file_range", None)
    monkeypatch.setattr(os, "pread", watched)
    file.copy_from(basis, 0, len(SEED))

    assert [LIMITS.file_read_bytes] * (len(SEED) // LIMITS.file_read_bytes) == asked
