"""A scan through a view and one of the tree itself end alike, and the tree changes by whole directories only."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dirsync.endpoint.scan.scan_view import ScanView
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.tree import Tree
from tests.property.fs.scan.test_scan import EDITS, RULES, edit
from tests.support.trees.scanning import scan_tree
from tests.unit.fs.places import entries


def scan_through_view(steps: Iterator[DirectoryScan], view: ScanView, tree: Tree) -> None:
    """Scan, and take over what each step found; before that the tree is as it was."""
    before = tree.digest()
    for step in steps:
        assert before == tree.digest()
        for path, record in view.take_changes(step.changed):
            if record is None:
                tree.remove(path)
            else:
                tree.put(path, record)
        before = tree.digest()


@given(st.booleans(), EDITS, EDITS)
def test_ends_as_a_scan_of_the_tree(
    deep: bool, before: list[tuple[RelPath, str]], after: list[tuple[RelPath, str]]
) -> None:
    """Any edits, then a full scan or listings of what was touched: the tree is that of a fresh scan."""
    with tempfile.TemporaryDirectory() as directory, Root.open(directory) as root:
        base, tree = Path(directory), Tree()
        view = ScanView(lambda: tree)
        for path, kind in before:
            edit(base, path, kind)
        scan_through_view(scan_steps(root, view, RULES), view, tree)
        touched = [touched for path, kind in after for touched in edit(base, path, kind)]
        starts = [ROOT] if deep else [split(path)[0] for path in touched]
        scan_through_view(scan_steps(root, view, RULES, starts, deep=deep), view, tree)
        fresh = scan_tree(root, Tree(), RULES).tree

        assert entries(fresh) == entries(tree)
        assert fresh.digest() == tree.digest()
        assert len(fresh) == len(tree)
        assert not view.differs
