"""Files of a replica that the server cannot read: they equal nothing, and can be replaced and removed all the same."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.verify import verify
from dirsync.fs.failure import Unreadable
from dirsync.fs.read.hashing import Digester
from dirsync.tree.diff import diff
from dirsync.tree.entry import UNKNOWN, Entry, is_known, pack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import encode_entry
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import batch, commit, delete, put, seen

CLOSED = 0o200
"""The mode of files that nobody may read in these tests, not even root."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a replica, and permission bits that count for root too."""
    root = tmp_path / "replica"
    root.mkdir()
    digest = Digester.digest

    def denied(self: Digester, path: RelPath) -> tuple[bytes, os.stat_result, int]:
        if stat.S_IMODE((root / os.fsdecode(path)).stat().st_mode) == CLOSED:
            raise Unreadable(path, "cannot open it: Permission denied")
        return digest(self, path)

    monkeypatch.setattr(Digester, "digest", denied)
    return tmp_path


@pytest.fixture
def server(place: Path) -> Iterator[Direct]:
    """A server that was started on a replica of two files, and cannot read ``closed``."""
    write(place / "replica/closed", "content")
    (place / "replica/open").write_text("content")
    with direct(place) as server:
        yield server


def write(path: Path, content: str) -> None:
    """Put a new file that cannot be read where another may be."""
    fresh = path.with_name("fresh")
    fresh.write_text(content)
    fresh.chmod(CLOSED)
    fresh.rename(path)


def listed(server: Direct, name: bytes = b"closed") -> Entry:
    """What a session is shown of a file."""
    return dict(server.list(server.open()))[name]


def carried_out(server: Direct, *operations: pb.Operation) -> list[pb.Failure]:
    """The operations that failed."""
    (answer,) = send(server.push(server.open()), batch(*operations), commit())
    return list(answer.failures)


def test_equals_nothing(server: Direct) -> None:
    """Its entry has no digest of content, and the tree is not that of a source with an unread file of that name."""
    entry, root_digest = listed(server), server.status().root_digest
    source = Tree(server.replica.options.attributes)
    for name, child in server.list(server.open()):
        source.put(RelPath(name), pack(child if is_known(child.digest) else child._replace(digest=UNKNOWN)))

    assert (7, False, True) == (entry.size, is_known(entry.digest), is_known(listed(server, b"open").digest))
    assert root_digest != source.digest()
    assert [b"closed"] == [change.path for change in diff(server.replica.tree, source)]


def test_states_differ(server: Direct) -> None:
    """Each state of the file changes the root digest; a scan that finds the same state does not."""
    first = server.status().root_digest
    server.replica.scanner.rescan()
    same = server.status().root_digest
    write(server.place / "closed", "another")
    server.replica.scanner.rescan()
    edited = server.status().root_digest
    (server.place / "closed").rename(server.place / "renamed")
    server.replica.scanner.rescan()

    assert same == first
    assert 3 == len({first, edited, server.status().root_digest})


def test_read_when_possible(server: Direct) -> None:
    """Once it may be read, its digest is known."""
    (server.place / "closed").chmod(0o644)
    server.replica.scanner.rescan()

    assert hashlib.sha256(b"content").digest() == listed(server).digest


def test_remembered(place: Path) -> None:
    """The next start finds the same state."""
    write(place / "replica/closed", "content")
    roots = []
    for _ in range(2):
        with direct(place) as server:
            roots.append(server.status().root_digest)

    assert roots[0] == roots[1]


@pytest.mark.parametrize("known", ["as scanned", "as pushed"])
def test_replaced(server: Direct, known: str) -> None:
    """An operation that expects what was listed replaces the file."""
    if known == "as pushed":
        assert [] == carried_out(server, put(1, b"closed", b"old", seen(encode_entry(listed(server)))))
        write(server.place / "closed", "edited")
        server.replica.scanner.rescan()
    failures = carried_out(server, put(1, b"closed", b"new", seen(encode_entry(listed(server)))))

    assert [] == failures
    assert "new" == (server.place / "closed").read_text()


def test_removed(server: Direct) -> None:
    """An operation that expects what was listed removes the file."""
    failures = carried_out(server, delete(1, b"closed", seen(encode_entry(listed(server)))))

    assert [] == failures
    assert ["open"] == os.listdir(server.place)


def test_edited_since(server: Direct) -> None:
    """An operation that expects another state is not applied, and is told of the present one."""
    expected = seen(encode_entry(listed(server)))
    write(server.place / "closed", "edited")
    (failure,) = carried_out(server, delete(1, b"closed", expected))

    assert Outcome.CHANGED.value == failure.outcome
    assert encode_entry(listed(server)) == failure.current
    assert (server.place / "closed").exists()


def test_content_is_not_copied(server: Direct) -> None:
    """What stands in for its digest names no content."""
    assert ([], 0) == server.replica.state.paths_of(listed(server).digest)


@pytest.mark.parametrize("deep", [False, True])
def test_verification(server: Direct, deep: bool) -> None:
    """A verification knows no more of it."""
    tree, summary = verify(server.replica, server.replica.options, deep=deep)

    assert server.status().root_digest == summary.root_digest
    assert not is_known(entry_of(tree, b"closed").digest)


def test_deep_verification_reads(server: Direct) -> None:
    """What a push declared of a file that nobody can read is proof enough, but not for a deep verification."""
    assert [] == carried_out(server, put(1, b"closed", b"new", seen(encode_entry(listed(server))), CLOSED))
    plain, deep = (verify(server.replica, server.replica.options, deep=deep) for deep in (False, True))

    assert server.status().root_digest == plain[1].root_digest
    assert hashlib.sha256(b"new").digest() == entry_of(plain[0], b"closed").digest
    assert not is_known(entry_of(deep[0], b"closed").digest)


def entry_of(tree: Tree, name: bytes) -> Entry:
    """What the tree has there."""
    entry = tree.get(RelPath(name))
    assert entry is not None
    return entry
