"""Directories that are built in staging: what is in them, what they inherit, and how they go away."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from dirsync.fs.failure import Changing, PathFailure
from dirsync.fs.root import Root
from dirsync.fs.write.build.publish import TreePublisher
from dirsync.fs.write.build.remove import remove_tree
from dirsync.fs.write.build.staged_tree import StagedTree
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import covered, file_entry, pack
from dirsync.tree.path import RelPath
from tests.unit.fs.places import path_of
from tests.unit.fs.replicas import Replica

NEW = path_of("d/new")


def trees(replica: Replica) -> TreePublisher:
    """What builds in the replica."""
    return TreePublisher(replica.root, replica.staging, ModePolicy.preserve(), replica.publisher, mtimes=True)


def fill(tree: StagedTree) -> None:
    """A file, and one in a directory."""
    for name, content in (("a", b"one"), ("sub/b", b"two")):
        at = RelPath(tree.path + b"/" + name.encode())
        if name.startswith("sub"):
            tree.make_directory(RelPath(tree.path + b"/sub"), 0o750)
        entry = file_entry(mode=0o640, size=len(content), mtime_ns=5, digest=bytes(32))
        tree.make_file(at, covered(pack(entry)), 0o640, 5, content)


def test_published(replica: Replica) -> None:
    """One rename brings it to its place, with its modes; nothing is left in staging."""
    (replica.at / "d").mkdir()
    builder = trees(replica)
    tree = builder.begin(NEW)
    fill(tree)
    before = os.listdir(replica.at / "d")
    builder.publish(tree, tree.finish(0o700), 0o700)

    assert [] == before
    assert (b"one", b"two") == ((replica.at / "d/new/a").read_bytes(), (replica.at / "d/new/sub/b").read_bytes())
    modes = [stat.S_IMODE((replica.at / "d/new" / at).stat().st_mode) for at in ("", "a", "sub", "sub/b")]
    assert [0o700, 0o640, 0o750, 0o640] == modes
    assert {5} == {(replica.at / "d/new" / at).stat().st_mtime_ns for at in ("a", "sub/b")}
    assert [] == replica.staging.names()


def test_umask(replica: Replica) -> None:
    """The modes are those that were declared, whatever the process takes away."""
    before = os.umask(0o077)
    try:
        builder = trees(replica)
        tree = builder.begin(path_of("new"))
        tree.make_directory(path_of("new/sub"), 0o777)
        entry = file_entry(mode=0o666, size=0, mtime_ns=5, digest=bytes(32))
        tree.make_file(path_of("new/sub/a"), covered(pack(entry)), 0o666, 5, b"")
        builder.publish(tree, tree.finish(0o755), 0o755)
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((replica.at / at).stat().st_mode) for at in ("new", "new/sub", "new/sub/a")]
    assert [0o755, 0o777, 0o666] == modes


@pytest.mark.parametrize("there", ["a file", "a directory", "a link"])
def test_something_is_there(replica: Replica, there: str) -> None:
    """It replaces nothing, not even an empty directory."""
    match there:
        case "a file":
            (replica.at / "new").write_text("x")
        case "a directory":
            (replica.at / "new").mkdir()
        case _:
            (replica.at / "new").symlink_to(replica.base / "outside")
    builder = trees(replica)
    tree = builder.begin(path_of("new"))
    fill(tree)
    with pytest.raises(Changing):
        builder.publish(tree, tree.finish(0o755), 0o755)
    tree.discard()

    assert ["new"] == os.listdir(replica.at)


def test_twice(replica: Replica) -> None:
    """A second entry of one name is refused, whatever the two are; so a file system that folds names fails it too."""
    tree = trees(replica).begin(path_of("new"))
    fill(tree)
    for at in ("new/a", "new/sub"):
        with pytest.raises(PathFailure):
            tree.make_directory(path_of(at), 0o755)
        with pytest.raises(PathFailure):
            tree.make_file(path_of(at), b"", 0o644, 0, b"x")
    tree.discard()


def test_group_is_inherited(replica: Replica) -> None:
    """A directory that hands down its group hands it down to everything."""
    (replica.at / "d").mkdir()
    (replica.at / "d").chmod(0o2755)
    builder = trees(replica)
    tree = builder.begin(NEW)
    fill(tree)
    builder.publish(tree, tree.finish(0o755), 0o755)
    modes = [(replica.at / at).stat().st_mode & stat.S_ISGID for at in ("d/new", "d/new/sub")]

    assert [stat.S_ISGID] * 2 == modes


def test_inheritance_that_changed(replica: Replica) -> None:
    """What was made under other rules than those that hold now is not published."""
    (replica.at / "d").mkdir()
    builder = trees(replica)
    tree = builder.begin(NEW)
    fill(tree)
    (replica.at / "d").chmod(0o2755)
    with pytest.raises(Changing):
        builder.publish(tree, tree.finish(0o755), 0o755)
    tree.discard()


def test_a_crash_leaves_nothing(tmp_path: Path) -> None:
    """The next start removes what was being built, whatever its modes; what is not ours stays."""
    (tmp_path / "r").mkdir()
    first = Replica(tmp_path)
    tree = trees(first).begin(path_of("new"))
    fill(tree)
    place = next(path for path in tmp_path.iterdir() if "staging" in path.name)
    (place / tree.name.decode() / "sub").chmod(0)
    (place / "built-of-somebody-else").mkdir()
    first.root.close()
    root = Root.open(tmp_path / "r")
    second = Staging.open(root)

    assert ["built-of-somebody-else"] == os.listdir(place)
    shutil.rmtree(place)
    second.close()
    root.close()
    tree.close()


def test_removing_follows_no_link(tmp_path: Path) -> None:
    """Links in it are removed, and what they lead to stays."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x").write_text("x")
    (tmp_path / "tree/sub/deep").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/sub/deep/link").symlink_to(tmp_path / "outside/x")
    for number in range(50):
        (tmp_path / f"tree/sub/{number}").mkdir()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    remove_tree(descriptor, b"tree")
    (tmp_path / "link").symlink_to("outside")
    with pytest.raises(NotADirectoryError):
        remove_tree(descriptor, b"link")
    os.close(descriptor)

    assert {"outside", "link"} == set(os.listdir(tmp_path))
    assert ["x"] == os.listdir(tmp_path / "outside")
