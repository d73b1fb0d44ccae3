"""Scanning a replica's files while commits change them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.apply.commit import Committer
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.observer import Observer
from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.fs.failure import Unreadable
from dirsync.fs.fingerprint import RACY, flags_of
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.tree.entry import fingerprint_of, is_known, pack, unpack
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Delete, Move, Operation
from dirsync.tree.tree import Tree
from tests.support.trees.scanning import scan_tree

BEFORE = ("a/below/in-a", "b/below/in-b", "c/below/in-c")


class Between(Observer):
    """Does what a test wants between two directories of a scan."""

    def __init__(self) -> None:
        self.act: Callable[[RelPath], None] = lambda _path: None

    def directory_scanned(self, scan: DirectoryScan) -> None:
        """A directory was scanned, the next one was not."""
        self.act(scan.path)


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """A replica of three directories that are alike but for a name deep in each."""
    for name in BEFORE:
        path = tmp_path / "replica" / name
        path.parent.mkdir(parents=True)
        path.touch()
    policy = ReplicaPolicy(Quota(1 << 20, 1 << 20, 100, 0))
    replica = Replica.open("default", tmp_path / "replica", tmp_path, policy, Between())
    replica.scan()
    yield replica
    replica.close()


def move(replica: Replica, source: str, path: str, *, exchange: bool = False) -> Operation:
    """The move of what is there now."""
    entries = [replica.tree.get(RelPath(name.encode())) for name in (path, source)]
    assert entries[1] is not None
    return Move(RelPath(path.encode()), entries[0], RelPath(source.encode()), entries[1], exchange)


def moved_away(replica: Replica) -> Iterator[Operation]:
    """One directory goes, another one comes to its place."""
    yield move(replica, "a", "d")
    yield move(replica, "b", "a")


def exchanged(replica: Replica) -> Iterator[Operation]:
    """Two directories change places."""
    yield move(replica, "a", "b", exchange=True)


def removed(replica: Replica) -> Iterator[Operation]:
    """A directory is removed, and another one comes to its place."""
    for name in (b"a/below/in-a", b"a/below", b"a"):
        yield Delete(RelPath(name), replica.tree.get(RelPath(name)))
    yield move(replica, "b", "a")


@pytest.mark.parametrize("rearrange", [moved_away, exchanged, removed])
def test_rearranged_meanwhile(
    tmp_path: Path, replica: Replica, rearrange: Callable[[Replica], Iterator[Operation]]
) -> None:
    """Directories that commits rearrange between two steps of a scan are scanned where they are by then."""
    committer = Committer(replica, lambda: None)
    applied: list[bool] = []

    def between(path: RelPath) -> None:
        if path == b"a" and not applied:
            for number, operation in enumerate(rearrange(replica), 1):
                applied.append(not committer.commit([Step(number, operation)]).failures)

    assert isinstance(replica.observer, Between)
    replica.observer.act = between
    replica.scanner.rescan()
    committer.close()
    with Root.open(tmp_path / "replica") as root:
        there = scan_tree(root, Tree()).tree

    assert {True} == set(applied)
    assert names(there) == names(replica.tree)
    assert names(there) == {os.path.relpath(path, tmp_path / "replica") for path in (tmp_path / "replica").rglob("*")}


def digest_at(replica: Replica, path: RelPath) -> bytes:
    """The digest that the tree has."""
    entry = replica.state.entry(path)
    assert entry is not None
    return entry.digest


@pytest.mark.case("D04")
@pytest.mark.parametrize("wrong", [False, True], ids=["as it was", "changed within a tick"])
def test_file_whose_time_proves_nothing(tmp_path: Path, replica: Replica, *, wrong: bool) -> None:
    """It keeps its digest until it was read again, so that its content is found meanwhile; then it has the real one."""
    path, content = RelPath(b"a/new"), b"content"
    (tmp_path / "replica" / "a" / "new").write_bytes(content)
    replica.scanner.rescan()
    right = hashlib.sha256(content).digest()
    known = replica.state.record(path)
    assert known is not None
    assert flags_of(known) & RACY
    with replica.writer:
        if wrong:
            replica.state.put(path, pack(unpack(known)._replace(digest=b"w" * 32), fingerprint_of(known)))
    meanwhile: list[bytes] = []

    def between(_path: RelPath) -> None:
        meanwhile.append(digest_at(replica, path))

    assert isinstance(replica.observer, Between)
    replica.observer.act = between
    subscription = replica.changes.subscribe(b"somebody")
    told = replica.scanner.rescan()

    assert {b"w" * 32 if wrong else right} == set(meanwhile)
    assert right == digest_at(replica, path)
    assert [path] * wrong == told
    assert wrong is subscription.wait(0)


def test_doubtful_file_that_cannot_be_read(tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose time proves nothing, and that cannot be read again, has no digest any more."""
    path = RelPath(b"a/new")
    (tmp_path / "replica" / "a" / "new").write_bytes(b"content")
    replica.scanner.rescan()

    def denied(_digester: Digester, path: RelPath) -> None:
        raise Unreadable(path, "no")

    monkeypatch.setattr(Digester, "digest", denied)
    replica.scanner.rescan()

    assert not is_known(digest_at(replica, path))


def names(tree: Tree) -> set[str]:
    """Every path of a tree."""
    return {escape(path) for path, _ in tree.walk()}
