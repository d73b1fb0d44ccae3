"""Which moves a client makes, in which order, and which it leaves: with a real source, and without a server."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.fingerprint import directory_record
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.tree.entry import Entry, fingerprint_of, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Move
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Transmit
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.renames import Renames
from tests.support.trees.renames import aside, contents, exchange
from tests.support.trees.trees import build


class Bench:
    """A source, the replica as it was before, and the moves between them."""

    def __init__(self, place: Path) -> None:
        self.place = place / "source"
        self.place.mkdir()
        (place / "state").mkdir()
        self.source = Source(
            Root.open(self.place), Index.open(place / "state", "index"), SourceOptions(b".dirsyncignore")
        )
        self.context = Context(self.source, Options())
        self.context.offered = frozenset(Strategy)
        self.moves = Renames(self.context)

    @property
    def replica(self) -> Tree:
        """The replica's tree."""
        return self.context.replica

    def start(self, *paths: str) -> None:
        """Have this on both sides, all of it read."""
        build(self.place, contents("moves", *paths))
        self.look()
        resolve(self.source.root, self.source.tree, list(unknown_files(self.source.tree)))
        self.context.replica = self.source.tree.copy()

    def look(self) -> None:
        """See what happened."""
        for _ in self.source.scan():
            pass

    @property
    def is_moving(self) -> bool:
        """Whether a directory is moved, or waits for that."""
        return self.moves.under_way or self.moves.waiting

    @property
    def is_followed(self) -> bool:
        """Whether the replica has what is on disk, each content at its path."""
        theirs = {at.decode(): unpack(record) for at, record in self.replica.walk()}
        files = {at: entry.digest for at, entry in theirs.items() if not entry.is_directory}
        ours = {str(at.relative_to(self.place)): at for at in self.place.rglob("*")}
        return theirs.keys() == ours.keys() and files == {
            name: hashlib.sha256(at.read_bytes()).digest() for name, at in ours.items() if at.is_file()
        }

    def directories(self, *busy: str) -> list[Move]:
        """The moves of directories that are sent now, while files at these paths are on their way."""
        for name in busy:
            self.context.table.to(path(name), Phase.SENDING)
        self.moves.send_directories(0.0)
        for name in busy:
            self.context.table.to(path(name), Phase.IDLE)
        sent = [command.operation for command in self.context.take_commands() if isinstance(command, Transmit)]
        return [step for step in sent if isinstance(step, Move)]

    def file(self, name: str) -> Move | CopyContent | None:
        """The step for one file."""
        return self.moves.file_step(path(name))

    def dropped(self) -> set[RelPath]:
        """The paths that are to be compared again."""
        dirty = set(self.context.table.take_dirty())
        self.context.table.end_comparison()
        return dirty

    def apply(self, step: Move) -> None:
        """The server made it."""
        if step.exchange:
            self.replica.exchange(step.path, step.source)
        else:
            self.replica.move(step.source, step.path)
        self.moves.applied(step)
        for at in (step.path, step.source):
            self.context.table.to(at, Phase.IDLE)

    def follow(self) -> list[tuple[str, str, bool]]:
        """Let the server make what can go, as long as more may follow; the ways of all moves, in order."""
        made: list[tuple[str, str, bool]] = []
        for _ in range(5):
            steps = self.directories()
            made += ways(steps)
            for step in steps:
                self.apply(step)
        return made


def path(name: str) -> RelPath:
    """A path."""
    return RelPath(name.encode())


