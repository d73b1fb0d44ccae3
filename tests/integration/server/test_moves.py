"""Moves and exchanges: everything comes along, nothing is sent, and what is not as expected is left as it is."""

import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.tree.entry import directory_entry, pack
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync.v1 import entry_pb2
from tests.support.faults.privileges import without_override
from tests.support.inside.deltas import copy_content, entry, move
from tests.support.peers.operations import (
    batch,
    commit,
    delete,
    directory,
    file,
    link,
    make_directory,
    put,
    put_link,
    seen,
)
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, Wire
from tests.support.running.programs import Pair
from tests.support.trees.trees import look

CONTENT = b"the content"
OTHER = b"something else"


def reasons(bench: Bench, *operations: object) -> list[str]:
    """Apply operations. Returns the reasons of those that were not applied."""
    return [failure.reason for failure in bench.apply(*operations)]  # type: ignore[arg-type]


def snapshot(place: Path) -> dict[str, tuple[int, ...]]:
    """Everything in a directory with its inode, mode, size and mtime."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(place.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(place))] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def verified(bench: Bench) -> bool:
    """Whether the server's tree is what a look at all files finds, content included."""
    before = bench.settle().root_digest
    return before == bench.settle(rescan=True).root_digest


@pytest.fixture
def tree(bench: Bench) -> dict[str, tuple[int, ...]]:
    """A directory ``d`` with two levels, a file ``f``, a link ``l`` and an empty directory ``e``."""
    operations = [
        make_directory(2, bench.at("d"), mode=0o750),
        make_directory(3, bench.at("d/sub"), mode=0o700),
        put(4, bench.at("d/one"), CONTENT, mode=0o600),
        put(5, bench.at("d/sub/two"), OTHER),
        put_link(6, bench.at("d/sub/link"), b"../one"),
        put(7, bench.at("f"), CONTENT, mode=0o755),
        put_link(8, bench.at("l"), b"target"),
        make_directory(9, bench.at("e")),
    ]

    assert [] == bench.apply(*operations)
    return snapshot(bench.place)


