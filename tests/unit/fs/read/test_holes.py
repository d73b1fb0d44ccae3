"""Holes are hashed and compared as the zeros that they are, without being read."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.fs.failure import Changing
from dirsync.fs.read.extents import Holes, zeros
from dirsync.fs.read.growing import GrowingFile
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staging import Staging
from dirsync.limits import KIB, LIMITS, MIB
from tests.unit.fs.places import path_of

F = path_of("f")
DATA = os.urandom(100 * KIB)
SIZE = 20 * MIB + 5


@pytest.fixture
def sparse(disk: Path) -> bytes:
    """The content of a file ``f`` with data near its beginning, in the middle and at its end."""
    with (disk / "f").open("wb") as file:
        for offset in (MIB, 9 * MIB + 77, SIZE - len(DATA)):
            file.seek(offset)
            file.write(DATA)
        file.flush()
        os.fsync(file.fileno())
    return (disk / "f").read_bytes()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call has read."""
    counts: list[int] = []

    def watch(name: str, size_of: Callable[..., int]) -> None:
        call = getattr(os, name)

        def watched(*arguments: object) -> object:
            found = call(*arguments)
            counts.append(size_of(found))
            return found

        monkeypatch.setattr(os, name, watched)

    watch("read", len)
    watch("pread", len)
    watch("readv", int)
    watch("preadv", int)
    return counts


MOST_READ = 3 * (LIMITS.file_read_bytes + len(DATA)) + LIMITS.file_read_bytes
"""Three places with data, each of which may touch one piece more than it fills."""


@pytest.mark.case("D13", "D14")
def test_digest(disk: Path, sparse: bytes, read: list[int]) -> None:
    """The digest is that of the content, and holes are not read for it."""
    with Root.open(disk) as root:
        counted: list[int] = []
        digest, _, _ = Digester(root, hashed=counted.append).digest(F)

    assert hashlib.sha256(sparse).digest() == digest
    assert SIZE == sum(counted)
    assert sum(read) <= MOST_READ


@pytest.mark.parametrize("size", [LIMITS.frame_bytes, LIMITS.interrupted_frame_bytes, 7777])
@pytest.mark.case("D13", "D14")
def test_frames(disk: Path, sparse: bytes, read: list[int], size: int) -> None:
    """Frames have the content, and those of holes are one and the same object."""
    with Root.open(disk) as root, StableFile(root, F) as file:
        frames = list(file.frames(size))
        again = list(file.frames_at(size))

    assert sparse == b"".join(frames) == b"".join(again)
    assert sum(len(frame) for frame in frames if frame is zeros(size)) > SIZE - MOST_READ
    assert sum(read) <= 2 * MOST_READ


@pytest.mark.case("D13")
def test_growing(disk: Path, sparse: bytes, read: list[int]) -> None:
    """A file that grows while it is read is proved without reading its holes."""
    with Root.open(disk) as root, GrowingFile(root, F) as file:
        frames = []
        for frame in file.frames():
            frames.append(frame)
            if len(frames) == 2:
                with (disk / "f").open("ab") as more:
                    more.write(b"more")
        while not file.prove():
            pass
        record = file.finish()

    assert sparse == b"".join(frames)
    assert record is not None
    assert (True, hashlib.sha256(sparse).digest()) == (file.is_older, file.entry.digest)
    assert sum(read) <= 2 * MOST_READ


@pytest.mark.case("D01")
def test_data_that_comes_into_a_hole(disk: Path, sparse: bytes) -> None:
    """What is written into a hole while the file is read makes the reading void, also behind where it was asked."""
    assert sparse
    with Root.open(disk) as root:
        with StableFile(root, F) as file:
            frames = file.frames(64 * KIB)
            next(frames)
            os.utime(disk / "f", ns=(0, 0))
            with (disk / "f").open("r+b") as other:
                other.seek(5 * MIB)
                other.write(b"data")
            list(frames)
            settled = file.settled()
        with GrowingFile(root, F) as growing:
            parts = growing.frames()
            next(parts)
            with (disk / "f").open("r+b") as other:
                other.seek(6 * MIB)
                other.write(b"data")
            with pytest.raises(Changing):
                list(parts)

    assert settled is None


@pytest.mark.case("D02")
def test_truncated(disk: Path, sparse: bytes) -> None:
    """A file that ends earlier by now is not taken for one that ends with a hole."""
    with Root.open(disk) as root, StableFile(root, F) as file:
        os.truncate(disk / "f", MIB // 2)
        found = b"".join(file.frames(64 * KIB))

        assert found != sparse
        assert file.settled() is None


@pytest.mark.case("D13")
def test_copy(disk: Path, sparse: bytes, read: list[int]) -> None:
    """Holes of a basis become holes, are hashed as zeros, and are not read back."""
    (disk / "root").mkdir()
    (disk / "f").rename(disk / "root" / "f")
    with Root.open(disk / "root") as root, Staging.open(root) as staging, StableFile(root, F) as basis:
        staged = staging.create(F)
        rebuild = Rebuild(staged, basis)
        rebuild.copy(0, SIZE)
        allocated = os.fstat(staged.fd).st_blocks * 512
        total = sum(read)
        found = os.pread(staged.fd, SIZE + 1, 0)
        staged.discard()

    assert sparse == found
    assert hashlib.sha256(sparse).digest() == rebuild.digest()
    assert allocated < 2 * MIB
    assert total <= MOST_READ


def test_dense_file_is_not_asked(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with as many blocks as bytes has no holes to look for, and a small one is read as it is."""
    for size in (MIB, 10 * KIB):
        with (disk / "f").open("w+b") as file:
            if size == MIB:
                file.write(os.urandom(size))
            file.truncate(size)
            file.flush()
            os.fsync(file.fileno())
            holes = Holes(file.fileno(), os.fstat(file.fileno()))
            with monkeypatch.context() as patched:
                patched.setattr(os, "lseek", None)

                assert not holes.cover(0, size)


def test_position(disk: Path, sparse: bytes) -> None:
    """Asking does not move the descriptor, and goes no further than the file had bytes."""
    assert sparse
    with (disk / "f").open("rb") as file:
        descriptor = file.fileno()
        os.lseek(descriptor, 123, os.SEEK_SET)
        holes = Holes(descriptor, os.fstat(descriptor))

        assert [True, False, True, False] == [
            holes.cover(0, MIB),
            holes.cover(MIB - 1, MIB + 1),
            holes.cover(2 * MIB, 9 * MIB),
            holes.cover(SIZE, SIZE + 1),
        ]
        assert 123 == os.lseek(descriptor, 0, os.SEEK_CUR)
