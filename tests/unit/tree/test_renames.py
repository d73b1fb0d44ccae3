"""What is taken for a rename, what for another file with the same number, and what is left open."""

import os
import stat

import pytest

from dirsync.fs.fingerprint import directory_record, file_record
from dirsync.tree.directory import Directory, differing
from dirsync.tree.entry import UNKNOWN, FileIdentity, Record, changed_at_of, identity_of, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.tree import Tree

CHANGED_AT = 1000
"""The ctime of everything that leaves."""


class Births:
    """A file system that knows when everything was made, or keeps no such times."""

    def __init__(self, born: int | None) -> None:
        self.asked: list[RelPath] = []
        self._born = born

    def holds(self, path: RelPath, identity: FileIdentity) -> bool:
        """Nothing is at two paths."""
        del path, identity
        return False

    def born(self, path: RelPath, identity: FileIdentity) -> int | None:
        """When it was made."""
        del identity
        self.asked.append(path)
        return self._born


def path(name: str) -> RelPath:
    """A path."""
    return RelPath(name.encode())


def file(inode: int, *, digest: bytes = b"d" * 32, changed_at: int = CHANGED_AT) -> Record:
    """The record of a file of one size and mtime."""
    return file_record(_status(stat.S_IFREG | 0o644, inode, changed_at), 10**12, digest)


def directory(inode: int, *, changed_at: int = CHANGED_AT) -> Record:
    """The record of a directory."""
    return directory_record(_status(stat.S_IFDIR | 0o755, inode, changed_at))


def _status(mode: int, inode: int, changed_at: int) -> os.stat_result:
    return os.stat_result((mode, inode, 1, 1, 0, 0, 9, 0, 0, 0, 0.0, 0.0, 0.0, 0, 5, changed_at))


def tracker(births: Births) -> RenameTracker:
    """One that began a scan."""
    found = RenameTracker()
    found.begin(births, search=True)
    return found


BORN = [
    pytest.param(CHANGED_AT - 1, True, id="before the last change"),
    pytest.param(CHANGED_AT, None, id="in the same tick"),
    pytest.param(CHANGED_AT + 1, False, id="after it"),
    pytest.param(None, None, id="nobody knows"),
]


class TestFiles:
    """A file that has the number, the size and the mtime of one that left."""

    @pytest.mark.parametrize("left_first", [True, False])
    @pytest.mark.parametrize("born,same", BORN)
    def test_born(self, born: int | None, same: bool | None, left_first: bool) -> None:
        """It is the same, another one, or may be either, whichever path is looked at first."""
        renames = tracker(Births(born))
        before, now = file(7), file(7, digest=UNKNOWN, changed_at=2000)
        if left_first:
            renames.left(path("x"), before)
        renames.appeared(path("y"), now)
        if not left_first:
            renames.left(path("x"), before)

        assert (None if same is False else (path("x"), before)) == renames.previous_path(now)
        assert (same is True) == renames.is_proved_file(now)
        assert (None if same is False else path("y")) == renames.new_path(path("x"))

    def test_nothing_is_asked_without_a_reason(self) -> None:
        """The file system is asked only where a number comes again: a first scan costs nothing more."""
        births = Births(1)
        renames = tracker(births)
        for number in range(100):
            renames.appeared(path(f"f{number}"), file(number))
        renames.left(path("gone"), file(1000))

        assert [] == births.asked

    def test_left_again(self) -> None:
        """What was proved of one departure says nothing about the next one."""
        renames = tracker(Births(CHANGED_AT - 1))
        renames.left(path("x"), file(7))
        renames.appeared(path("y"), file(7))
        renames.begin(Births(None), search=True)
        renames.left(path("y"), file(7))
        renames.appeared(path("z"), file(7))

        assert not renames.is_proved_file(file(7))
        assert (path("y"), file(7)) == renames.previous_path(file(7))


class TestDirectories:
    """A directory that has the number of one that left."""

    @pytest.mark.parametrize("searched", [True, False])
    @pytest.mark.parametrize("born,same", BORN)
    def test_born(self, born: int | None, same: bool | None, searched: bool) -> None:
        """It is moved, is another one, or has to be scanned first; whether its former path was looked at or not."""
        renames, tree = tracker(Births(born)), Tree()
        tree.put(path("a"), directory(5))
        tree.put(path("a/x"), file(7))
        if not searched:
            renames.left(path("a"), tree.take(path("a")))
        elsewhere = renames.place(tree, path("b"), directory(5, changed_at=2000))

        assert ([] if same is False else [path("a")]) == elsewhere
        assert ({} if same is False else {path("b"): path("a")}) == renames.moved
        assert (same is not False) == (path("b/x") in tree)
        assert (same is True) == renames.is_proved(path("b"))
        assert ({path("b")} if same is None else set()) == renames.pending

    def test_proved_by_what_is_in_it(self) -> None:
        """An entry that was not touched since proves it; the end of the scan does not."""
        renames, tree = tracker(Births(None)), Tree()
        for name, number in (("a", 5), ("b", 6)):
            tree.put(path(name), directory(number))
            renames.left(path(name), tree.take(path(name)))
            renames.place(tree, path(f"new {name}"), directory(number))
        renames.listed(path("new a"), 1)
        renames.listed(path("new b"), 0)
        between = set(renames.pending)
        renames.scanned(path("new b"))

        assert ({path("new b")}, set()) == (between, renames.pending)
        assert [True, False] == [renames.is_proved(path(f"new {name}")) for name in "ab"]
        assert {path("new a"): path("a"), path("new b"): path("b")} == renames.moved

    def test_scan_given_up(self) -> None:
        """What a scan that was not finished did not prove is no move."""
        renames, tree = tracker(Births(None)), Tree()
        for name, number in (("a", 5), ("b", 6)):
            tree.put(path(name), directory(number))
            renames.left(path(name), tree.take(path(name)))
            renames.place(tree, path(f"new {name}"), directory(number))
        renames.abandon(path("new a"))

        assert ({path("new b"): path("b")}, {path("new b")}) == (renames.moved, renames.pending)


