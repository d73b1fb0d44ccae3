"""Whatever bytes the state directory holds, the index believes nothing that it did not store; and it follows a tree."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.index.index import Index
from dirsync.tree.entry import Kind, Record, directory_entry, file_entry, pack
from dirsync.tree.path import ROOT, RelPath, ancestors, is_within
from dirsync.tree.tree import Tree
from tests.property.strategies import entries, paths

STORED = {
    RelPath(b"%d" % n): pack(file_entry(mode=0o644, size=n, mtime_ns=n, digest=bytes([n]) * 32)) for n in range(60)
}
DAMAGE = st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=64)), max_size=4)


def made() -> dict[str, bytes]:
    """The files of an index that its process never closed."""
    with tempfile.TemporaryDirectory() as directory, Index.open(directory, "index") as index:
        for path, record in STORED.items():
            index.put(path, record)
        index.flush()
        return {name: Path(directory, name).read_bytes() for name in ("index", "index-wal")}


FILES = made()


@given(st.sampled_from(["index", "index-wal"]), DAMAGE, st.none() | st.integers(0, 1 << 14))
@pytest.mark.case("A13")
def test_any_damage(name: str, damage: list[tuple[int, bytes]], length: int | None) -> None:
    """Overwritten and truncated anywhere: each record that is given back is one that was stored."""
    content = bytearray(FILES[name])
    for at, raw in damage:
        content[at : at + len(raw)] = raw
    with tempfile.TemporaryDirectory() as directory:
        for file, intact in FILES.items():
            Path(directory, file).write_bytes(content[:length] if file == name else intact)
        tree = Tree()
        with Index.open(directory, "index") as index:
            index.load(tree)
            index.put(RelPath(b"new"), STORED[RelPath(b"1")])
            index.flush()
        again = Tree()
        with Index.open(directory, "index") as index:
            index.load(again)

        assert dict(tree.walk()).items() <= STORED.items()
        assert RelPath(b"new") in again or index.failed_writes


@given(st.data())
def test_index_follows_a_tree(data: st.DataObject) -> None:
    """Whatever is put, removed, moved and exchanged in a tree and in its index, the index returns that tree."""
    tree, loaded = Tree(), Tree()
    with tempfile.TemporaryDirectory() as directory:
        with Index.open(directory, "index") as index:
            for _ in range(data.draw(st.integers(1, 12))):
                _edit(data, tree, index)
        with Index.open(directory, "index") as index:
            index.load(loaded)

    assert list(tree.walk()) == list(loaded.walk())
    assert tree.digest() == loaded.digest()


def _edit(data: st.DataObject, tree: Tree, index: Index) -> None:
    """One edit of both."""
    there = [path for path, _ in tree.walk()]
    path = data.draw(st.sampled_from(there) | paths if there else paths)
    match data.draw(st.sampled_from(("put", "remove", "move", "exchange"))):
        case "put":
            record = pack(data.draw(entries))
            for above in (*reversed([above for above in ancestors(path) if above != ROOT]), path):
                _put(tree, index, above, record if above == path else pack(directory_entry(0o755)))
        case "remove":
            tree.remove(path)
            index.remove(path)
        case act:
            other = data.draw(st.sampled_from(there) | paths if there else paths)
            if is_within(path, other) or is_within(other, path):
                return
            try:
                getattr(tree, act)(path, other)
            except KeyError:
                return
            getattr(index, act)(path, other)


def _put(tree: Tree, index: Index, path: RelPath, record: Record) -> None:
    if tree.directory(path) is not None and record[0] != Kind.DIRECTORY:
        index.remove(path)
    tree.put(path, record)
    index.put(path, record)
