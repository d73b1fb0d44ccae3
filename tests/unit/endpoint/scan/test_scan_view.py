"""A view of a tree: what is changed in it shows in it, and in the tree only when it is taken over."""

import pytest

from dirsync.endpoint.scan.scan_view import ScanView
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Record, directory_entry, file_entry, pack
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

D, DA, DB, DB1, E = (RelPath(path) for path in (b"d", b"d/a", b"d/b", b"d/b/1", b"e"))
DIRECTORY = pack(directory_entry(0o755))


def file(number: int) -> Record:
    """The record of a file."""
    return pack(file_entry(mode=0o644, size=number, mtime_ns=number, digest=bytes([number]) * 32))


@pytest.fixture
def tree() -> Tree:
    """A directory with a file and a directory with a file, beside a file."""
    tree = Tree()
    for path, record in ((D, DIRECTORY), (DA, file(1)), (DB, DIRECTORY), (DB1, file(2)), (E, file(3))):
        tree.put(path, record)
    return tree


@pytest.fixture
def view(tree: Tree) -> ScanView:
    """A view of it."""
    return ScanView(lambda: tree)


def apply(tree: Tree, changes: list[tuple[RelPath, Record | None]]) -> None:
    """Take changes over."""
    for path, record in changes:
        if record is None:
            tree.remove(path)
        else:
            tree.put(path, record)


def test_unchanged_costs_nothing(tree: Tree, view: ScanView) -> None:
    """What was not changed is the tree's own."""
    assert tree.directory(DB) is view.directory(DB)
    assert tree.record(DA) is view.record(DA)
    assert (True, False, False) == (DB1 in view, RelPath(b"d/x") in view, RelPath(b"e/x") in view)
    assert list(tree.walk()) == list(view.walk())
    assert not view.differs


def test_changes_show_only_here(tree: Tree, view: ScanView) -> None:
    """The view has the change at once, the tree when it is told."""
    digest = tree.digest()
    view.put(DA, file(9))
    view.put(DB, pack(directory_entry(0o700)))
    view.remove(E)

    assert (file(9), None, file(2)) == (view.record(DA), view.record(E), view.record(DB1))
    assert (file(1), file(3), digest) == (tree.record(DA), tree.record(E), tree.digest())
    assert [b"a", b"b"] == [name for name, _ in view.children(D)]

    apply(tree, view.take_changes([DA, DB, E]))

    assert (file(9), None, file(2), pack(directory_entry(0o700))) == tuple(map(tree.record, (DA, E, DB1, DB)))
    assert not view.differs


def test_another_directory_takes_the_place(tree: Tree, view: ScanView) -> None:
    """A directory that was taken and made anew has nothing of what the first one held."""
    taken = view.take(DB)
    view.put(DB, DIRECTORY)
    view.put(RelPath(b"d/b/2"), file(7))

    assert isinstance(taken, Directory)
    assert [b"1"] == list(taken.children)

    apply(tree, view.take_changes([DB]))

    assert view.differs
    assert [] == list(tree.children(DB))

    apply(tree, view.take_changes([RelPath(b"d/b/2")]))

    assert [b"2"] == [name for name, _ in tree.children(DB)]
    assert not view.differs


def test_a_file_takes_a_directory_s_place(tree: Tree, view: ScanView) -> None:
    """What was below it is gone with it, and what was noted below it too."""
    view.put(DB1, file(8))
    view.put(DB, file(9))

    assert view.record(DB1) is None
    assert [(DB, file(9))] == view.take_changes([DB])
    assert not view.differs


def test_what_did_not_stay_leaves_no_trace(tree: Tree, view: ScanView) -> None:
    """A directory that was put and removed before anybody was told of it needs no change of the tree."""
    new = RelPath(b"new")
    view.put(new, DIRECTORY)
    view.put(RelPath(b"new/x"), file(1))
    view.remove(new)

    assert not view.differs
    assert [(new, None)] == view.take_changes([new])


def test_no_place(view: ScanView) -> None:
    """As in a tree, a path needs a directory that holds it; nothing happens where nothing is removed."""
    with pytest.raises(KeyError):
        view.put(RelPath(b"e/x"), file(1))
    with pytest.raises(KeyError):
        next(view.children(E))
    assert view.take(RelPath(b"x/y")) is None
