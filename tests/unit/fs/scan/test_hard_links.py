"""Files with several names: what is changed through one of them is found at all of them, without a look at the rest."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.fingerprint import LINKED, file_record, flags_of
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.fs.scan import hard_links
from dirsync.fs.scan.hard_links import HardLinks
from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory
from dirsync.tree.entry import UNKNOWN, Record, unpack
from dirsync.tree.path import RelPath

NAMES = ("a", "b", "d/c")
OLD = 1_000_000_000


class Bench:
    """A source with a file of three names and one of one name, all of it read."""

    def __init__(self, place: Path) -> None:
        self.place = place / "source"
        (self.place / "d").mkdir(parents=True)
        (place / "state").mkdir()
        for name in ("a", "z"):
            (self.place / name).write_text(f"version 1 of {name}")
            os.utime(self.place / name, (OLD, OLD))
        for name in NAMES[1:]:
            (self.place / name).hardlink_to(self.place / "a")
        self.source = Source(
            Root.open(self.place), Index.open(place / "state", "index"), SourceOptions(b".dirsyncignore")
        )
        # Until a tick of the clock is over, a look finds every file different.
        time.sleep(2 * LIMITS.racy_window_ns / 1e9)
        for _ in self.source.scan():
            pass
        self.read()

    def read(self) -> None:
        """Have all content known."""
        resolve(self.source.root, self.source.tree, list(unknown_files(self.source.tree)))

    def look(self, *names: str) -> set[str]:
        """Look at these paths; those that are different."""
        return {os.fsdecode(path) for path in self.source.look([RelPath(name.encode()) for name in names])}

    def record(self, name: str) -> Record:
        """What the tree has there."""
        record = self.source.tree.record(RelPath(name.encode()))
        assert record is not None
        return record

    def is_shown(self, *names: str) -> bool:
        """Whether the tree has the size and mode of what is on disk at these names."""
        entries = [self.source.tree.get(RelPath(name.encode())) for name in names]
        there = [(self.place / name).stat() for name in names]
        return [(entry.size, entry.mode) for entry in entries if entry is not None] == [
            (status.st_size, status.st_mode & 0o777) for status in there
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One for each test."""
    bench = Bench(tmp_path)
    yield bench
    bench.source.close()


@pytest.mark.case("D11")
@pytest.mark.parametrize("name", NAMES)
def test_changed_through_one(bench: Bench, name: str) -> None:
    """Content and mode arrive at all names at once, however often."""
    for number in range(3):
        with (bench.place / name).open("a") as file:
            file.write("more")
        content = bench.look(name)
        shown = bench.is_shown(*NAMES)
        bench.read()
        (bench.place / name).chmod(0o600 + number)
        mode = bench.look(name)
        bench.read()

        assert (set(NAMES), True, set(NAMES), True) == (content, shown, mode, bench.is_shown(*NAMES))


def test_others_are_left_alone(bench: Bench) -> None:
    """Nothing is looked at but the names of the file, and nothing more where nothing was changed."""
    (bench.place / "z").write_text("version 2")

    assert {"z"} == bench.look("z")
    assert set() == bench.look(*NAMES)


def test_linked(bench: Bench) -> None:
    """A new name of an old file changes nothing at the others: they are not read again."""
    (bench.place / "e").hardlink_to(bench.place / "z")

    assert {"e"} == bench.look("e")
    assert unpack(bench.record("z")).digest != UNKNOWN


def test_written_when_linked(bench: Bench) -> None:
    """What is written through a new name before it was looked at is found at the old one."""
    (bench.place / "e").hardlink_to(bench.place / "z")
    (bench.place / "e").write_text("written through the new name")

    assert {"e", "z"} == bench.look("e")
    assert bench.is_shown("e", "z")


def test_further_name(bench: Bench) -> None:
    """Names that came, went and moved since the last change are known at the next one."""
    (bench.place / "a").write_text("2")
    bench.look("a")
    (bench.place / "f").hardlink_to(bench.place / "a")
    (bench.place / "b").unlink()
    (bench.place / "d").rename(bench.place / "e")
    bench.look("f", "b", "d", "e")
    bench.read()
    (bench.place / "f").write_text("version 3")

    assert {"a", "f", "e/c"} == bench.look("f")
    assert bench.is_shown("a", "f", "e/c")


def test_replaced(bench: Bench) -> None:
    """A name that was given to another file has nothing to do with the others any more."""
    (bench.place / "new").write_text("another file")
    (bench.place / "new").rename(bench.place / "b")

    assert {"b"} == bench.look("b", "new")
    assert unpack(bench.record("a")).digest != UNKNOWN


def test_changed_during_a_scan(bench: Bench) -> None:
    """A scan that saw one name before the change and one after it shows both as they are, and so does the look."""
    scan = bench.source.scan()
    seen = {os.fsdecode(path) for path in next(scan)}
    (bench.place / "a").write_text("changed while it was scanned")
    seen |= {os.fsdecode(path) for step in scan for path in step}

    assert set(NAMES) == seen
    assert bench.is_shown(*NAMES)
    assert set() == bench.look("a")


def test_remembered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written again and again is searched for once, until any file gets a further name."""
    searches: list[int] = []
    find = hard_links.find_files

    def counted(directory: Directory, identities: frozenset[bytes]) -> dict[bytes, list[RelPath]]:
        searches.append(len(identities))
        return find(directory, identities)

    monkeypatch.setattr(hard_links, "find_files", counted)
    for number in range(3):
        (bench.place / "b").write_text("x" * number)
        bench.look("b")
    once = len(searches)
    (bench.place / "d/y").hardlink_to(bench.place / "z")
    bench.look("d/y")
    (bench.place / "b").write_text("last")
    bench.look("b")

    assert (1, 2) == (once, len(searches))


def test_bounded(bench: Bench) -> None:
    """No more is remembered than the limit; the rest is searched for each time."""
    links, tree = HardLinks(limit=0), bench.source.tree
    for content in ("one", "the other"):
        (bench.place / "a").write_text(content)
        tree.put(RelPath(b"a"), file_record((bench.place / "a").stat(), 0))

        assert {b"b", b"d/c"} == set(links.outdated(tree, {RelPath(b"a"): True}))
        assert not links._names


def test_flag(bench: Bench) -> None:
    """Records say which files have several names."""
    flags = {os.fsdecode(path): flags_of(record) & LINKED for path, record in bench.source.tree.files()}

    assert {"a": LINKED, "b": LINKED, "d/c": LINKED, "z": 0} == flags