class TestDiffering:
    """What a directory would bring along that another one does not have."""

    def test_table(self) -> None:
        """Contents count, at any depth; what is only in the other one does not, nor do modes."""
        theirs, ours = Tree(), Tree()
        for tree in (theirs, ours):
            for name in ("same", "other"):
                tree.put(path(name), directory(1))
                tree.put(path(f"{name}/file"), file(2))
            tree.put(path("other/more"), directory(3))
        theirs.put(path("other/more/gone"), file(4))
        theirs.put(path("other/changed"), file(5))
        ours.put(path("other/changed"), changed := file(5, digest=b"e" * 32))
        theirs.put(path("other/unread"), file(6, digest=UNKNOWN))
        ours.put(path("other/unread"), unread := file(6, digest=UNKNOWN))
        theirs.put(path("other/mode"), file(8))
        ours.put(path("other/mode"), pack(unpack(file(8))._replace(mode=0o600)))
        theirs.put(path("other/kind"), directory(9))
        ours.put(path("other/kind"), kind := file(9))
        ours.put(path("new"), file(10))
        for tree in (theirs, ours):
            tree.digest()
        found = dict(differing(theirs.root, ours.root, path("at")))

        assert {
            path("at/other/more/gone"): None,
            path("at/other/changed"): changed,
            path("at/other/unread"): unread,
            path("at/other/kind"): kind,
        } == found

    def test_without_digests(self) -> None:
        """Nothing is taken for equal because its digest was not computed yet."""
        theirs, ours = Directory(directory(1)), Directory(directory(1))
        theirs.children[b"x"] = file(2)

        assert [(path("x"), None)] == list(differing(theirs, ours))


def test_end_of_a_record() -> None:
    """Times and numbers are found where a fingerprint has them."""
    record = file(77, changed_at=-5)

    assert (-5, 77) == (changed_at_of(record), identity_of(record).inode)


class TestFollowers:
    """Several replicas of one source: each settles what was renamed in its own time."""

    def test_each_settles_alone(self) -> None:
        """A file that one replica has moved is still to be moved at the other."""
        scans = tracker(Births(CHANGED_AT - 1))
        one, other = scans.follow(), scans.follow()
        scans.begin(Births(CHANGED_AT - 1), search=True)
        scans.left(path("old"), file(7))
        scans.appeared(path("new"), file(7))

        one.settled(file(7))

        assert (None, path("new")) == (one.new_path(path("old")), other.new_path(path("old")))
        assert (False, True) == (one.knows_files, other.knows_files)
        assert other.is_proved_file(file(7))

    def test_directories(self) -> None:
        """A directory that was moved is told to each, and is forgotten where it is settled."""
        scans = tracker(Births(CHANGED_AT - 1))
        one, other = scans.follow(), scans.follow()
        scans.begin(Births(CHANGED_AT - 1), search=True)
        tree = Tree()
        tree.put(path("old"), directory(3))
        tree.put(path("old/file"), file(4))
        scans.left(path("old"), tree.take(path("old")))
        scans.place(tree, path("new"), directory(3))

        del one.moved[path("new")]

        assert file(4) == tree.record(path("new/file"))
        assert ({}, {}, {path("new"): path("old")}) == (scans.moved, one.moved, other.moved)
        assert other.is_proved(path("new"))

    def test_not_proved(self) -> None:
        """What only the end of a scan proves is pending at each, and dropped at each if the scan is abandoned."""
        scans = tracker(Births(None))
        one, other = scans.follow(), scans.follow()
        scans.begin(Births(None), search=True)
        tree = Tree()
        tree.put(path("old"), directory(3))
        scans.left(path("old"), tree.take(path("old")))
        scans.place(tree, path("new"), directory(3))
        before = [set(each.pending) for each in (one, other)]
        scans.abandon(path("new"))

        assert [{path("new")}, {path("new")}] == before
        assert [{}, {}] == [each.moved for each in (one, other)]

    def test_restarted(self) -> None:
        """With other attributes nothing is remembered, here and there, and those that follow go on following."""
        scans = tracker(Births(CHANGED_AT - 1))
        one = scans.follow()
        scans.begin(Births(CHANGED_AT - 1), search=True)
        scans.left(path("old"), file(7))
        scans = scans.restarted()
        forgotten = one.knows_files
        scans.begin(Births(CHANGED_AT - 1), search=True)
        scans.left(path("other"), file(8))

        assert (False, True) == (forgotten, one.knows_files)
