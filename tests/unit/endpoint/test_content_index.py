"""The content cache: what it finds, what it forgets, and what it costs."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.endpoint.content_index import ContentIndex
from dirsync.endpoint.replica_state import ReplicaState
from dirsync.fs.index.index import Index
from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Record, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

A, B, C = (RelPath(name) for name in (b"a", b"b", b"d/c"))


def digest(content: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(content).digest()


def file(content: bytes) -> Record:
    """The record of a file."""
    return pack(file_entry(mode=0o644, size=len(content), mtime_ns=1, digest=digest(content)))


def test_found_under_every_name() -> None:
    """The newest path comes first."""
    contents = ContentIndex()
    for path in (A, B, C):
        contents.add(path, file(b"one"))
    contents.add(A, file(b"two"))

    assert (C, B, A) == contents.find(digest(b"one"))
    assert (A,) == contents.find(digest(b"two"))
    assert () == contents.find(digest(b"three"))


@pytest.mark.parametrize(
    "record",
    [
        pack(directory_entry(0o755)),
        pack(symlink_entry(b"target")),
        file(b""),
        pack(file_entry(mode=0o644, size=3, mtime_ns=1, digest=UNKNOWN)),
    ],
    ids=["directory", "link", "empty", "unread"],
)
def test_not_kept(record: Record) -> None:
    """What is no content, or not known, is not kept, and its removal harms nothing."""
    contents = ContentIndex()
    contents.add(A, record)
    contents.remove(A, record)

    assert 0 == len(contents)


def test_shortened_digests() -> None:
    """Two digests that share what is kept of them are candidates of each other, for the tree to tell apart."""
    one = digest(b"one")
    twin = one[:7] + bytes(25)
    contents = ContentIndex()
    contents.add(A, file(b"one"))

    assert (A,) == contents.find(twin)


def test_limit() -> None:
    """No more digests are taken than allowed; further paths of known ones are, and room that is made is used."""
    contents = ContentIndex(limit=2)
    for path, content in ((A, b"one"), (B, b"two"), (C, b"three")):
        contents.add(path, file(content))
    contents.add(C, file(b"one"))
    full = contents.is_full
    contents.remove(B, file(b"two"))
    contents.add(B, file(b"three"))

    assert (True, 2) == (full, len(contents))
    assert ((C, A), (), (B,)) == tuple(contents.find(digest(content)) for content in (b"one", b"two", b"three"))


paths = st.sampled_from([RelPath(b"%d" % number) for number in range(6)])
contents_of = st.sampled_from([b"x", b"y"])


@given(st.lists(st.tuples(st.booleans(), paths, contents_of), max_size=40))
def test_model(steps: list[tuple[bool, RelPath, bytes]]) -> None:
    """Whatever is added and removed, the newest paths of a content are found, newest first, and no other."""
    contents = ContentIndex()
    model: dict[bytes, list[RelPath]] = {}
    for is_there, path, content in steps:
        known = model.setdefault(content, [])
        if not is_there:
            contents.remove(path, file(content))
            model[content] = [other for other in known if other != path]
        elif path not in known:
            contents.add(path, file(content))
            model[content] = [*known[1 - LIMITS.max_content_paths :], path]

    assert {content: tuple(reversed(known)) for content, known in model.items()} == {
        content: contents.find(digest(content)) for content in model
    }
    assert sum(map(bool, model.values())) == len(contents)


def test_memory() -> None:
    """A file costs at most 200 bytes, with a path of some 40 bytes."""
    tree, count = Tree(), 20_000
    tree.put(RelPath(b"a-directory"), pack(directory_entry(0o755)))
    for number in range(count):
        path = RelPath(b"a-directory/a-file-with-some-name-%05d" % number)
        tree.put(path, file(b"%d" % number))
    contents = ContentIndex()
    tracemalloc.start()
    contents.fill(tree)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == len(contents)
    assert used / count < 200


def test_full_of_what_is_gone(tmp_path: Path) -> None:
    """When there is no room left, what nothing has any more makes room for what something has."""
    with Index.open(tmp_path, "index") as index:
        state = ReplicaState(index, Attributes())
        state.content = ContentIndex(limit=10)
        with state.writer:
            for number in range(10):
                # As if somebody had replaced them by hand: what was there before a scan is not known.
                state.found([(A, file(b"%d" % number))])
            full = state.content.is_full
            state.put(B, file(b"new"))

        assert (True, (B,), (A,)) == (full, *(state.content.find(digest(what)) for what in (b"new", b"9")))
        assert 2 == len(state.content)