class TestMove:
    """One thing goes where nothing, or a file or link, is."""

    @pytest.mark.parametrize(
        "source, path",
        [
            ("f", "g"),
            ("f", "e/f"),
            ("d/sub/two", "two"),
            ("l", "d/l"),
            ("d", "e/d"),
            ("d/sub", "sub"),
            ("e", "d/sub/e"),
        ],
    )
    def test_to_a_new_name(self, bench: Bench, tree: dict[str, tuple[int, ...]], source: str, path: str) -> None:
        """What is moved, with everything in it, is as it was under its new name."""
        there = entry(bench.wire, bench.at(source))
        failures = reasons(bench, move(20, bench.at(source), bench.at(path), there))
        renamed = {
            path + name.removeprefix(source) if name == source or name.startswith(source + "/") else name: status
            for name, status in tree.items()
        }
        mtimes = {name for name, status in renamed.items() if not stat.S_ISDIR(status[1])}

        assert [] == failures
        assert renamed.keys() == snapshot(bench.place).keys()
        assert {name: renamed[name] for name in mtimes} == {name: snapshot(bench.place)[name] for name in mtimes}
        assert there == entry(bench.wire, bench.at(path))
        assert verified(bench)

    @pytest.mark.parametrize("source, there", [("f", "l"), ("l", "f"), ("f", "d/one"), ("d/sub/link", "l")])
    def test_over_a_file_or_link(self, bench: Bench, tree: dict[str, object], source: str, there: str) -> None:
        """A file or link takes the place of a file or link that was expected there."""
        moved, replaced = entry(bench.wire, bench.at(source)), entry(bench.wire, bench.at(there))
        failures = reasons(bench, move(20, bench.at(source), bench.at(there), moved, replaced))

        assert [] == failures
        assert tree.keys() - {source} == snapshot(bench.place).keys()
        assert moved == entry(bench.wire, bench.at(there))
        assert verified(bench)

    def test_in_order_with_others(self, bench: Bench, tree: dict[str, object]) -> None:
        """Moves are carried out in order with the operations around them, which use the names of their moment."""
        d = entry(bench.wire, bench.at("d"))
        failures = reasons(
            bench,
            move(20, bench.at("d"), bench.at("moved"), d),
            put(21, bench.at("moved/new"), b"new"),
            put(22, bench.at("d"), b"a file now"),
            delete(23, bench.at("moved/sub/two"), seen(file(OTHER))),
            move(24, bench.at("moved/one"), bench.at("moved/sub/two"), file(CONTENT)),
            copy_content(25, bench.at("e/again"), CONTENT),
        )

        assert [] == failures
        assert {
            "d",
            "e",
            "e/again",
            "f",
            "l",
            "moved",
            "moved/new",
            "moved/sub",
            "moved/sub/link",
            "moved/sub/two",
        } == (snapshot(bench.place).keys())
        assert CONTENT == (bench.place / "moved/sub/two").read_bytes()
        assert verified(bench)

    def test_content_is_found_where_it_went(self, bench: Bench) -> None:
        """Content below a directory that was moved can be copied from its new place."""
        content = b"only in this test"
        bench.apply(make_directory(2, bench.at("a")), put(3, bench.at("a/f"), content))
        failures = reasons(
            bench,
            move(4, bench.at("a"), bench.at("b"), entry(bench.wire, bench.at("a"))),
        )
        copied = reasons(bench, copy_content(5, bench.at("copy"), content))

        assert ([], []) == (failures, copied)
        assert content == (bench.place / "copy").read_bytes()

    def test_repeated(self, bench: Bench, tree: dict[str, object]) -> None:
        """A move that was applied already counts as applied, of a directory too, in the same commit or a later one."""
        d, f, there = entry(bench.wire, bench.at("d")), file(CONTENT), link(b"target")
        numbers = itertools.count(20)
        counts = []
        for _ in range(2):
            directory_move = [move(next(numbers), bench.at("d"), bench.at("x"), d) for _ in range(2)]
            failed = bench.apply(*directory_move, move(next(numbers), bench.at("f"), bench.at("l"), f, there))
            counts.append((failed, snapshot(bench.place)))

        assert [[], []] == [failed for failed, _ in counts]
        assert counts[0] == counts[1]
        assert verified(bench)

    def test_restart(self, pair: Pair) -> None:
        """After a restart nothing that was moved is read again: what is remembered moved along."""
        server = pair.server()
        with Wire(server.address) as wire:
            push = wire.push(wire.open_session().session_id)
            files = [put(number, b"d/%d" % number, b"%d" % number) for number in range(2, 40)]
            push.send(batch(make_directory(1, b"d"), *files), commit()).receive()
            moved = [move(50, b"d", b"moved", entry(wire, b"d")), put(51, b"d", b"in its place")]
            root = push.send(batch(*moved), commit()).receive().root_digest
            status = push.finish()[1]
        server.stop()
        again = pair.server()
        with Wire(again.address) as wire:
            opened = wire.open_session()

        assert OK == status
        assert root == opened.root_digest
        assert 0 == again.metrics().value("dirsync_hashed_bytes_total")


