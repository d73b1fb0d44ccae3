"""However a tree is brought up to date, it ends as a tree that was scanned afresh."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.rules import ScanRules
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.tree import Tree
from tests.support.trees.scanning import scan_tree
from tests.unit.fs.places import entries

NAMES = st.sampled_from([b"a", b"b", b"d", b"ignored", b"\xff\n"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: RelPath(b"/".join(names)))
EDITS = st.lists(st.tuples(PATHS, st.sampled_from(["file", "directory", "link", "fifo", "remove"])), max_size=12)

RULES = ScanRules(ignores=lambda path, _is_directory: path.endswith(b"ignored"))


def edit(base: Path, path: RelPath, kind: str) -> list[RelPath]:
    """Put something at a path, whatever was there and above it. Returns the paths that this touched."""
    target = base / os.fsdecode(path)
    touched = [path]
    for above in list(target.relative_to(base).parents)[-2::-1]:
        place = base / above
        if kind != "remove" and (not place.is_dir() or place.is_symlink()):
            remove(place)
            place.mkdir()
            touched.append(RelPath(os.fsencode(above)))
    if not reachable(base, target):
        return touched
    if kind != "directory" or not target.is_dir() or target.is_symlink():
        remove(target)
    if kind == "file":
        target.write_bytes(path)
    elif kind == "directory":
        target.mkdir(exist_ok=True)
    elif kind == "link":
        target.symlink_to("a")
    elif kind == "fifo":
        os.mkfifo(target)
    return touched


def reachable(base: Path, target: Path) -> bool:
    """Whether only directories lead to the target."""
    return all((base / p).is_dir() and not (base / p).is_symlink() for p in target.relative_to(base).parents)


def remove(target: Path) -> None:
    """Remove whatever is there."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif target.is_symlink() or target.exists():
        target.unlink()


Update = Callable[[Root, Tree, list[RelPath]], Iterator[DirectoryScan]]


def deep(root: Root, tree: Tree, _touched: list[RelPath]) -> Iterator[DirectoryScan]:
    """Scan everything again."""
    return scan_steps(root, tree, RULES)


def listings(root: Root, tree: Tree, touched: list[RelPath]) -> Iterator[DirectoryScan]:
    """List the directories that hold what was touched, in no good order."""
    return scan_steps(root, tree, RULES, reversed([split(path)[0] for path in touched]), deep=False)


def single(root: Root, tree: Tree, touched: list[RelPath]) -> Iterator[DirectoryScan]:
    """Look at each touched path."""
    return look_at(root, tree, touched, RULES)


@given(st.sampled_from([deep, listings, single]), EDITS, EDITS)
def test_update_ends_as_a_fresh_scan(
    update: Update, before: list[tuple[RelPath, str]], after: list[tuple[RelPath, str]]
) -> None:
    """Any edits, then a full scan, or listings, or looks at what was touched: the same tree as from nothing."""
    with tempfile.TemporaryDirectory() as directory, Root.open(directory) as root:
        base = Path(directory)
        for path, kind in before:
            edit(base, path, kind)
        tree = Tree()
        scan_tree(root, tree, RULES)
        touched = [touch for path, kind in after for touch in edit(base, path, kind)]
        list(update(root, tree, touched))
        fresh = Tree()
        scan_tree(root, fresh, RULES)

        assert entries(fresh) == entries(tree)
        assert fresh.digest() == tree.digest()


@given(EDITS, EDITS)
def test_no_step_shows_what_is_taken_back(before: list[tuple[RelPath, str]], after: list[tuple[RelPath, str]]) -> None:
    """Between two steps the tree never has a directory that lives only through ignored content and is new."""
    with tempfile.TemporaryDirectory() as directory, Root.open(directory) as root:
        base = Path(directory)
        for path, kind in before:
            edit(base, path, kind)
        tree = Tree()
        scan_tree(root, tree, RULES)
        for path, kind in after:
            edit(base, path, kind)
        fresh = Tree()
        scan_tree(root, fresh, RULES)
        allowed = {*entries(tree), *entries(fresh)}
        for _ in scan_steps(root, tree, RULES, (ROOT,)):
            assert set(entries(tree)) <= allowed