def ways(steps: list[Move]) -> list[tuple[str, str, bool]]:
    """From where to where, and whether they change places."""
    return [(step.source.decode(), step.path.decode(), step.exchange) for step in steps]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One for each test."""
    bench = Bench(tmp_path)
    yield bench
    bench.source.close()


class TestDirectories:
    """Directories, which go as one."""

    def test_moved(self, bench: Bench) -> None:
        """A directory that has another name is one move; until that is done nothing in it is changed."""
        bench.start("d/a", "d/e/b", "x")
        (bench.place / "d").rename(bench.place / "f")
        bench.look()
        (step,) = bench.directories()
        before = _entry(bench, "d")

        assert Move(path("f"), None, path("d"), before) == step
        assert [True, True, True, False] == [bench.moves.covers(path(p)) for p in ("d/a", "f", "f/e/b", "x")]
        assert (True, True, False) == (bench.is_moving, bench.moves.under_way, bench.moves.waiting)
        bench.apply(step)
        assert (False, [], False) == (bench.is_moving, bench.directories(), bench.moves.covers(path("f/a")))
        assert bench.is_followed

    def test_into_one_that_moved(self, bench: Bench) -> None:
        """What goes into, out of or stays within a directory that moves waits for that."""
        bench.start("d/x", "d/in/a", "b/c")
        (bench.place / "d").rename(bench.place / "e")
        (bench.place / "b").rename(bench.place / "e/b")
        (bench.place / "e/in").rename(bench.place / "out")
        bench.look()
        made = bench.follow()

        assert {"e", "e/b", "out"} == {new for _, new, _ in made}
        assert 3 == len(made)
        assert bench.is_followed

    def test_exchanged(self, bench: Bench) -> None:
        """Two that have changed places do so in one step, whichever is seen first."""
        bench.start("d/a", "e/b", "e/c")
        exchange(bench.place / "d", bench.place / "e")
        bench.look()
        (step,) = bench.directories()
        bench.apply(step)

        assert step.exchange
        assert {path("d"), path("e")} == {step.path, step.source}
        assert bench.is_followed

    def test_three_in_a_circle(self, bench: Bench) -> None:
        """Three that have changed places are not moved: on the way, one would show what another one has."""
        bench.start("d/a", "e/b", "f/c")
        exchange(bench.place / "d", bench.place / "e")
        exchange(bench.place / "e", bench.place / "f")
        bench.look()

        assert [] == bench.follow()
        assert not bench.is_moving
        assert {path("d"), path("e"), path("f")} == bench.dropped()

    def test_shifted(self, bench: Bench) -> None:
        """Where each takes the name of the next one, the last goes first, and the others follow at once."""
        bench.start("v1/a", "v2/b", "v3/c")
        for old, new in (("v3", "v4"), ("v2", "v3"), ("v1", "v2")):
            (bench.place / old).rename(bench.place / new)
        bench.look()

        assert [("v3", "v4", False), ("v2", "v3", False), ("v1", "v2", False)] == bench.follow()
        assert bench.is_followed

    def test_shifted_waits_for_all(self, bench: Bench) -> None:
        """No name is left that cannot be taken again at once."""
        bench.start("v1/a", "v2/b")
        for old, new in (("v2", "v3"), ("v1", "v2")):
            (bench.place / old).rename(bench.place / new)
        bench.look()

        assert [] == bench.directories("v1/a")
        assert bench.moves.waiting
        assert [("v2", "v3", False), ("v1", "v2", False)] == bench.follow()
        assert bench.is_followed

    def test_out_of_one_that_moved(self, bench: Bench) -> None:
        """What leaves a directory that is moved goes first, so that it is never seen in the new one."""
        bench.start("d/b/c", "d/x")
        (bench.place / "d").rename(bench.place / "e")
        (bench.place / "e/b").rename(bench.place / "b")
        bench.look()

        assert [("d/b", "b", False), ("d", "e", False)] == bench.follow()
        assert bench.is_followed

    def test_waits_for_its_parent(self, bench: Bench) -> None:
        """A directory cannot go where the replica has no directory yet, nor while something in it is busy."""
        bench.start("d/a")
        (bench.place / "new").mkdir()
        (bench.place / "d").rename(bench.place / "new/d")
        bench.look()
        early = bench.directories()
        waiting = bench.moves.waiting
        record = bench.source.tree.record(path("new"))
        assert record is not None
        bench.replica.put(path("new"), record)
        busy = bench.directories("d/a")
        steps = bench.directories()

        assert ([], True, []) == (early, waiting, busy)
        assert [("d", "new/d", False)] == ways(steps)

    def test_taken(self, bench: Bench) -> None:
        """Where another directory is, which is nowhere else now, none is moved: that is compared entry by entry."""
        bench.start("d/a", "e/b")
        shutil.rmtree(bench.place / "e")
        (bench.place / "d").rename(bench.place / "e")
        bench.look()

        assert [] == bench.directories()
        assert {path("d"), path("e")} == bench.dropped()
        assert set() == bench.dropped()

    def test_copied_back(self, bench: Bench) -> None:
        """A directory whose former name is in use again by a new one is not moved away from there."""
        bench.start("d/a", "x")
        (bench.place / "d").rename(bench.place / "e")
        build(bench.place, {"d/a": "new"})
        bench.look()

        assert [] == [way for way in ways(bench.directories()) if not way[2]]

    def test_not_allowed(self, bench: Bench) -> None:
        """Where nothing may be moved, everything goes in other ways, and nothing waits."""
        bench.start("d/a", "b")
        (bench.place / "d").rename(bench.place / "e")
        (bench.place / "b").rename(bench.place / "c")
        bench.look()
        bench.context.foreign = True

        assert ([], None, False) == (bench.directories(), bench.file("c"), bench.is_moving)

    def test_given_up(self, bench: Bench) -> None:
        """What waits for something that does not happen is given up, and compared again."""
        bench.start("d/a")
        (bench.place / "new").mkdir()
        (bench.place / "d").rename(bench.place / "new/d")
        bench.look()
        bench.directories()
        bench.moves.give_up()

        assert (False, []) == (bench.is_moving, bench.directories())
        assert {path("d"), path("new/d")} == bench.dropped()


class TestSameNumber:
    """A new directory that has the number of one that is gone, where nothing tells when it was made."""

    @pytest.fixture(autouse=True)
    def unknown_births(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system that keeps no time of birth."""
        monkeypatch.setattr(Root, "born", lambda *_: None)

    def give_number(self, bench: Bench, old: str, new: str) -> None:
        """Let the source believe that the directory at ``old`` has the number of what is at ``new`` on disk now."""
        known = bench.source.tree.record(path(old))
        there = directory_record((bench.place / new).stat())
        assert known is not None
        bench.source.tree.put(path(old), pack(unpack(known), fingerprint_of(there)))

    @pytest.mark.parametrize("content", [{"new/x": "new"}, {"new/a": "new", "new/b": "new"}, {"new/": None}], ids=str)
    def test_other_content(self, bench: Bench, content: dict[str, str | None]) -> None:
        """Nothing of what the other one had is shown under the new name."""
        bench.start("old/a", "old/b", "z")
        build(bench.place, content)
        self.give_number(bench, "old", "new")
        shutil.rmtree(bench.place / "old")
        bench.look()

        assert [] == bench.directories()
        assert not bench.is_moving
        assert {path("old"), path("new")} == bench.dropped()

    def test_same_content(self, bench: Bench) -> None:
        """What it has may be moved there once it is known to be the same, whoever wrote it."""
        bench.start("old/a", "old/b", "z")
        shutil.copytree(bench.place / "old", bench.place / "new")
        self.give_number(bench, "old", "new")
        shutil.rmtree(bench.place / "old")
        bench.look()
        for name in ("new/a", "new/b"):
            known = bench.source.tree.record(path(name))
            assert known is not None
            entry = unpack(known)._replace(digest=hashlib.sha256((bench.place / name).read_bytes()).digest())
            bench.source.tree.put(path(name), pack(entry, fingerprint_of(known)))

        assert [("old", "new", False)] == bench.follow()
        assert bench.is_followed

    def test_while_it_is_scanned(self, bench: Bench) -> None:
        """Nothing is decided, and nothing in it sent, before everything in it was looked at."""
        bench.start("old/deep/er/a", "z")
        build(bench.place, {"new/deep/er/b": "new"})
        self.give_number(bench, "old", "new")
        shutil.rmtree(bench.place / "old")
        waited = []
        for _ in bench.source.scan():
            sent = bench.directories()
            bench.moves.give_up()
            waited.append((bench.moves.covers(path("new/deep/er/b")), bench.moves.waiting))
            assert [] == sent
        bench.directories()

        assert (True, True) in waited
        assert (False, False) == (bench.moves.covers(path("new/deep/er/b")), bench.moves.waiting)

    def test_renamed_all_the_same(self, bench: Bench) -> None:
        """A rename is known by what is in it, although much of that changed meanwhile."""
        bench.start("d/a", "d/b", "d/e/c")
        (bench.place / "d").rename(bench.place / "f")
        (bench.place / "f/a").write_text("edited")
        bench.look()

        assert [("d", "f", False)] == ways(bench.directories())


