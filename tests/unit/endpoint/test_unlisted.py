"""Directories of a replica that cannot be listed: they equal nothing, and an operation on one says why."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.endpoint.verify import verify
from dirsync.errors import StorageError
from dirsync.tree.diff import diff
from dirsync.tree.entry import UNLISTED, Entry, directory_entry, is_known, pack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import SetMetadata, operation
from dirsync.tree.tree import Tree
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import encode_entry
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import ABSENT, batch, commit, delete, seen, set_metadata


class Disk:
    """A disk on which some directories cannot be read."""

    def __init__(self) -> None:
        self.failing: set[int] = set()
        self._scandir = os.scandir

    def scandir(self, path: Any) -> Any:
        """As ``os.scandir``."""
        if isinstance(path, int) and os.fstat(path).st_ino in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._scandir(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of the replica."""
    disk = Disk()
    monkeypatch.setattr(os, "scandir", disk.scandir)
    return disk


@pytest.fixture
def server(tmp_path: Path, disk: Disk) -> Iterator[Direct]:
    """A server that was started on a replica whose directory ``d`` cannot be listed."""
    (tmp_path / "replica/d").mkdir(parents=True)
    (tmp_path / "replica/d").chmod(0o755)
    (tmp_path / "replica/d/strange").write_text("strange")
    disk.failing.add((tmp_path / "replica/d").stat().st_ino)
    with direct(tmp_path) as server:
        yield server


def source(server: Direct) -> Tree:
    """A source with an empty directory in that place."""
    tree = Tree(server.replica.options.attributes)
    tree.put(RelPath(b"d"), pack(directory_entry(0o755)))
    return tree


def listed(server: Direct) -> Entry:
    """What a session is shown of the directory."""
    return dict(server.list(server.open()))[b"d"]


def carried_out(server: Direct, *operations: pb.Operation) -> list[pb.Failure]:
    """The operations that failed."""
    (answer,) = send(server.push(server.open()), batch(*operations), commit())
    return list(answer.failures)


def test_equals_nothing(server: Direct) -> None:
    """Its digest is none of content, the root digest is not that of a source, and it is a change."""
    (change,) = diff(server.replica.tree, source(server))
    step = operation(change)

    assert not is_known(listed(server).digest)
    assert server.status().root_digest != source(server).digest()
    assert (RelPath(b"d"), UNLISTED) == (change.path, change.old.digest if change.old else b"")
    assert isinstance(step, SetMetadata)


def test_named(server: Direct) -> None:
    """An operation on it fails, and says why and what to do."""
    (failure,) = carried_out(server, set_metadata(1, b"d", seen(encode_entry(directory_entry(0o755))), 0o755))

    assert Outcome.REFUSED.value == failure.outcome
    assert "cannot be listed by the server" in failure.message
    assert os.strerror(errno.EIO) in failure.message


def test_not_removed(server: Direct) -> None:
    """It is not removed, nor dropped from the tree."""
    (failure,) = carried_out(server, delete(1, b"d", seen(encode_entry(directory_entry(0o755)))))

    assert "cannot be listed by the server" in failure.message
    assert not is_known(listed(server).digest)
    assert (server.place / "d/strange").exists()


def test_not_moved(server: Direct) -> None:
    """It is not moved: nobody knows what would come along."""
    what = pb.Operation.Move(source=b"d", source_expected=seen(encode_entry(listed(server))))
    (failure,) = carried_out(server, pb.Operation(number=1, path=b"e", expected=ABSENT, move=what))

    assert Outcome.CHANGED.value == failure.outcome
    assert (server.place / "d/strange").exists()


def test_known_when_possible(server: Direct, disk: Disk) -> None:
    """Once it can be listed, what is in it is known."""
    disk.failing.clear()
    failures = carried_out(server, set_metadata(1, b"d", seen(encode_entry(directory_entry(0o755))), 0o755))

    assert [] == failures
    assert is_known(listed(server).digest)
    assert RelPath(b"d/strange") in server.replica.tree


def test_fails_later(server: Direct, disk: Disk) -> None:
    """A directory that was known and cannot be listed any more keeps what is known, and equals nothing again."""
    disk.failing.clear()
    server.replica.scanner.rescan()
    known = listed(server).digest
    disk.failing.add((server.place / "d").stat().st_ino)
    server.replica.scanner.rescan()

    assert (True, False) == (is_known(known), is_known(listed(server).digest))
    assert RelPath(b"d/strange") in server.replica.tree


def test_remembered(server: Direct) -> None:
    """Another scan finds the same state."""
    first = server.status().root_digest
    server.replica.scanner.rescan()

    assert first == server.status().root_digest


@pytest.mark.parametrize("deep", [False, True])
def test_verification(server: Direct, deep: bool) -> None:
    """A verification knows no more of it."""
    tree, summary = verify(server.replica, server.replica.options, deep=deep)

    assert server.status().root_digest == summary.root_digest
    assert not is_known(tree.digest(RelPath(b"d")))


def test_root(server: Direct, disk: Disk) -> None:
    """A root that cannot be listed is an error of every scan."""
    disk.failing.add(server.place.stat().st_ino)
    with pytest.raises(StorageError, match="cannot be read"):
        server.replica.scanner.rescan()
