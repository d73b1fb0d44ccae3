"""Whatever moves between two looks, a tree that recognises it is that of a fresh scan, with the right digests."""

import hashlib
import os
import tempfile
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.read.hashing import resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.entry import UNKNOWN, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.tree import Tree
from tests.property.edits import Edit, edits, empty, perform
from tests.support.trees.scanning import scan_tree

ROUNDS = st.lists(st.tuples(st.lists(edits, max_size=6), st.booleans()), min_size=1, max_size=4)


@given(st.lists(edits, max_size=12), ROUNDS, st.integers(0, 20))
def test_recognised(first: list[Edit], rounds: list[tuple[list[Edit], bool]], limit: int) -> None:
    """However much is remembered, and whether all or only named paths are looked at."""
    with tempfile.TemporaryDirectory() as place:
        top = os.fsencode(place)
        renames, tree = RenameTracker(limit), Tree()
        with Root.open(top) as root:
            perform(top, first)
            for _ in scan_steps(root, tree, renames=renames):
                pass
            resolve(root, tree, list(unknown_files(tree)))
            for wanted, everything in rounds:
                perform(top, wanted)
                paths = [path for edit in wanted for path in paths_of(edit)]
                changed: set[RelPath] = set()
                before = dict(tree.walk())
                if not everything:
                    changed |= {p for step in look_at(root, tree, paths, renames=renames) for p in step.changed}
                changed |= {p for step in scan_steps(root, tree, renames=renames) for p in step.changed}
                check(root, tree, top)
                check_told(before, dict(tree.walk()), changed)
                resolve(root, tree, list(unknown_files(tree)))
        empty(top)


def check(root: Root, tree: Tree, top: bytes) -> None:
    """The tree is what is there, and where it knows a digest that is the content's."""
    fresh = Tree()
    scan_tree(root, fresh)
    assert {p: unpack(r)._replace(digest=b"") for p, r in tree.walk()} == {
        p: unpack(r)._replace(digest=b"") for p, r in fresh.walk()
    }
    rebuilt = Tree()
    for path, record in tree.walk():
        rebuilt.put(path, record)
    assert (rebuilt.digest(), len(rebuilt)) == (tree.digest(), len(tree))
    for path, record in tree.walk():
        entry = unpack(record)
        if entry.size and entry.digest != UNKNOWN and not entry.is_directory:
            os.chmod(os.path.join(top, path), 0o600 | entry.mode)
            with open(os.path.join(top, path), "rb") as file:
                assert hashlib.sha256(file.read()).digest() == entry.digest


def check_told(before: Mapping[RelPath, bytes], after: Mapping[RelPath, bytes], changed: set[RelPath]) -> None:
    """Comparing the reported changes, and what is below them, misses nothing."""
    for path in before.keys() | after.keys():
        if before.get(path) != after.get(path):
            assert any(path == at or path.startswith(at + b"/") for at in changed), path


def paths_of(edit: object) -> list[RelPath]:
    """The paths that an edit names."""
    return [RelPath(part) for part in edit if isinstance(part, bytes)] if isinstance(edit, tuple) else []
