"""What has to change, in which order, and what is left alone."""

from collections.abc import Iterator

import pytest

from dirsync.tree.diff import Change, diff, diff_paths, equal
from dirsync.tree.entry import directory_entry, pack, unpack, unread_digest
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from tests.support.trees.plans import apply
from tests.unit.tree.builders import entry_of, path_of, put, shown, tree_of


@pytest.mark.parametrize(
    "replica, source, expected",
    [
        pytest.param("", "", [], id="nothing"),
        pytest.param("d/a=1 l->x", "d/a=1 l->x", [], id="equal"),
        pytest.param("", "d/a=1 b=2", ["+b", "+d", "+d/a"], id="first-sync"),
        pytest.param("d/e/a=1", "", ["-d", "-d/e", "-d/e/a"], id="emptied"),
        pytest.param("d/a=1", "d/a=2", ["~d/a"], id="content"),
        pytest.param("d/a=1", "d/a=1:600", ["~d/a"], id="mode-of-file"),
        pytest.param("d/a=1", "d/:700 d/a=1", ["~d"], id="mode-of-directory"),
        pytest.param("l->x", "l->y", ["~l"], id="link-target"),
        pytest.param("d/a=1", "d=1", ["~d", "-d/a"], id="file-over-directory"),
        pytest.param("d=1", "d/a=1", ["~d", "+d/a"], id="directory-over-file"),
        pytest.param("d->x", "d=x", ["~d"], id="file-over-link"),
        pytest.param("b=1 a/z=1 a-=1", "b=2 a/z=2 a-=2", ["~a/z", "~a-", "~b"], id="order-of-names"),
    ],
)
def test_diff(replica: str, source: str, expected: list[str]) -> None:
    """Changes come parents first, siblings by bytes, and one for each path that differs."""
    assert expected == shown(diff(tree_of(replica), tree_of(source)))


def test_change_carries_both_sides() -> None:
    """Old is what the replica has and new what the source has; directories come without digest."""
    changes = list(diff(tree_of("a=1 d/x=1"), tree_of("a=2 d/:700 d/x=1")))

    assert [
        Change(path_of("a"), entry_of("a=1")[1], entry_of("a=2")[1]),
        Change(path_of("d"), directory_entry(0o755), directory_entry(0o700)),
    ] == changes


def test_unread_file_always_differs() -> None:
    """Content that has not been read equals nothing, not even the same on the other side."""
    assert ["~a"] == shown(diff(tree_of("a=one b=1"), tree_of("a?3 b=2")))[:1]
    assert ["~a", "~b"] == shown(diff(tree_of("a?3 b=1"), tree_of("a?3 b=2")))


def test_unread_record_differs_from_itself() -> None:
    """A record that both trees share is equal only if its content is known."""
    replica = tree_of("a?3 c=1")
    source = replica.copy()
    put(source, "b=1")

    assert ["~a", "+b"] == shown(diff(replica, source))


def test_unreadable_replica_files() -> None:
    """A file that the server cannot read differs from each file of the source, whether that one was read or not."""
    unread = [entry_of("a?3")[1]._replace(digest=unread_digest(state)) for state in (b"one", b"another")]
    source, same_name, other_name = tree_of("a?3 b=1"), tree_of("b=1"), tree_of("b=1")
    same_name.put(path_of("a"), pack(unread[0]))
    other_name.put(path_of("c"), pack(unread[0]))
    changed = same_name.copy()
    changed.put(path_of("a"), pack(unread[1]))

    assert ["~a"] == shown(diff(same_name, source))
    assert ["~a"] == shown(diff(same_name, tree_of("a=3 b=1")))
    assert ["+a", "-c"] == shown(diff(other_name, source))
    assert 4 == len({tree.digest() for tree in (source, same_name, other_name, changed)})


def test_attributes_decide_what_differs() -> None:
    """Modes and times that do not count make no change, in a tree that differs elsewhere."""
    attributes = Attributes(mode=False, mtime=False)
    source = tree_of("a=1:600 d/:700 d/x=1 c=2", attributes)
    source.put(path_of("a"), pack(entry_of("a=1")[1]._replace(mtime_ns=9)))

    assert ["~c"] == shown(diff(tree_of("a=1 d/x=1 c=1", attributes), source))