class TestExchange:
    """Two things change places."""

    @pytest.mark.parametrize(
        "first, second", [("f", "l"), ("d", "e"), ("f", "d"), ("d/sub", "l"), ("d/one", "d/sub/two")]
    )
    def test_exchange(self, bench: Bench, tree: dict[str, tuple[int, ...]], first: str, second: str) -> None:
        """Whatever they are, each is then where the other was; repeated it counts as applied."""
        one, other = (entry(bench.wire, bench.at(name)) for name in (first, second))
        operation = move(20, bench.at(first), bench.at(second), one, other, exchange=True)
        failures = reasons(bench, operation)
        after = snapshot(bench.place)
        operation.number = 21
        again = reasons(bench, operation)

        assert ([], []) == (failures, again)
        assert after == snapshot(bench.place)
        assert (tree[first][0], tree[second][0]) == (after[second][0], after[first][0])
        assert (other, one) == tuple(entry(bench.wire, bench.at(name)) for name in (first, second))
        assert verified(bench)

    def test_same_content(self, bench: Bench) -> None:
        """Two files that differ in their metadata only do change places."""
        bench.apply(put(2, bench.at("a"), CONTENT, mode=0o600), put(3, bench.at("b"), CONTENT, mode=0o755))
        before = snapshot(bench.place)
        failures = reasons(bench, move(4, bench.at("a"), bench.at("b"), file(CONTENT), file(CONTENT), exchange=True))

        assert [] == failures
        assert {"a": before["b"], "b": before["a"]} == snapshot(bench.place)
        assert verified(bench)

    def test_never_absent(self, bench: Bench) -> None:
        """A reader who looks all the time finds each of the two at any moment (P1)."""
        bench.apply(put(2, bench.at("a"), b"a"), make_directory(3, bench.at("b")))
        absent: list[str] = []
        looks = 0
        over = threading.Event()

        def watch() -> None:
            nonlocal looks
            while not over.is_set():
                absent.extend(name for name in ("a", "b") if not os.path.lexists(bench.place / name))
                looks += 1

        watcher = threading.Thread(target=watch)
        watcher.start()
        pair = [file(b"a"), entry(bench.wire, bench.at("b"))]
        failures = []
        for number in range(4, 104):
            failures += bench.apply(move(number, bench.at("a"), bench.at("b"), pair[0], pair[1], exchange=True))
            pair.reverse()
        over.set()
        watcher.join()

        assert ([], []) == (failures, absent)
        assert looks > 100


def _becomes_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _becomes_another(path: Path) -> None:
    path.rename(path.with_name("h"))
    path.mkdir()


class Case(NamedTuple):
    """What is done behind the server's back before a move, and what it says then."""

    meddle: Callable[[Path], object]
    source: str
    path: str
    there: entry_pb2.Entry | None
    outcome: str


MEDDLED = {
    "source_gone": Case(lambda at: (at / "f").unlink(), "f", "g", None, "CHANGED"),
    "source_edited": Case(lambda at: (at / "f").write_bytes(b"edited"), "f", "g", None, "CHANGED"),
    "source_another_kind": Case(lambda at: _becomes_a_directory(at / "l"), "l", "g", None, "CHANGED"),
    "directory_gone": Case(lambda at: (at / "d").rename(at / "h"), "d", "g", None, "CHANGED"),
    "directory_replaced": Case(lambda at: _becomes_another(at / "d"), "d", "g", None, "CHANGED"),
    "target_appeared": Case(lambda at: (at / "g").write_bytes(b"mine"), "f", "g", None, "CHANGED"),
    "target_appeared_for_directory": Case(lambda at: (at / "g").mkdir(), "d", "g", None, "CHANGED"),
    "target_edited": Case(lambda at: (at / "d/one").write_bytes(b"mine"), "f", "d/one", file(CONTENT), "CHANGED"),
    "target_gone": Case(lambda at: (at / "d/one").unlink(), "f", "d/one", file(CONTENT), "CHANGED"),
    "target_a_directory": Case(lambda at: _becomes_a_directory(at / "l"), "f", "l", link(b"target"), "CHANGED"),
    "no_parent": Case(lambda at: (at / "e").rmdir(), "f", "e/f", None, "VANISHED"),
    "never_had_a_parent": Case(lambda _: None, "f", "n/f", None, "CHANGED"),
    "untracked_in_the_way": Case(lambda at: os.mkfifo(at / "g"), "f", "g", None, "UNTRACKED_IN_THE_WAY"),
}


@pytest.mark.case("G11")
@pytest.mark.parametrize("case", MEDDLED.values(), ids=MEDDLED)
def test_not_as_expected(bench: Bench, tree: dict[str, object], case: Case) -> None:
    """What is not as the planner saw it stays as it is, and the server's tree learns what it is."""
    moved = entry(bench.wire, bench.at(case.source))
    case.meddle(bench.place)
    before = snapshot(bench.place)
    failures = reasons(bench, move(20, bench.at(case.source), bench.at(case.path), moved, case.there))

    assert [case.outcome] == failures
    assert before == snapshot(bench.place)
    assert verified(bench) or case.outcome != "CHANGED"


