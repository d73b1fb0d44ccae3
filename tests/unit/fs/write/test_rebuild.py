"""Rebuilding a file from literals, zeros and a basis: the digest is that of what is staged, whatever the basis does."""

import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.errors import Unavailable
from dirsync.fs.failure import BasisLost, StorageFailed
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import KIB, LIMITS, MIB
from tests.unit.fs.places import disk_of, make, path_of

B = path_of("basis")
SIZE = 3 * MIB + 5
SEED = os.urandom(SIZE)
DIGEST = hashlib.sha256(SEED).digest()


@pytest.fixture
def root(disk: Path) -> Iterator[Root]:
    """A root that holds the file ``basis``."""
    (make(disk, "r/") / "r/basis").write_bytes(SEED)
    with Root.open(disk / "r") as opened:
        yield opened


@pytest.fixture
def file(root: Root) -> Iterator[StagedFile]:
    """An empty staged file."""
    with Staging.open(root) as staging:
        created = staging.create(path_of("f"))
        yield created
        created.discard()


@pytest.fixture
def basis(root: Root) -> Iterator[StableFile]:
    """The basis, open."""
    with StableFile(root, B) as opened:
        yield opened


def content(file: StagedFile) -> bytes:
    """What is staged."""
    return os.pread(file.fd, file.size + 1, 0)


def test_rebuild(file: StagedFile, basis: StableFile) -> None:
    """Every kind of piece is in the file and in the digest."""
    rebuild = Rebuild(file, basis)
    rebuild.write(memoryview(b"abc"))
    rebuild.copy(1, 2 * MIB + 3)
    rebuild.zeros(2 * LIMITS.inline_file_bytes + 1)
    rebuild.copy(SIZE - 1, 1)
    expected = b"abc" + SEED[1 : 2 * MIB + 4] + bytes(2 * LIMITS.inline_file_bytes + 1) + SEED[-1:]

    assert expected == content(file)
    assert (len(expected), hashlib.sha256(expected).digest()) == (rebuild.size, rebuild.digest())


def test_nothing_is_the_empty_file(file: StagedFile) -> None:
    """Without a piece the digest is that of no content; a basis is needed for copies only."""
    rebuild = Rebuild(file)
    empty = rebuild.digest()
    rebuild.write(b"x")

    assert (hashlib.sha256().digest(), hashlib.sha256(b"x").digest()) == (empty, rebuild.digest())


