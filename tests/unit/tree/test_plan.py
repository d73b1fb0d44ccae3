"""From changes to steps, in a safe order."""

from collections.abc import Iterator

import pytest

from dirsync.tree.diff import Change, diff
from dirsync.tree.entry import Entry, Kind
from dirsync.tree.path import RelPath
from dirsync.tree.plan import (
    Delete,
    MakeDirectory,
    Move,
    Operation,
    Plan,
    PutFile,
    PutSymlink,
    SetMetadata,
    TryFile,
    changed_paths,
    needs_digest,
    operation,
    removes,
)
from tests.unit.tree.builders import entry_of, path_of, shown, tree_of


def plan_of(replica: str, source: str) -> Plan:
    """The plan that makes one tree the other."""
    return Plan(diff(tree_of(replica), tree_of(source)))


def step_of(old: str | None, new: str | None) -> Operation:
    """The step for a change of one path."""
    was, now = (word and entry_of(word)[1] for word in (old, new))
    return operation(Change(path_of("p"), was or None, now or None))


P, FILE, LINK, DIRECTORY = path_of("p"), entry_of("p=1")[1], entry_of("p->x")[1], entry_of("p/")[1]
OTHER_MODE, UNREAD = entry_of("p=1:600")[1], entry_of("p?1")[1]


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (None, "p=1", PutFile(P, None, FILE)),
        (None, "p->x", PutSymlink(P, None, LINK)),
        (None, "p/", MakeDirectory(P, None, 0o755)),
        ("p=1", None, Delete(P, FILE)),
        ("p->x", None, Delete(P, LINK)),
        ("p/", None, Delete(P, DIRECTORY)),
        ("p=2", "p=1", PutFile(P, entry_of("p=2")[1], FILE)),
        ("p=1", "p?1", PutFile(P, FILE, UNREAD)),
        ("p?1", "p?1", PutFile(P, UNREAD, UNREAD)),
        ("p->x", "p=1", PutFile(P, LINK, FILE)),
        ("p=1", "p->x", PutSymlink(P, FILE, LINK)),
        ("p=1", "p=1:600", SetMetadata(P, FILE, OTHER_MODE)),
        ("p/", "p/:700", SetMetadata(P, DIRECTORY, entry_of("p/:700")[1])),
        ("p=1", "p/", MakeDirectory(P, FILE, 0o755)),
        ("p->x", "p/", MakeDirectory(P, LINK, 0o755)),
        ("p/", "p=1", PutFile(P, DIRECTORY, FILE)),
        ("p/", "p->x", PutSymlink(P, DIRECTORY, LINK)),
    ],
)
def test_step_for_a_change(old: str | None, new: str | None, expected: Operation) -> None:
    """Each change is one step that says what it expects to find."""
    step = step_of(old, new)

    assert (type(expected), expected) == (type(step), step)


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("p=1", None, True),
        ("p/", None, True),
        ("p/", "p=1", True),
        ("p/", "p->x", True),
        ("p=1", "p/", False),
        ("p=1", "p->x", False),
        ("p=2", "p=1", False),
        (None, "p=1", False),
        ("p/", "p/:700", False),
    ],
)
def test_what_removes(old: str | None, new: str | None, expected: bool) -> None:
    """Deletes remove, and so does what takes a directory's place."""
    assert expected is removes(step_of(old, new))


def test_removing_waits_for_the_rest() -> None:
    """What makes goes first in order; then deletes, content before directories and before what replaces them."""
    plan = plan_of("a/b/x=1 a/c=1 f=1 gone/y=1", "a=new f/z=1 n/m=1")

    assert ["MakeDirectory f", "PutFile f/z", "MakeDirectory n", "PutFile n/m"] == shown(plan.immediate())
    assert ["Delete gone/y", "Delete gone", "Delete a/c", "Delete a/b/x", "Delete a/b", "PutFile a"] == shown(
        plan.deletes
    )


def test_plan_is_lazy() -> None:
    """A step is made when it is asked for, not before."""
    read = []

    def changes() -> Iterator[Change]:
        for change in diff(tree_of(""), tree_of("a=1 b=1")):
            read.append(change.path)
            yield change

    steps = Plan(changes()).immediate()

    assert [] == read
    next(steps)
    assert [b"a"] == read


def test_steps_come_once() -> None:
    """Reading the plan on continues it."""
    plan = plan_of("", "a=1 b=1")

    assert ["PutFile a"] == shown([next(plan.immediate())])
    assert ["PutFile b"] == shown(plan.immediate())
    assert [] == shown(plan.immediate())


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("p=1", "p?1", True),
        ("p=11", "p?1", False),
        (None, "p?1", False),
        ("p->x", "p?1", False),
        ("p/", "p?0", False),
        ("p=1", "p=2", False),
        ("p=1", None, False),
    ],
)
def test_only_a_file_of_the_same_size_is_read_before(old: str | None, new: str | None, expected: bool) -> None:
    """Reading a file before sending it pays only where it may turn out equal."""
    was, now = (word and entry_of(word)[1] for word in (old, new))

    assert expected is needs_digest(Change(P, was or None, now or None))


@pytest.mark.parametrize(
    "step, paths",
    [
        (Delete(RelPath(b"a"), None), (b"a",)),
        (MakeDirectory(RelPath(b"a/b"), None, 0o755), (b"a/b",)),
        (Move(RelPath(b"new"), None, RelPath(b"old"), Entry(Kind.DIRECTORY)), (b"old", b"new")),
        (TryFile(RelPath(b"a"), None, Entry(Kind.FILE)), ()),
    ],
)
def test_changed_paths(step: Operation, paths: tuple[bytes, ...]) -> None:
    """An operation changes its path, a move that where something was too, and one that only asks changes nothing."""
    assert paths == changed_paths(step)