@pytest.mark.parametrize(
    "moved, there",
    [(file(OTHER), file(CONTENT)), (file(CONTENT), file(OTHER)), (file(CONTENT), directory())],
    ids=["source", "target", "kind"],
)
def test_stale_exchange(bench: Bench, moved: entry_pb2.Entry, there: entry_pb2.Entry) -> None:
    """An exchange of something else than what is there changes nothing."""
    bench.apply(put(2, bench.at("a"), CONTENT), put(3, bench.at("b"), CONTENT))
    before = snapshot(bench.place)
    failures = reasons(bench, move(4, bench.at("a"), bench.at("b"), moved, there, exchange=True))

    assert ["CHANGED"] == failures
    assert before == snapshot(bench.place)


def test_directory_of_another_digest(bench: Bench, tree: dict[str, object]) -> None:
    """A directory is moved only if everything in it is what the planner saw, whichever way it goes."""
    d, e = entry(bench.wire, bench.at("d")), entry(bench.wire, bench.at("e"))
    bench.apply(put(20, bench.at("d/sub/new"), b"new"))
    failures = reasons(bench, move(21, bench.at("d"), bench.at("g"), d))
    failures += reasons(bench, move(22, bench.at("e"), bench.at("d"), e, d, exchange=True))

    assert ["CHANGED", "CHANGED"] == failures
    assert {"d", "e"} <= snapshot(bench.place).keys()


def test_edited_below(bench: Bench, tree: dict[str, object]) -> None:
    """What was edited by hand deep in a directory goes along with it, and is found there by the next look."""
    d = entry(bench.wire, bench.at("d"))
    (bench.place / "d/sub/two").write_bytes(b"edited by hand")
    failures = reasons(bench, move(20, bench.at("d"), bench.at("g"), d))
    unseen = entry(bench.wire, bench.at("g"))
    bench.settle(rescan=True)

    assert ([], d) == (failures, unseen)
    assert b"edited by hand" == (bench.place / "g/sub/two").read_bytes()
    assert d != entry(bench.wire, bench.at("g"))


class TestIgnored:
    """With ignore rules in force, what is ignored stays where it is, and nothing comes to lie where it would be."""

    @pytest.fixture
    def bench(self, open_bench: Callable[..., Bench]) -> Iterator[Bench]:
        """A bench whose session ignores ``*.o`` everywhere, ``lib`` as a directory, and ``area-N/new/two``."""
        bench = open_bench(ignore=[b"*.o", b"lib/", b"*/new/two"])
        yield bench
        bench.end()

    @pytest.fixture(autouse=True)
    def _made(self, bench: Bench) -> None:
        made = [
            make_directory(2, bench.at("d")),
            make_directory(3, bench.at("d/sub")),
            put(4, bench.at("d/two"), OTHER),
        ]

        assert [] == bench.apply(*made)

    def move(self, bench: Bench, source: str, path: str) -> list[str]:
        """Move a directory. Returns the reasons why it was refused."""
        return reasons(bench, move(20, bench.at(source), bench.at(path), entry(bench.wire, bench.at(source))))

    def test_nothing_ignored(self, bench: Bench) -> None:
        """A directory that holds nothing ignored moves."""
        assert [] == self.move(bench, "d", "e")
        assert {"e", "e/sub", "e/two"} == snapshot(bench.place).keys()

    @pytest.mark.parametrize("name", ["d/x.o", "d/sub/deep/x.o", "d/sub/lib/x"])
    def test_holds_ignored(self, bench: Bench, name: str) -> None:
        """One that holds something ignored, or a directory that lives only through that, does not."""
        (bench.place / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.place / name).write_bytes(b"mine")
        before = snapshot(bench.place)

        assert ["HOLDS_IGNORED"] == self.move(bench, "d", "e")
        assert before == snapshot(bench.place)

    @pytest.mark.parametrize(
        "path, reason", [("x.o", "IGNORED"), ("lib", "IGNORED"), ("new", "HOLDS_IGNORED"), ("lib/d", "IGNORED")]
    )
    def test_would_be_ignored(self, bench: Bench, path: str, reason: str) -> None:
        """Nor does it move to where it, or something in it, would be ignored."""
        assert [reason] == self.move(bench, "d", path)
        assert {"d", "d/sub", "d/two"} == snapshot(bench.place).keys()

    def test_source_ignored(self, bench: Bench) -> None:
        """What is ignored is not moved."""
        (bench.place / "x.o").write_bytes(OTHER)

        assert ["IGNORED"] == reasons(bench, move(20, bench.at("x.o"), bench.at("x"), file(OTHER)))

    def test_exchange(self, bench: Bench) -> None:
        """Neither of two that change places may hold anything ignored."""
        bench.apply(make_directory(10, bench.at("e")))
        (bench.place / "e/x.o").write_bytes(b"mine")
        d, e = entry(bench.wire, bench.at("d")), entry(bench.wire, bench.at("e"))
        both = [(("d", d), ("e", e)), (("e", e), ("d", d))]
        failures = [
            reasons(bench, move(number, bench.at(a[0]), bench.at(b[0]), a[1], b[1], exchange=True))
            for number, (a, b) in enumerate(both, 20)
        ]

        assert [["HOLDS_IGNORED"], ["HOLDS_IGNORED"]] == failures
        assert {"d", "d/sub", "d/two", "e", "e/x.o"} == snapshot(bench.place).keys()

    def test_file_beside_ignored(self, bench: Bench) -> None:
        """A file leaves a directory that holds ignored content as any other."""
        (bench.place / "d/x.o").write_bytes(b"mine")

        assert [] == reasons(bench, move(20, bench.at("d/two"), bench.at("two"), file(OTHER)))
        assert {"d", "d/sub", "d/x.o", "two"} == snapshot(bench.place).keys()


