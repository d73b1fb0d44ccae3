"""What changed since somebody was last told: every path once, and bounded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.endpoint.changes.dirty_paths import Dirty, DirtyPaths
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath

A, B, C, D = (RelPath(name) for name in (b"a", b"b", b"c", b"d"))
SMALL = replace(LIMITS, max_reported_changes=3, max_reported_bytes=10)


def test_each_once() -> None:
    """A path that changes often is told once, where it changed first."""
    dirty = DirtyPaths()
    dirty.add([A, B, A])
    dirty.add([C, B])

    assert Dirty((A, B, C)) == dirty.take()
    assert Dirty() == dirty.take()


def test_nothing_to_tell() -> None:
    """Nothing is told if nothing changed; a change of the sums alone is told without a path."""
    dirty = DirtyPaths()
    dirty.add([])

    assert not dirty

    dirty.note()

    assert dirty
    assert Dirty() == dirty.take()
    assert not dirty


@pytest.mark.parametrize(
    "paths, expected",
    [
        ([A, B, C], Dirty((A, B, C))),
        ([A, B, C, D], Dirty(everything=True)),
        ([RelPath(b"n" * 10)], Dirty((RelPath(b"n" * 10),))),
        ([RelPath(b"n" * 9), A, B], Dirty(everything=True)),
        ([RelPath(b"n" * 11)], Dirty(everything=True)),
    ],
    ids=["most", "many", "longest", "long", "one long"],
)
def test_bounds(paths: list[RelPath], expected: Dirty) -> None:
    """Of more paths, or longer ones, than there is room for it is only told that everything may be different."""
    dirty = DirtyPaths(SMALL)
    dirty.add(paths)

    assert dirty
    assert expected == dirty.take()


def test_after_everything() -> None:
    """What changes after everything is part of it, and after that was told paths are told again."""
    dirty = DirtyPaths(SMALL)
    dirty.lose()
    dirty.add([A])

    assert Dirty(everything=True) == dirty.take()

    dirty.add([B])

    assert Dirty((B,)) == dirty.take()


def test_the_root_is_no_path() -> None:
    """The root has no entry that could be told; its digest is told anyway."""
    dirty = DirtyPaths()
    dirty.add([ROOT])

    assert dirty
    assert Dirty() == dirty.take()


@given(st.lists(st.lists(st.sampled_from([A, B, C, D]), max_size=5) | st.none(), max_size=12))
def test_no_change_is_lost(steps: list[list[RelPath] | None]) -> None:
    """Whatever is added and taken, each change is told after it was added: by its path, or with everything."""
    dirty = DirtyPaths(SMALL)
    owed: set[RelPath] = set()
    for paths in [*steps, None]:
        if paths is not None:
            dirty.add(paths)
            owed |= set(paths)
            continue

        assert bool(dirty) is bool(owed)

        taken = dirty.take()

        assert taken.everything or set(taken.paths) == owed
        assert not (taken.everything and taken.paths)
        assert len(taken.paths) <= SMALL.max_reported_changes

        owed = set()
