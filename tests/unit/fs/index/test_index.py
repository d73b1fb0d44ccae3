"""A cache that may be lost at any time, and is never wrong."""

import os
import sqlite3
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.fs.index.index import Index
from dirsync.fs.index.index_file import SCHEMA_VERSION
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from tests.unit.fs.places import disk_of, path_of

FILE = pack(file_entry(mode=0o644, size=3, mtime_ns=7, digest=b"d" * 32), b"fingerprint")
DIRECTORY = pack(directory_entry(0o755))
LINK = pack(symlink_entry(b"target"))
SOME: dict[str, Record] = {"a": FILE, "d": DIRECTORY, "d/b": FILE, "d/l": LINK, "d-e": FILE}


def put_all(index: Index, records: dict[RelPath, Record]) -> None:
    """Keep what is at each of these paths."""
    for path, record in records.items():
        index.put(path, record)


def filled(directory: Path, records: dict[str, Record] | None = None) -> None:
    """Make an index that holds these records."""
    with Index.open(directory, "index") as index:
        put_all(index, {path_of(path): record for path, record in (SOME if records is None else records).items()})
        index.set_meta("key", b"value")


def loaded(directory: Path, *, read_only: bool = False) -> dict[str, Record]:
    """What an index returns."""
    tree = Tree()
    with Index.open(directory, "index", read_only=read_only) as index:
        index.load(tree)
    return {os.fsdecode(path): record for path, record in tree.walk()}


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


@pytest.mark.parametrize(
    "source, path, expected",
    [
        ("a", "b", {"b": FILE, "d": DIRECTORY, "d/b": FILE, "d/l": LINK, "d-e": FILE}),
        ("d", "e", {"a": FILE, "e": DIRECTORY, "e/b": FILE, "e/l": LINK, "d-e": FILE}),
        ("a", "d", {"d": FILE, "d-e": FILE}),
        ("d", "a", {"a": DIRECTORY, "a/b": FILE, "a/l": LINK, "d-e": FILE}),
        ("d/l", "d/b", {"a": FILE, "d": DIRECTORY, "d/b": LINK, "d-e": FILE}),
        ("gone", "d", {"a": FILE, "d-e": FILE}),
        ("a", "\udcff\n", {"\udcff\n": FILE, "d": DIRECTORY, "d/b": FILE, "d/l": LINK, "d-e": FILE}),
    ],
)
def test_move(tmp_path: Path, source: str, path: str, expected: dict[str, Record]) -> None:
    """A path's records are another's, with everything below it, in place of what was there; not its neighbours'."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        index.move(path_of(source), path_of(path))

    assert expected == loaded(tmp_path)


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("a", "d/l", {"a": LINK, "d": DIRECTORY, "d/b": FILE, "d/l": FILE, "d-e": FILE}),
        ("d", "a", {"a": DIRECTORY, "a/b": FILE, "a/l": LINK, "d": FILE, "d-e": FILE}),
        ("d", "x", {"a": FILE, "x": DIRECTORY, "x/b": FILE, "x/l": LINK, "d-e": FILE}),
    ],
)
def test_exchange(tmp_path: Path, first: str, second: str, expected: dict[str, Record]) -> None:
    """Two paths' records change places, with everything below them; of what is not known there is nothing."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        index.exchange(path_of(first), path_of(second))

    assert expected == loaded(tmp_path)


@pytest.mark.parametrize("source, path", [("d", "d/b"), ("d/b", "d"), ("d", "d"), ("", "d"), ("d", "")])
def test_nothing_moves_into_itself(tmp_path: Path, source: str, path: str) -> None:
    """Paths of which one lies within the other are a programming error, and nothing is written."""
    filled(tmp_path)
    with Index.open(tmp_path, "index") as index:
        for act in (index.move, index.exchange):
            with pytest.raises(ValueError, match="lies within"):
                act(path_of(source), path_of(path))

    assert SOME == loaded(tmp_path)


def test_moves_take_their_turn(tmp_path: Path) -> None:
    """Moves, puts and removals take effect in the order in which they came, whatever is written together."""
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("a"), DIRECTORY)
        index.put(path_of("a/x"), FILE)
        index.move(path_of("a"), path_of("b"))
        index.put(path_of("a"), LINK)
        index.put(path_of("b/y"), LINK)
        index.move(path_of("b"), path_of("c"))
        index.remove(path_of("c/x"))
        index.exchange(path_of("a"), path_of("c"))
        index.put(path_of("a/z"), FILE)

    assert {"a": DIRECTORY, "a/y": LINK, "a/z": FILE, "c": LINK} == loaded(tmp_path)