@pytest.mark.needs("modes")
def test_unwritable_directories(pair: Pair) -> None:
    """Directories of ours without write permission are no obstacle, and keep their modes."""
    server = pair.server(prefix=without_override())
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        made = [make_directory(1, b"a"), make_directory(2, b"a/d"), put(3, b"a/d/f", CONTENT), make_directory(4, b"b")]
        push.send(batch(*made), commit()).receive()
        for path in ("a/d", "a", "b"):
            (server.root / path).chmod(0o555)
        push.send(commit(rescan=True)).receive()
        operation = move(5, b"a/d", b"b/d", entry(wire, b"a/d"))
        committed = push.send(batch(operation), commit()).receive()
        rescanned = push.send(commit(rescan=True)).receive()
        status = push.finish()[1]
    modes = {path: seen.mode for path, seen in look(server.root).items()}
    for path in ("a", "b", "b/d"):
        (server.root / path).chmod(0o755)

    assert (OK, []) == (status, list(committed.failures))
    assert {"a": 0o555, "b": 0o555, "b/d": 0o555, "b/d/f": 0o644} == modes
    assert committed.root_digest == rescanned.root_digest


@pytest.mark.needs("strace")
def test_durable(pair: Pair) -> None:
    """Both directories that held the names are made durable before the answer, and what is new, wherever it went."""
    trace = pair.place / "trace"
    prefix = ["strace", "-D", "-f", "-qq", "-y", "-e", "trace=fsync", "-o", str(trace)]
    server = pair.server(prefix=prefix, fsync="batch")
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        made = [make_directory(number, path) for number, path in enumerate((b"a", b"a/d", b"b"), 1)]
        push.send(batch(*made), commit()).receive()
        mark = len(trace.read_text())
        holding = Tree()
        holding.put(RelPath(b"new"), pack(directory_entry(0o755)))
        moved = directory()
        moved.digest = holding.digest()
        failures = (
            push.send(batch(make_directory(4, b"a/d/new"), move(5, b"a/d", b"b/d", moved)), commit()).receive().failures
        )
        synced = {
            line.split("<")[1].split(">")[0] for line in trace.read_text()[mark:].splitlines() if "fsync(" in line
        }
        push.cancel()
    server.kill()  # strace now and then forgets to pass a signal on; nothing is asked of the end here

    assert [] == list(failures)
    assert {str(server.root / path) for path in ("a", "b", "b/d", "b/d/new")} == synced