class TestFiles:
    """Files, recognised by their inodes."""

    def test_read_before(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where it is not known when a file was made, it is read before it is moved, and moved if it is the same."""
        monkeypatch.setattr(Root, "born", lambda *_: None)
        bench.start("a", "b", "x")
        for old, new in (("a", "a2"), ("b", "b2")):
            (bench.place / old).rename(bench.place / new)
        kept = (bench.place / "b2").stat()
        (bench.place / "b2").write_bytes(bytes(kept.st_size))
        os.utime(bench.place / "b2", ns=(kept.st_mtime_ns, kept.st_mtime_ns))
        bench.look()
        before = [(bench.moves.must_read(path(name)), bench.file(name)) for name in ("a2", "b2", "x")]
        resolve(bench.source.root, bench.source.tree, list(unknown_files(bench.source.tree)))
        step, other = bench.file("a2"), bench.file("b2")

        assert [(True, None), (True, None), (False, None)] == before
        assert isinstance(step, Move)
        assert other is None
        assert not bench.moves.must_read(path("a2"))

    def test_made_later(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that was made after the other one was changed last is not that one, and nothing is read for it."""
        monkeypatch.setattr(Root, "born", lambda *_: 1 << 62)
        bench.start("a", "x")
        (bench.place / "a").rename(bench.place / "b")
        bench.look()

        assert (False, None, None) == (
            bench.moves.must_read(path("b")),
            bench.file("b"),
            bench.moves.other_half(path("b")),
        )

    def test_moved(self, bench: Bench) -> None:
        """A file with another name is moved, whatever file was there."""
        bench.start("a", "b", "x")
        (bench.place / "a").rename(bench.place / "b")
        bench.look()

        assert Move(path("b"), bench.replica.get(path("b")), path("a"), _entry(bench, "a")) == bench.file("b")
        assert bench.file("x") is None

    def test_changed_meanwhile(self, bench: Bench) -> None:
        """A file of another size or time than the one that left is not taken for it."""
        bench.start("a", "b", "x")
        (bench.place / "a").rename(bench.place / "a2")
        (bench.place / "a2").write_text("longer or shorter, but not the same")
        (bench.place / "b").rename(bench.place / "b2")
        (bench.place / "b2").touch()
        bench.look()

        assert (None, None) == (bench.file("a2"), bench.file("b2"))

    def test_not_at_the_replica(self, bench: Bench) -> None:
        """What the replica does not have any more, or has in another version, is not moved there."""
        bench.start("a", "b", "x")
        (bench.place / "a").rename(bench.place / "a2")
        (bench.place / "b").rename(bench.place / "b2")
        bench.look()
        bench.replica.remove(path("a"))
        other = bench.replica.record(path("x"))
        assert other is not None
        bench.replica.put(path("b"), other)

        assert (None, None) == (bench.file("a2"), bench.file("b2"))

    def test_exchanged(self, bench: Bench) -> None:
        """Two that have changed places do so at once."""
        bench.start("a", "b")
        aside(bench.place / "a", bench.place / "b")
        bench.look()
        step = bench.file("a")

        assert Move(path("a"), _entry(bench, "a"), path("b"), _entry(bench, "b"), exchange=True) == step

    def test_rotated(self, bench: Bench) -> None:
        """Where the former name has a new file already, the content is copied: no name is ever absent."""
        bench.start("log", "log.1")
        (bench.place / "log.1").rename(bench.place / "log.2")
        (bench.place / "log").rename(bench.place / "log.1")
        (bench.place / "log").write_text("new")
        bench.look()
        steps = [bench.file(name) for name in ("log", "log.1", "log.2")]

        assert [type(None), CopyContent, CopyContent] == [type(step) for step in steps]
        assert isinstance(steps[1], CopyContent)
        assert _entry(bench, "log").digest == steps[1].entry.digest

    def test_refused(self, bench: Bench) -> None:
        """What the server would not move is not asked for again."""
        bench.start("a", "x")
        (bench.place / "a").rename(bench.place / "b")
        bench.look()
        step = bench.file("b")
        assert isinstance(step, Move)
        bench.moves.refuse(step.path)

        assert bench.file("b") is None

    def test_where_a_directory_is(self, bench: Bench) -> None:
        """A file does not take a directory's place by a move: that waits until the directory is judged."""
        bench.start("a", "d/x")
        shutil.rmtree(bench.place / "d")
        (bench.place / "a").rename(bench.place / "d")
        bench.look()

        assert bench.file("d") is None


def _entry(bench: Bench, name: str) -> Entry:
    entry = bench.replica.get(path(name))
    assert entry is not None
    return entry
