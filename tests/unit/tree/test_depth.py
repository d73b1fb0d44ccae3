"""A chain of directories costs what a flat directory costs, and leads to the same nodes by every way."""

import random
import time
from collections.abc import Callable

from dirsync.endpoint.scan.scan_view import ScanView
from dirsync.tree.entry import directory_entry, pack
from dirsync.tree.lookup.chain import Chain
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from tests.unit.tree.builders import path_of, tree_of

COUNT = 3000
MORE = 12
"""Deep may cost this much more than flat. Walking from the root for each path costs over a hundred times as much."""
RECORD = pack(directory_entry(0o755))


def deep() -> list[RelPath]:
    """A chain of directories."""
    return [RelPath(b"/".join([b"d"] * depth)) for depth in range(1, COUNT + 1)]


def flat() -> list[RelPath]:
    """As many directories side by side."""
    return [RelPath(b"d%d" % number) for number in range(COUNT)]


def filled(paths: list[RelPath]) -> Tree:
    """A tree of these directories, each put, looked at and counted."""
    tree = Tree()
    for path in paths:
        assert tree.record(path) is None
        tree.put(path, RECORD)
        assert tree.directory(path) is not None
        assert len(tree) > 0
    return tree


def emptied(tree: Tree, paths: list[RelPath]) -> None:
    """Remove them, the deepest first."""
    for path in reversed(paths):
        tree.remove(path)
    assert len(tree) == tree.root.entries == 0


def scanned(paths: list[RelPath]) -> None:
    """A scan finds another record for each."""
    tree = filled(paths)
    view = ScanView(lambda: tree)
    for path in paths:
        view.put(path, pack(directory_entry(0o700)))
        for at, record in view.take_changes([path]):
            assert record is not None
            tree.put(at, record)
    for path in reversed(paths):
        assert view.directory(path) is not None


def ratio(act: Callable[[list[RelPath]], object]) -> float:
    """How much more processor time the chain takes: the least of three."""
    costs = []
    for _ in range(3):
        times = []
        for paths in (flat(), deep()):
            started = time.process_time()
            act(paths)
            times.append(time.process_time() - started)
        costs.append(times[1] / times[0])
    return min(costs)


def test_tree() -> None:
    """Filling, finding and emptying."""
    assert ratio(lambda paths: emptied(filled(paths), paths)) < MORE


def test_scan() -> None:
    """What a scan does with a tree."""
    assert ratio(scanned) < MORE


def test_chain_by_every_way() -> None:
    """From any directory to any other, also where there is none."""
    tree = tree_of("a/b/c/d=1 a/b/e/ a/f/g/ h/i/j/ hh/ k=1")
    names = [
        "",
        "a",
        "a/b",
        "a/b/c",
        "a/b/c/d",
        "a/b/e",
        "a/f",
        "a/f/g",
        "h",
        "h/i",
        "h/i/j",
        "hh",
        "k",
        "k/l",
        "z/y",
        "a/b/x/y",
    ]
    paths = [path_of(name) if name else ROOT for name in names]
    expected = {path: tree.directory(path) for path in paths}
    chain = Chain(tree.root)
    order = random.Random(7)
    for _ in range(2000):
        path = order.choice(paths)
        found = chain.lead_to(path)

        assert found is (expected[path] is not None)
        if found:
            assert chain.directories[-1] is expected[path]
        assert b"/".join(chain.names) == chain.path
        assert len(chain.names) + 1 == len(chain.directories)


def test_leave() -> None:
    """A chain that leads to something that leaves leads above it then, and no other chain changes."""
    tree = tree_of("a/b/c/ a/bb/")
    chain = Chain(tree.root)
    assert chain.lead_to(path_of("a/b/c"))
    chain.leave(path_of("a/bb"))
    assert path_of("a/b/c") == chain.path
    chain.leave(path_of("a/b"))

    assert (path_of("a"), [b"a"]) == (chain.path, chain.names)


def test_counts_after_any_change() -> None:
    """Entries below a directory are counted again where something came, went or moved."""
    tree = tree_of("a/b/c=1 a/b/d=1 e/")
    a, e = tree.directory(path_of("a")), tree.directory(path_of("e"))
    assert a is not None
    assert e is not None
    assert (3, 0, 5) == (a.entries, e.entries, len(tree))
    tree.move(path_of("a/b"), path_of("e/b"))
    assert (0, 3, 5) == (a.entries, e.entries, len(tree))
    twin = tree.copy()
    tree.remove(path_of("e/b/c"))
    tree.exchange(path_of("a"), path_of("e/b"))

    assert (4, 4) == (len(tree), tree.root.entries)
    assert (5, 5) == (len(twin), twin.root.entries)
