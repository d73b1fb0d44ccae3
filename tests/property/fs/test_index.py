"""Whatever bytes the state directory holds, the index opens, and believes nothing that it did not store."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.index import Index
from dirsync.tree.entry import file_entry, pack
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

STORED = {
    RelPath(b"%d" % n): pack(file_entry(mode=0o644, size=n, mtime_ns=n, digest=bytes([n]) * 32)) for n in range(60)
}
DAMAGE = st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=64)), max_size=4)


def made() -> dict[str, bytes]:
    """The files of an index that its process never closed."""
    with tempfile.TemporaryDirectory() as directory, Index.open(directory, "index") as index:
        index.put_many(STORED.items())
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