def test_fingerprints_do_not_differ() -> None:
    """What a scan notes beside an entry is no difference."""
    source = tree_of("b=2")
    source.put(path_of("a"), pack(entry_of("a=1")[1], b"inode 7"))

    assert ["~b"] == shown(diff(tree_of("a=1 b=1"), source))


def test_trees_must_count_the_same() -> None:
    """Trees of different attributes cannot be compared, and that shows at the call."""
    with pytest.raises(ValueError, match="attributes"):
        diff(Tree(), Tree(Attributes(mode=False)))


def test_equal_subtrees_are_not_visited() -> None:
    """The comparison stays out of directories with equal digests."""
    replica, source = tree_of("same/a=1 b=1"), tree_of("same/a=1 b=2")
    replica.digest()
    same = replica.directory(path_of("same"))
    assert same is not None
    same.children[b"a"] = pack(entry_of("a=unseen")[1])

    assert ["~b"] == shown(diff(replica, source))


@pytest.mark.parametrize(
    "replica, source, protected, expected",
    [
        pytest.param("a=1 b=1", "b=2", ["a"], ["~b"], id="unreadable-file-is-not-deleted"),
        pytest.param("a=1", "a=2", ["a"], [], id="unreadable-file-is-not-replaced"),
        pytest.param("", "a?1", ["a"], [], id="unreadable-file-is-not-made"),
        pytest.param("d/a=1 d/e/b=1", "", ["d"], [], id="directory-that-cannot-be-looked-at"),
        pytest.param("d/a=1 d/e/b=1", "d/:700", ["d"], ["~d"], id="directory-that-cannot-be-listed"),
        pytest.param("d=1", "d/", ["d"], ["~d"], id="file-became-unreadable-directory"),
        pytest.param("", "d/a=1 d/b=1", ["d/a"], ["+d", "+d/b"], id="unreadable-file-in-new-directory"),
        pytest.param("d/a=1 d/b=1", "", ["d/a"], ["-d/b"], id="directory-stays-for-what-is-in-it"),
        pytest.param("d/e/f/a=1 d/e/b=1 d/g/c=1", "", ["d/e/f/a"], ["-d/e/b", "-d/g", "-d/g/c"], id="all-the-way"),
        pytest.param("d/a=1 d/b=1", "d=1", ["d/a"], ["-d/b"], id="not-replaced-while-it-holds-something"),
        pytest.param("d/e/a=1 c=1", "", ["d/e"], ["-c"], id="directory-in-removed-directory"),
        pytest.param("a=1 d/b=1", "", [""], [], id="unreadable-root"),
    ],
)
def test_protected_paths(replica: str, source: str, protected: list[str], expected: list[str]) -> None:
    """What could not be looked at is not concluded to be absent."""
    guarded = {path_of(path) for path in protected}

    assert expected == shown(diff(tree_of(replica), tree_of(source), guarded))


@pytest.mark.case("G09")
def test_unreadable_root_deletes_nothing() -> None:
    """A root that cannot be listed looks empty, and is not."""
    assert [] == list(diff(tree_of("a=1 d/b=1"), Tree(), {ROOT: "permission denied"}))


@pytest.mark.parametrize(
    "paths, expected",
    [
        pytest.param([], [], id="none"),
        pytest.param(["a"], ["~a"], id="file"),
        pytest.param(["d"], ["~d/x", "+d/y"], id="directory-and-below"),
        pytest.param(["d/y", "d", "d/x", "d"], ["~d/x", "+d/y"], id="overlapping-once"),
        pytest.param(["n/o/p", "a"], ["~a", "+n", "+n/o", "+n/o/p"], id="below-a-new-directory"),
        pytest.param(["g/h"], ["-g", "-g/h"], id="below-a-removed-directory"),
        pytest.param(["k/z"], ["~k", "+k/z"], id="below-what-became-a-directory"),
        pytest.param(["s", "nowhere", "nowhere/x"], [], id="equal-or-nothing"),
        pytest.param(["s/x"], [], id="equal-in-equal"),
        pytest.param([""], ["~a", "~d/x", "+d/y", "-g", "-g/h", "~k", "+k/z", "+n", "+n/o", "+n/o/p"], id="root"),
    ],
)
def test_diff_of_paths(paths: list[str], expected: list[str]) -> None:
    """Only the given paths and what is below them, widened to what must exist first."""
    replica = tree_of("a=1 d/x=1 g/h=1 k=1 s/x=1")
    source = tree_of("a=2 d/x=2 d/y=2 k/z=1 n/o/p=1 s/x=1")

    assert expected == shown(diff_paths(replica, source, [path_of(path) for path in paths]))


