"""A cache that may be lost at any time, and never lies."""

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.fs.index import Index
from dirsync.fs.index_file import SCHEMA_VERSION
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from tests.unit.fs.places import path_of

FILE = pack(file_entry(mode=0o644, size=3, mtime_ns=7, digest=b"d" * 32), b"fingerprint")
DIRECTORY = pack(directory_entry(0o755))
LINK = pack(symlink_entry(b"target"))
SOME: dict[str, Record] = {"a": FILE, "d": DIRECTORY, "d/b": FILE, "d/l": LINK, "d-e": FILE}


def filled(directory: Path, records: dict[str, Record] | None = None) -> None:
    """Make an index that holds these records."""
    with Index.open(directory, "index") as index:
        index.put_many((path_of(path), record) for path, record in (SOME if records is None else records).items())
        index.set_meta("key", b"value")


def loaded(directory: Path, *, read_only: bool = False) -> dict[str, Record]:
    """What an index gives back."""
    tree = Tree()
    with Index.open(directory, "index", read_only=read_only) as index:
        index.load(tree)
    return {path.decode(): record for path, record in tree.walk()}


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file of a directory."""
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


@pytest.mark.parametrize("read_only", [False, True])
def test_round_trip(tmp_path: Path, read_only: bool) -> None:
    """What was put is there after a restart, byte for byte."""
    filled(tmp_path)

    assert SOME == loaded(tmp_path, read_only=read_only)


def test_meta(tmp_path: Path) -> None:
    """Values beside the tree are there at once and after a restart."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        index.set_meta("other", b"1")

        assert (b"value", b"1", None) == (index.get_meta("key"), index.get_meta("other"), index.get_meta("absent"))


@pytest.mark.parametrize(
    "path, expected",
    [("a", {"d", "d/b", "d/l", "d-e"}), ("d", {"a", "d-e"}), ("d/b", {"a", "d", "d/l", "d-e"}), ("", set())],
)
def test_remove(tmp_path: Path, path: str, expected: set[str]) -> None:
    """A path goes with everything below it, and not its neighbours."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        index.remove(path_of(path))

    assert expected == set(loaded(tmp_path))


def test_order_is_kept(tmp_path: Path) -> None:
    """Puts and removals take effect in the order in which they came."""
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("a"), FILE)
        index.remove(path_of("a"))
        index.put(path_of("b"), FILE)
        index.remove(path_of("b"))
        index.put(path_of("b"), LINK)

    assert {"b": LINK} == loaded(tmp_path)


def test_flush_writes(tmp_path: Path) -> None:
    """After a flush another reader sees what was put, though the index is still open."""
    with Index.open(tmp_path, "index") as index:
        index.put_many((RelPath(b"%d" % n), FILE) for n in range(LIMITS.index_batch_rows * 2 + 1))
        index.flush()
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("index", "index-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())

    assert LIMITS.index_batch_rows * 2 + 1 == len(loaded(copy))


def test_orphans_are_dropped(tmp_path: Path) -> None:
    """A record whose directory is not there, or is none, is not believed and not kept."""
    filled(tmp_path, {"gone/x": FILE, "f": FILE, "f/x": FILE})

    assert {"f": FILE} == loaded(tmp_path)
    with sqlite3.connect(tmp_path / "index") as connection:
        assert [(b"f",)] == connection.execute("SELECT path FROM entries").fetchall()
    connection.close()


@pytest.mark.parametrize("column", ["path", "record"])
@pytest.mark.case("A13")
def test_flipped_bit_is_dropped(tmp_path: Path, column: str) -> None:
    """A record that is not what was stored for its path is not believed; the others are."""
    filled(tmp_path)
    with sqlite3.connect(tmp_path / "index") as connection:
        path, record = connection.execute("SELECT path, record FROM entries WHERE path = ?", (b"a",)).fetchone()
        flipped = {"path": (b"c", record), "record": (path, bytes([record[0] ^ 1]) + record[1:])}[column]
        connection.execute("DELETE FROM entries WHERE path = ?", (b"a",))
        connection.execute("INSERT INTO entries VALUES (?, ?)", flipped)
    connection.close()

    assert {path: record for path, record in SOME.items() if path != "a"} == loaded(tmp_path)


def other_version(file: Path) -> None:
    """Make it the index of another version."""
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()


def other_tables(file: Path) -> None:
    """Make it somebody else's database."""
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE entries(whatever)")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.close()


def only_foreign_tables(file: Path) -> None:
    """The same, and of another version."""
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE whatever(it)")
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"garbage" * 1000),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 8192),
        lambda file: file.unlink(),
        other_version,
        other_tables,
        only_foreign_tables,
    ],
    ids=["garbage", "empty", "header", "truncated", "pages", "gone", "version", "tables", "foreign"],
)
@pytest.mark.case("A13")
def test_damaged_index_is_an_empty_one(tmp_path: Path, damage: object, read_only: bool) -> None:
    """Whatever happened to the file, we start empty, and what is put then is there after a restart."""
    assert callable(damage)
    filled(tmp_path)
    damage(tmp_path / "index")
    first = loaded(tmp_path, read_only=read_only)
    filled(tmp_path)

    assert {} == first
    assert SOME == loaded(tmp_path)


def test_read_only_leaves_no_trace(tmp_path: Path) -> None:
    """Reading creates no file and writes none, whether or not there is an index, and puts go nowhere."""
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    filled(full)
    before = snapshot(full)
    for directory in (empty, full):
        with Index.open(directory, "index", read_only=True) as index:
            index.load(Tree())
            index.put(path_of("x"), FILE)
            index.set_meta("x", b"x")
            index.flush()

    assert ({}, before) == (snapshot(empty), snapshot(full))


def test_read_only_beside_a_writer(tmp_path: Path) -> None:
    """A running process's index can be read, and is not disturbed."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("z"), FILE)
        index.flush()
        beside = loaded(tmp_path, read_only=True)

    assert set(SOME) <= set(beside)
    assert {*SOME, "z"} == set(loaded(tmp_path))


def test_second_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that somebody else uses is never taken for a damaged one."""
    filled(tmp_path)
    monkeypatch.setattr("dirsync.fs.index_file.LIMITS", type(LIMITS)(index_busy_seconds=0.05))
    with Index.open(tmp_path, "index"), pytest.raises(UsageError, match="index is in use by another process"):
        Index.open(tmp_path, "index")

    assert SOME == loaded(tmp_path)


@pytest.mark.parametrize("name", ["absent/index", "file/index"])
def test_unusable_directory(tmp_path: Path, name: str) -> None:
    """A state directory that cannot hold it is named."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"{tmp_path}/{name.split('/', maxsplit=1)[0]} cannot hold our state as uid"):
        Index.open(tmp_path, name)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_costs_only_the_batch(tmp_path: Path) -> None:
    """A write that fails is counted and dropped; the service goes on, and later ones succeed."""
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("a"), FILE)
        index.flush()
        with disk_of(os.stat(tmp_path / "index-wal").st_size):
            index.put_many((RelPath(b"lost%d" % n), FILE) for n in range(1000))
            index.flush()
        index.put(path_of("b"), FILE)
        index.flush()

        assert 1 == index.failed_writes
    assert {"a", "b"} == set(loaded(tmp_path))


def test_put_after_close_is_ignored(tmp_path: Path) -> None:
    """Closing twice, and using it afterwards, harms nobody."""
    index = Index.open(tmp_path, "index")
    index.close()
    index.close()
    index.put(ROOT, FILE)
    index.flush()

    assert {} == loaded(tmp_path)