def test_large_directory_moves(tmp_path: Path) -> None:
    """However many rows are below a path, all of them move."""
    count = LIMITS.index_batch_rows * 2 + 1
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("d"), DIRECTORY)
        put_all(index, {RelPath(b"d/%d" % n): FILE for n in range(count)})
        index.move(path_of("d"), path_of("moved"))

    assert {"moved": DIRECTORY} | {f"moved/{n}": FILE for n in range(count)} == loaded(tmp_path)


@pytest.mark.parametrize("act", ["move", "exchange"])
@pytest.mark.case("A13")
def test_flipped_bit_does_not_move(tmp_path: Path, act: str) -> None:
    """A record that is not what was stored does not become believable by a new checksum."""
    filled(tmp_path)
    with sqlite3.connect(tmp_path / "index") as connection:
        ((record,),) = connection.execute("SELECT record FROM entries WHERE path = ?", (b"d/b",)).fetchall()
        flipped = bytes([record[0] ^ 1]) + record[1:]
        connection.execute("UPDATE entries SET record = ? WHERE path = ?", (flipped, b"d/b"))
    connection.close()
    with Index.open(tmp_path, "index") as index:
        getattr(index, act)(path_of("d"), path_of("e"))

    assert {"a": FILE, "e": DIRECTORY, "e/l": LINK, "d-e": FILE} == loaded(tmp_path)


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
        put_all(index, {RelPath(b"%d" % n): FILE for n in range(LIMITS.index_batch_rows * 2 + 1)})
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
    """Make it another program's database."""
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
    """Reading creates no file and writes none, whether or not there is an index, and puts are dropped."""
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
    """An index that another process uses is never mistaken for a damaged one."""
    filled(tmp_path)
    monkeypatch.setattr("dirsync.fs.index.index_file.LIMITS", type(LIMITS)(index_busy_seconds=0.05))
    with Index.open(tmp_path, "index"), pytest.raises(UsageError, match="index is in use by another process"):
        Index.open(tmp_path, "index")

    assert SOME == loaded(tmp_path)


@pytest.mark.parametrize("name", ["absent/index", "file/index"])
def test_unusable_directory(tmp_path: Path, name: str) -> None:
    """A state directory that cannot hold it is named."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"{tmp_path}/{name.split('/', maxsplit=1)[0]} cannot hold the state of uid"):
        Index.open(tmp_path, name)


def test_full_disk_costs_only_the_batch(tmp_path: Path) -> None:
    """A write that fails is counted and dropped; the service goes on, and later ones succeed."""
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("a"), FILE)
        index.flush()
        with disk_of(os.stat(tmp_path / "index-wal").st_size):
            put_all(index, {RelPath(b"lost%d" % n): FILE for n in range(1000)})
            index.flush()
        index.put(path_of("b"), FILE)
        index.flush()

        assert 1 == index.failed_writes
    assert {"a", "b"} == set(loaded(tmp_path))


@pytest.mark.parametrize("act", ["move", "exchange"])
def test_full_disk_leaves_no_half_of_a_move(tmp_path: Path, act: str) -> None:
    """A move that cannot be written leaves all records where they were."""
    many = {"d": DIRECTORY, "e": DIRECTORY} | {f"d/{n}": FILE for n in range(1000)}
    filled(tmp_path, many)
    with Index.open(tmp_path, "index") as index:
        index.put(path_of("e"), DIRECTORY)
        index.flush()
        with disk_of(os.stat(tmp_path / "index-wal").st_size):
            getattr(index, act)(path_of("d"), path_of("e"))
            index.flush()

        assert 1 == index.failed_writes
    assert many == loaded(tmp_path)


def test_put_after_close_is_ignored(tmp_path: Path) -> None:
    """Closing twice, and using it afterwards, has no effect."""
    index = Index.open(tmp_path, "index")
    index.close()
    index.close()
    index.put(ROOT, FILE)
    index.flush()

    assert {} == loaded(tmp_path)
