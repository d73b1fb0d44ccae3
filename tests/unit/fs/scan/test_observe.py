"""What a look at one path finds."""

import os
import socket
from pathlib import Path

import pytest

from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import MOUNT, file_record, flags_of, with_flags
from dirsync.fs.root import Root
from dirsync.fs.scan.observe import observe
from dirsync.tree.entry import UNKNOWN, Kind, Record, fingerprint_of, pack, unpack
from dirsync.tree.path import ROOT
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.untracked import UntrackedKind
from tests.unit.fs.places import as_nobody, make, path_of

DIGEST = b"d" * 32


def known_file(path: Path) -> Record:
    """A file's record whose digest is known and which was looked at long after its last change."""
    status = os.lstat(path)
    return file_record(status, status.st_ctime_ns + 10**10, DIGEST)


def record_at(root: Root, path: str, known: Record | None = None) -> Record:
    """What is there, which is tracked."""
    found = observe(root, path_of(path), known)
    assert isinstance(found, bytes)
    return Record(found)


def test_kinds(tmp_path: Path) -> None:
    """Files are not read, links are; a directory has its mode."""
    make(tmp_path, "f=abc d/ l->f").joinpath("d").chmod(0o2750)
    with Root.open(tmp_path) as root:
        file, directory, link = (unpack(record_at(root, path)) for path in "fdl")

        assert (Kind.FILE, 3, UNKNOWN) == (file.kind, file.size, file.digest)
        assert (Kind.DIRECTORY, 0o750) == (directory.kind, directory.mode)
        assert (Kind.SYMLINK, b"f", 0) == (link.kind, link.target, link.mode)
        assert observe(root, path_of("absent")) is None
        assert unpack(record_at(root, "")).kind is Kind.DIRECTORY


@pytest.mark.case("D12")
def test_untracked(tmp_path: Path) -> None:
    """FIFOs, sockets and devices are told apart from absence and from problems, and never opened."""
    make(tmp_path, "p|")
    with socket.socket(socket.AF_UNIX) as server, Root.open(tmp_path) as root:
        server.bind(str(tmp_path / "s"))

        assert observe(root, path_of("p")) is UntrackedKind.FIFO
        assert observe(root, path_of("s")) is UntrackedKind.SOCKET
    with Root.open("/dev") as root:
        assert observe(root, path_of("null")) is UntrackedKind.DEVICE


def test_untouched_is_the_same_object(tmp_path: Path) -> None:
    """A record that is still proved is returned as it is."""
    known = known_file(make(tmp_path, "f=abc") / "f")
    with Root.open(tmp_path) as root:
        assert observe(root, path_of("f"), known) is known


def test_touched_is_unread(tmp_path: Path) -> None:
    """Any change of the status makes the content unknown."""
    known = known_file(make(tmp_path, "f=abc") / "f")
    (tmp_path / "f").write_text("abd")
    with Root.open(tmp_path) as root:
        assert unpack(record_at(root, "f", known)).digest == UNKNOWN


def test_declared_metadata_stays(tmp_path: Path) -> None:
    """Mode and mtime as the source declared them stay while the replica shows no change of them."""
    file = make(tmp_path, "f=abc") / "f"
    actual = known_file(file)
    declared = pack(unpack(actual)._replace(mode=0o751, mtime_ns=77), fingerprint_of(actual))
    with Root.open(tmp_path) as root:
        os.link(file, tmp_path / "g")  # changes nothing but ctime
        linked = unpack(record_at(root, "f", declared))
        file.chmod(0o600)
        rechmoded = unpack(record_at(root, "f", declared))
        os.utime(file, ns=(5, 5))
        retimed = unpack(record_at(root, "f", declared))

    assert (0o751, 77) == (linked.mode, linked.mtime_ns)
    assert (0o600, 77) == (rechmoded.mode, rechmoded.mtime_ns)
    assert (0o600, 5) == (retimed.mode, retimed.mtime_ns)


@pytest.mark.parametrize("now", ["f=abc", "d/", "l->x"])
@pytest.mark.parametrize("before", ["f=abc", "d/", "l->x"])
@pytest.mark.case("D06")
def test_change_of_kind(tmp_path: Path, before: str, now: str) -> None:
    """Whatever was known, what is there now is found, without following it."""
    make(tmp_path / "before", before.replace("f", "n").replace("d", "n").replace("l", "n"))
    make(tmp_path / "now", now.replace("f", "n").replace("d", "n").replace("l", "n"))
    with Root.open(tmp_path / "before") as root:
        known = record_at(root, "n")
    with Root.open(tmp_path / "now") as root:
        expected = {"f": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.SYMLINK}[now[0]]

        assert expected is unpack(record_at(root, "n", known)).kind


def test_unreadable_is_a_problem(tmp_path: Path) -> None:
    """It is unknown what is there: that is neither absence nor the former entry."""
    make(tmp_path, "d/f=abc").joinpath("d").chmod(0)
    with Root.open(tmp_path) as root, as_nobody(tmp_path):
        found = observe(root, path_of("d/f"))

    assert isinstance(found, Problem)
    assert ProblemKind.UNREADABLE is found.kind


def test_mount_mark_stays(tmp_path: Path) -> None:
    """A directory that was a mount point stays marked until its disappearance is accepted."""
    make(tmp_path, "d/")
    with Root.open(tmp_path) as root:
        marked = with_flags(record_at(root, "d"), MOUNT)
        make(tmp_path, "d/f=new")

        assert MOUNT == flags_of(record_at(root, "d", marked))
        assert flags_of(record_at(root, "d")) == 0


def test_mount_point_is_seen(tmp_path: Path) -> None:
    """A directory on another device than its parent is a mount point."""
    if os.lstat("/proc").st_dev == os.lstat("/").st_dev:
        pytest.fail("/proc is expected to be mounted")
    with Root.open("/") as root:
        assert MOUNT == flags_of(record_at(root, "proc"))
        assert flags_of(record_at(root, "")) == 0


def test_failures_are_problems() -> None:
    """Every failure of a path says its path and kind as data."""
    kinds = {kind.kind for kind in _all_failures(PathFailure)}

    assert {"unreadable", "changing", "vanished", "refused", "storage"} == kinds
    assert Problem(ROOT, ProblemKind.VANISHED, "gone") == _vanished().problem()


def _all_failures(base: type[PathFailure]) -> set[type[PathFailure]]:
    return {failure for child in base.__subclasses__() for failure in {child, *_all_failures(child)}}


def _vanished() -> PathFailure:
    kind = next(kind for kind in _all_failures(PathFailure) if kind.kind is ProblemKind.VANISHED)
    return kind(ROOT, "gone")
