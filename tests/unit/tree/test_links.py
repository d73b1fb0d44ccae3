"""Where symbolic links lead."""

import pytest

from dirsync.tree.entry import pack, symlink_entry
from dirsync.tree.lookup.links import follow, resolve
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from tests.unit.client.reconcile.model import directory, path, record


def link(tree: Tree, name: str, target: str) -> None:
    """Let a tree have this link."""
    tree.put(path(name), pack(symlink_entry(target.encode())))


@pytest.mark.parametrize(
    "at,target,found",
    [
        ("l", "d/f", "d/f"),
        ("d/l", "f", "d/f"),
        ("d/l", "../x", "x"),
        ("d/l", "..", ""),
        ("l", "d/./e//g", "d/e/g"),
        ("l", "to-d/f", "d/f"),
        ("l", "d/up/f", "d/f"),
        ("l", "chain", "d/f"),
        ("l", "../x", None),
        ("l", "/d/f", None),
        ("l", "absent", None),
        ("l", "x/below", None),
        ("l", "round", None),
        ("l", "absolute", None),
    ],
)
def test_resolved(at: str, target: str, found: str | None) -> None:
    """A link is followed as the kernel does, and never out of the tree."""
    tree = Tree()
    for name in ("d", "d/e"):
        tree.put(path(name), directory())
    for name in ("d/f", "d/e/g", "x"):
        tree.put(path(name), record(b"content"))
    links = {"to-d": "d", "d/up": "../to-d", "chain": "to-d/f", "round": "round", "absolute": "/d"}
    for name, leads_to in links.items():
        link(tree, name, leads_to)

    assert (None if found is None else path(found)) == resolve(tree, path(at), target.encode())


@pytest.mark.parametrize(
    "target,found",
    [("d/f", "d/f"), ("x", "x"), ("d/x/y", "d/x"), ("to-x/y", "x"), ("../x", None), ("round", None)],
)
def test_followed(target: str, found: str | None) -> None:
    """Where it leads to nothing, the first path that is missing is told."""
    tree = Tree()
    tree.put(path("d"), directory())
    tree.put(path("d/f"), record(b"content"))
    link(tree, "to-x", "x")
    link(tree, "round", "round")

    assert (None if found is None else path(found)) == follow(tree, RelPath(b"l"), target.encode())