def test_diff_of_paths_below_something_protected() -> None:
    """A path below an unreadable directory is not judged."""
    guarded = {path_of("d")}

    assert [] == list(diff_paths(tree_of("d/e/x=1"), tree_of("d/e/"), [path_of("d/e/x")], guarded))
    assert [] == list(diff_paths(tree_of("d/e/x=1"), tree_of("d/"), [path_of("d/e")], guarded))


def test_two_thousand_levels_are_no_depth() -> None:
    """Nothing recurses, up or down, whole or by path."""
    source = Tree()
    path = ROOT
    for _ in range(2000):
        path = RelPath(path + b"/d" if path else b"d")
        source.put(path, pack(directory_entry(0o755)))

    assert 2000 == sum(1 for _ in diff(Tree(), source))
    assert 2000 == sum(1 for _ in diff(source, Tree(), {path_of("x")}))
    assert 2000 == sum(1 for _ in diff_paths(Tree(), source, [path]))


def test_changes_may_be_applied_while_they_come() -> None:
    """Acknowledging each change at once disturbs nothing."""
    replica, source = tree_of("d/a=1 d/b=1 e=1 g/x=1"), tree_of("d/a=2 d/b/c=1 e/f=1 g=1")

    def applied() -> Iterator[Change]:
        for change in diff(replica, source):
            apply(replica, [change])
            yield change

    assert ["~d/a", "~d/b", "+d/b/c", "~e", "+e/f", "~g", "-g/x"] == shown(applied())
    assert source.digest() == replica.digest()


def test_changes_that_went_meanwhile_are_left_out() -> None:
    """A path that became equal on both sides before its turn makes no change."""
    replica, source = tree_of("a=1 b=1 c=1"), tree_of("a=2 b=2 c=2 d=1")
    changes = diff(replica, source)
    next(changes)
    put(replica, "b=2")
    source.remove(path_of("d"))

    assert ["~c"] == shown(changes)


def test_apply_needs_parents() -> None:
    """A change below a directory that is not there is a programming error."""
    with pytest.raises(KeyError):
        apply(Tree(), [Change(path_of("d/a"), None, entry_of("a=1")[1])])


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("a=1", "a=1", True),
        ("a=1", "a=2", False),
        ("a=1", "a=1:600", False),
        ("a?1", "a?1", False),
        ("a=1", "a->1", False),
        ("a->1", "a->1", True),
        ("a/", "a/", True),
        ("a/", "a/:700", False),
    ],
)
def test_equal_entries(old: str, new: str, expected: bool) -> None:
    """Two entries are equal when all that counts is, and it has been read."""
    assert expected is equal(entry_of(old)[1], entry_of(new)[1], Attributes())


def test_equal_directories_whatever_is_in_them() -> None:
    """A directory's own entry does not differ by its content; absence equals absence alone."""
    full = tree_of("d/a=1").get(path_of("d"))

    assert equal(full, entry_of("d/")[1], Attributes())
    assert equal(None, None, Attributes())
    assert not equal(None, full, Attributes())


def test_equal_ignores_what_does_not_count() -> None:
    """Attributes apply."""
    assert equal(entry_of("a=1")[1], entry_of("a=1:600")[1], Attributes(mode=False))


def test_apply_keeps_the_source_entries() -> None:
    """What is applied is the source's entry, also what does not count."""
    replica = Tree(Attributes(mode=False))
    apply(replica, [Change(path_of("a"), None, entry_of("a=1:600")[1])])
    record = replica.record(path_of("a"))

    assert record is not None
    assert entry_of("a=1:600")[1] == unpack(record)


def test_covered_directories_are_not_entered() -> None:
    """What is at and below a covered directory of either side is left out; a file of that name is compared."""
    replica, source = tree_of("a/x/y=1 b=1 c/d=1"), tree_of("a2/x/y=1 b=2 c/d=2")
    asked: list[RelPath] = []

    def is_covered(path: RelPath) -> bool:
        asked.append(path)
        return path in (b"a", b"a2", b"b")

    names = [path_of(name) for name in ("a", "a2", "b", "c")]

    assert ["~b", "~c/d"] == shown(diff_paths(replica, source, names, is_covered=is_covered))
    assert {b"a", b"a2", b"c"} == set(asked)