def test_shared_blocks_are_read_back(file: StagedFile, basis: StableFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is that of what the file has, and not of what the basis had before or after."""

    def share(_source: int, target: int, _offset: int, length: int, at: int) -> bool:
        os.pwrite(target, b"?" * length, at)
        return True

    monkeypatch.setattr("dirsync.fs.write.staged.share_range", share)
    rebuild = Rebuild(file, basis)
    rebuild.copy(0, 2 * MIB)

    assert b"?" * 2 * MIB == content(file)
    assert hashlib.sha256(b"?" * 2 * MIB).digest() == rebuild.digest()


@pytest.mark.parametrize("tail", [0, 7])
@pytest.mark.case("D13", "D15")
def test_holes_stay_holes(disk: Path, root: Root, file: StagedFile, tail: int) -> None:
    """Of a large file with little in it only that is copied, and the same holes are left."""
    with (disk / "r/sparse").open("w+b") as sparse:
        for at in (0, 20 * MIB, 50 * MIB - MIB // 2):
            sparse.seek(at)
            sparse.write(SEED[:MIB])
        sparse.truncate(60 * MIB + tail)
    with StableFile(root, path_of("sparse")) as basis:
        rebuild = Rebuild(file, basis)
        rebuild.write(b"!")
        rebuild.copy(1, 51 * MIB)
        rebuild.copy(50 * MIB, 10 * MIB + tail)
    source = (disk / "r/sparse").read_bytes()
    expected = b"!" + source[1 : 51 * MIB + 1] + source[50 * MIB :]

    assert hashlib.sha256(expected).digest() == rebuild.digest() == hashlib.sha256(content(file)).digest()
    assert os.fstat(file.fd).st_blocks * 512 <= 4 * MIB + 256 * KIB


def test_sparse_basis_that_is_shorter(disk: Path, root: Root, file: StagedFile) -> None:
    """What is behind its end is no hole."""
    with (disk / "r/sparse").open("wb") as sparse:
        sparse.write(SEED[:MIB])
        sparse.truncate(10 * MIB)
    with StableFile(root, path_of("sparse")) as basis:
        os.truncate(disk / "r/sparse", MIB)
        with pytest.raises(BasisLost, match="shorter than it was"):
            Rebuild(file, basis).copy(MIB // 2, MIB)


def test_from_another_file_system(file: StagedFile, memory: Path) -> None:
    """Blocks cannot be shared with it, so they are copied."""
    (memory / "basis").write_bytes(SEED)
    with Root.open(memory) as there, StableFile(there, B) as basis:
        rebuild = Rebuild(file, basis)
        rebuild.copy(1, SIZE - 1)

    assert SEED[1:] == content(file)


def test_basis_that_cannot_be_read(file: StagedFile, basis: StableFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told apart from a disk that cannot be written."""
    monkeypatch.setattr(StableFile, "descriptor", file.staging.descriptor)
    with pytest.raises(BasisLost, match="cannot read the basis of f: Is a directory"):
        Rebuild(file, basis).copy(0, 10)


def test_copies_are_bounded(file: StagedFile, basis: StableFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying takes no more memory than one read, however long the range is."""
    asked: list[int] = []
    preadv = os.preadv

    def watched(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        asked.append(sum(map(len, buffers)))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", watched)
    Rebuild(file, basis).copy(0, SIZE)

    assert [LIMITS.file_read_bytes] * 3 + [5] == asked


@pytest.mark.parametrize("offset, length", [(0, SIZE + 1), (SIZE, 1), (1 << 62, 1)])
@pytest.mark.case("I06")
def test_range_that_the_basis_does_not_have(file: StagedFile, basis: StableFile, offset: int, length: int) -> None:
    """A range beyond the basis ends it."""
    with pytest.raises(BasisLost, match="the basis of f is shorter than it was"):
        Rebuild(file, basis).copy(offset, length)


def replace(path: Path) -> None:
    """Put another file in its place."""
    path.unlink()
    path.write_bytes(b"other")


CHANGES: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda path: path.write_bytes(os.urandom(SIZE)),
    "truncated": lambda path: os.truncate(path, SIZE // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "replaced": replace,
    "grown": lambda path: path.write_bytes(SEED + SEED),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_basis_that_changes_meanwhile(disk: Path, file: StagedFile, basis: StableFile, change: str, step: int) -> None:
    """Whatever becomes of the basis between two steps: the digest is that of what is staged, or the rebuild ends."""
    steps = iter(range(10))

    def between() -> bool:
        if next(steps) == step:
            CHANGES[change](disk / "r/basis")
        return False

    rebuild = Rebuild(file, basis, cancelled=between)
    try:
        rebuild.copy(0, SIZE)
    except BasisLost:
        assert change in ("truncated", "emptied")
        return

    assert hashlib.sha256(content(file)).digest() == rebuild.digest()
    assert (rebuild.digest() == DIGEST) == (content(file) == SEED)


def test_basis_that_is_written_all_the_time(disk: Path, root: Root) -> None:
    """A writer that never rests cannot make the digest differ from what is staged."""
    stop = threading.Event()

    def write() -> None:
        with (disk / "r/basis").open("r+b") as basis:
            while not stop.is_set():
                basis.seek(random.randrange(SIZE - 8192))
                basis.write(os.urandom(8192))
                basis.flush()

    writer = threading.Thread(target=write)
    writer.start()
    found: list[tuple[bytes, bytes]] = []
    try:
        with Staging.open(root) as staging:
            for _ in range(20):
                file = staging.create(path_of("f"))
                with StableFile(root, B) as basis:
                    rebuild = Rebuild(file, basis)
                    rebuild.copy(0, SIZE)
                found.append((hashlib.sha256(content(file)).digest(), rebuild.digest()))
                file.discard()
    finally:
        stop.set()
        writer.join()

    assert [(digest, digest) for digest, _ in found] == found
    assert len(set(found)) > 1


@pytest.mark.case("A09")
def test_copy_that_never_reached_the_disk(file: StagedFile, basis: StableFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that says it shared blocks and did not is found out when they are read back."""
    monkeypatch.setattr("dirsync.fs.write.staged.share_range", lambda *_: True)
    with pytest.raises(StorageFailed, match="cannot stage f: 10 bytes were written, 0 are there"):
        Rebuild(file, basis).copy(0, 10)


@pytest.mark.case("B03")
def test_full_disk(file: StagedFile, basis: StableFile) -> None:
    """A disk that is full is no fault of the basis."""
    with disk_of(MIB), pytest.raises(StorageFailed, match="cannot stage f"):
        Rebuild(file, basis).copy(0, SIZE)


def test_cancelled(file: StagedFile, basis: StableFile) -> None:
    """Stopping does not wait for a long copy or run."""
    asked = iter([False, False, True, False, True])
    rebuild = Rebuild(file, basis, cancelled=lambda: next(asked))
    with pytest.raises(Unavailable):
        rebuild.copy(0, SIZE)
    with pytest.raises(Unavailable):
        rebuild.zeros(SIZE)
