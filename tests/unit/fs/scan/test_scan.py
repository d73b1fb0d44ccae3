"""What a scan puts into the tree, what it reports, and what it leaves alone."""

import os
from pathlib import Path

import pytest

from dirsync.fs.fingerprint import MOUNT, flags_of, with_flags
from dirsync.fs.root import Root
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.mount_change import accept_mounts
from dirsync.fs.scan.rules import ScanRules
from dirsync.fs.scan.walk import scan_steps
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.problem import ProblemKind
from dirsync.tree.tree import Tree
from tests.support.trees.scanning import Snapshot, scan_tree
from tests.unit.fs.places import as_nobody, let_settle, make, names, path_of, scanned

IGNORING = ScanRules(ignores=lambda path, is_directory: path.endswith(b".o") or (is_directory and path == b"build"))
KEEPING = ScanRules(ignores=IGNORING.ignores, keep_known_directories=True)


def rescan(root: Root, tree: Tree, rules: ScanRules = IGNORING) -> Snapshot:
    """Scan everything again."""
    return scan_tree(root, tree, rules)


def changed(root: Root, tree: Tree, rules: ScanRules, *starts: str, deep: bool = True) -> list[str]:
    """The paths that the steps name, in order."""
    steps = scan_steps(root, tree, rules, map(path_of, starts or ("",)), deep=deep)
    return [path.decode() for step in steps for path in step.changed]


def test_first_scan(tmp_path: Path) -> None:
    """Everything is found, at any depth, links as links."""
    make(tmp_path, "a=1 d/b=2 d/e/ l->d")
    with Root.open(tmp_path) as root:
        assert ["a", "d", "d/b", "d/e", "l"] == names(scanned(root))


def test_second_scan_says_what_changed(tmp_path: Path) -> None:
    """New, touched and vanished paths are named, and nothing else."""
    make(tmp_path, "a=1 b=2 d/c=3 d/g=4 l->a")
    let_settle()
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "b").unlink()
        (tmp_path / "d/g").write_text("5")
        make(tmp_path, "n/m=6")

        assert {"b", "d/g", "n", "n/m"} == set(changed(root, tree, ScanRules()))


def test_unchanged_scan_creates_nothing(tmp_path: Path) -> None:
    """Where nothing changed the records stay the same objects."""
    make(tmp_path, "d/l->x e/")
    os.utime(tmp_path / "d/l", ns=(0, 0), follow_symlinks=False)
    with Root.open(tmp_path) as root:
        tree = Tree()
        scan_tree(root, tree, now=lambda: 0)
        before = {path: id(record) for path, record in tree.walk()}
        scan_tree(root, tree, now=lambda: 0)

        assert before == {path: id(record) for path, record in tree.walk()}


@pytest.mark.case("E03")
def test_names_are_bytes(tmp_path: Path) -> None:
    """Names that are not UTF-8, and names with newlines, are exact."""
    odd = [b"\xff\xfe", b"a\nb", b"\xc3\xa9", b"e\xcc\x81"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).touch()
    with Root.open(tmp_path) as root:
        assert sorted(odd) == [name for name, _ in scanned(root).children()]


@pytest.mark.parametrize(
    "words, expected",
    [
        ("a.o a=1", ["a"]),
        ("build/x=1 a=1", ["a"]),
        ("d/a.o", []),
        ("d/e/f/a.o", []),
        ("d/e/a.o d/f/b.o", []),
        ("d/e/a.o d/b=1", ["d", "d/b"]),
        ("d/a.o d/e/", ["d", "d/e"]),
        ("d/", ["d"]),
        ("d/a.o d/p|", ["d"]),
        (".nfs0000000000abcdef00000001=1 d/.nfs0000000000abcdef00000002=1", []),
        (".nfsrc=1 .nfs0001=1 d/.nfs=1", [".nfs0001", ".nfsrc", "d", "d/.nfs"]),
        (".nfs0000000000abcdefg=1", [".nfs0000000000abcdefg"]),
        (".nfs0000000000abcdef00000001/x=1", [".nfs0000000000abcdef00000001", ".nfs0000000000abcdef00000001/x"]),
        ("lost+found/x=1 d/lost+found/x=1", ["d", "d/lost+found", "d/lost+found/x", "lost+found", "lost+found/x"]),
        ("d/build/x=1", ["d", "d/build", "d/build/x"]),
    ],
)
def test_left_out(tmp_path: Path, words: str, expected: list[str]) -> None:
    """Ignored paths are left out, and so is a directory that lives only through them; an empty one is not."""
    make(tmp_path, words)
    with Root.open(tmp_path) as root:
        assert expected == names(scanned(root, IGNORING))


def test_file_systems_own_is_counted(tmp_path: Path) -> None:
    """What the file system keeps for itself is left out of the tree and counted; what a rule names is not."""
    make(tmp_path, "d/.nfs0000000000abcdef00000001=1 d/a=1 d/b.o")
    with Root.open(tmp_path) as root:
        tree = scanned(root, IGNORING)
        found = {step.path: step.file_systems_own for step in scan_steps(root, tree, IGNORING)}

        assert {b"": 0, b"d": 1} == found
        assert ["d", "d/a"] == names(tree)


def test_renamed_to_a_name_of_nfs(tmp_path: Path) -> None:
    """A look finds a file that left under such a name gone, and counts the name."""
    name = ".nfs0000000000abcdef00000001"
    make(tmp_path, "a=1 b=1")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "a").rename(tmp_path / name)
        steps = list(look_at(root, tree, [path_of("a"), path_of(name)]))

        assert ["b"] == names(tree)
        assert 1 == sum(step.file_systems_own for step in steps)


def test_links_ignored(tmp_path: Path) -> None:
    """Without links, a directory of links is left out as one of ignored files."""
    make(tmp_path, "a=1 l->a d/l->a")
    with Root.open(tmp_path) as root:
        assert ["a"] == names(scanned(root, ScanRules(symlinks=False)))


@pytest.mark.parametrize("deep", [True, False])
def test_directory_loses_its_last_tracked_child(tmp_path: Path, deep: bool) -> None:
    """It is left out then, and so are the directories above it for which it was the last."""
    make(tmp_path, "d/e/f/a=1 d/e/f/a.o")
    with Root.open(tmp_path) as root:
        tree = scanned(root, IGNORING)
        (tmp_path / "d/e/f/a").unlink()
        named = changed(root, tree, IGNORING, "d/e/f", deep=deep)

        assert [] == names(tree)
        assert ["d/e/f/a", "d/e/f", "d/e", "d"] == named


def test_known_directory_is_kept(tmp_path: Path) -> None:
    """A replica keeps the directory that the source has; a new one that lives through ignored content is left out."""
    make(tmp_path, "d/a=1 d/a.o")
    with Root.open(tmp_path) as root:
        tree = scanned(root, KEEPING)
        (tmp_path / "d/a").unlink()
        make(tmp_path, "e/a.o")
        rescan(root, tree, KEEPING)

        assert ["d"] == names(tree)


def test_left_out_directory_comes_back(tmp_path: Path) -> None:
    """The first tracked child brings the directories above it in, also when only they are looked at."""
    make(tmp_path, "d/e/a.o")
    with Root.open(tmp_path) as root:
        tree = scanned(root, IGNORING)
        make(tmp_path, "d/e/b=1")
        list(look_at(root, tree, [path_of("d/e/b")], IGNORING))

        assert ["d", "d/e", "d/e/b"] == names(tree)


@pytest.mark.case("B07")
def test_unreadable_directory_keeps_what_was_known(tmp_path: Path) -> None:
    """A directory that cannot be listed is a problem; what the tree knew below it stays."""
    make(tmp_path, "d/a=1 d/e/b=2 c=3")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "d").chmod(0)
        with as_nobody(tmp_path):
            found = rescan(root, tree)

        assert ["c", "d", "d/a", "d/e", "d/e/b"] == names(tree)
        assert {path_of("d"): ProblemKind.UNREADABLE} == {path: p.kind for path, p in found.problems.items()}


@pytest.mark.privileged
def test_unreadable_entries_keep_what_was_known(tmp_path: Path) -> None:
    """Where names can be listed but not looked at, each is a problem and none is gone."""
    make(tmp_path, "d/a=1 d/e/b=2")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        make(tmp_path, "d/new=1")
        (tmp_path / "d").chmod(0o744)
        with as_nobody(tmp_path):
            found = rescan(root, tree)

        assert ["d", "d/a", "d/e", "d/e/b"] == names(tree)
        assert {"d/a", "d/e", "d/new"} == {path.decode() for path in found.problems}


@pytest.mark.case("D12")
def test_untracked_is_counted(tmp_path: Path) -> None:
    """A FIFO is counted, is no problem, and is not in the tree."""
    make(tmp_path, "p| d/p|")
    with Root.open(tmp_path) as root:
        tree = Tree()
        found = rescan(root, tree)

        assert (2, {}, ["d"]) == (found.untracked, found.problems, names(tree))


@pytest.mark.parametrize(
    "report, expected", [(False, set()), (True, {(path_of(".staging"), ProblemKind.RESERVED_NAME)})]
)
def test_reserved_names(tmp_path: Path, report: bool, expected: set[tuple[RelPath, ProblemKind]]) -> None:
    """The server's own name is never listed; in a source it is a problem. Only directly below the root."""
    make(tmp_path, ".staging/x=1 d/.staging/x=1")
    rules = ScanRules(reserved=frozenset({b".staging"}), report_reserved=report)
    with Root.open(tmp_path) as root:
        tree = Tree()
        found = rescan(root, tree, rules)

        assert ["d", "d/.staging", "d/.staging/x"] == names(tree)
        assert expected == {(problem.path, problem.kind) for problem in found.problems.values()}


def test_path_too_long(tmp_path: Path) -> None:
    """A path that no message could carry is a problem, and is not descended."""
    path = ROOT
    with Root.open(tmp_path) as root:
        while len(path) <= LIMITS.max_path_bytes:
            os.mkdir(b"d" * 255, dir_fd=root.directory(path))
            path = RelPath(path + b"/" * bool(path) + b"d" * 255)
        tree = Tree()
        found = rescan(root, tree)

        assert {ProblemKind.PATH_TOO_LONG} == {problem.kind for problem in found.problems.values()}
        assert len(tree) == LIMITS.max_path_bytes // 256
        while path:
            holder, name = root.parent(path)
            os.rmdir(name, dir_fd=holder)
            path = RelPath(path.rpartition(b"/")[0])


@pytest.mark.parametrize(
    "after", ["m/", "", "m=file", "m->elsewhere"], ids=["empty", "mount-point-gone", "file", "link"]
)
@pytest.mark.case("G10")
def test_lost_mount(tmp_path: Path, after: str) -> None:
    """A mount that went away is reported at each look until it is accepted, and its directory stays until then."""
    base = make(tmp_path / "source", "m/a=1 m/d/b=2 c=3")
    with Root.open(base) as root:
        tree = scanned(root)
        record = tree.record(path_of("m"))
        assert record is not None
        tree.put(path_of("m"), with_flags(record, MOUNT))
        (base / "m").rename(tmp_path / "unmounted")
        make(base, after)
        reports = [rescan(root, tree).mounts_changed for _ in range(2)]
        reports += [set(step.mounts_changed) for step in scan_steps(root, tree, starts=[path_of("m")], deep=False)]
        known = names(tree)
        accept_mounts(tree, [path_of("m")])
        accepted = rescan(root, tree)

        assert [{path_of("m")}] * 3 == reports
        assert ["c", "m"] == known
        assert set() == accepted.mounts_changed
        assert sorted({"c", after.rstrip("/")[:1]} - {""}) == names(tree)
        assert all(not flags_of(record) & MOUNT for _, record in tree.walk())


def test_steps_are_parents_first(tmp_path: Path) -> None:
    """One step for each directory, a parent's before its children's."""
    make(tmp_path, "a/b/c/x=1 d/y=1")
    with Root.open(tmp_path) as root:
        paths = [step.path.decode() for step in scan_steps(root, Tree())]

        assert len(paths) == len(set(paths)) == 5
        assert all(path.rpartition("/")[0] in paths[:at] for at, path in enumerate(paths) if path)


def test_shallow_scan_stays_shallow(tmp_path: Path) -> None:
    """Only the named directories are looked at, what is new, and what was added to or removed from.

    A directory that has changed may be another one that was made since, with the number of the one that was there.
    """
    make(tmp_path, "a/b/c/x=1 a/b/x=1 a/d/x=1 a/y=1")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "a/d/x").write_text("another size")
        make(tmp_path, "a/b/added=1 a/b/c/x=12 a/new/deep/found=1")

        named = changed(root, tree, ScanRules(), "a", deep=False)

        assert ["a/b", "a/b/added", "a/new", "a/new/deep", "a/new/deep/found"] == sorted(named)
        assert [1, 1] == [entry.size for path in ("a/d/x", "a/b/c/x") if (entry := tree.get(path_of(path)))]


def test_start_that_is_not_known(tmp_path: Path) -> None:
    """A start that the tree does not have is found from the nearest directory above it."""
    make(tmp_path, "a/")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        make(tmp_path, "a/b/c/x=1")
        changed(root, tree, ScanRules(), "a/b/c", deep=False)

        assert ["a", "a/b", "a/b/c", "a/b/c/x"] == names(tree)


@pytest.mark.case("D17")
def test_deep_tree(tmp_path: Path) -> None:
    """Two thousand levels are scanned without recursion."""
    path = ROOT
    with Root.open(tmp_path) as root:
        for _ in range(2000):
            os.mkdir(b"d", dir_fd=root.directory(path))
            path = RelPath(path + b"/d" if path else b"d")

        assert 2000 == len(scanned(root))
        while path:
            holder, name = root.parent(path)
            os.rmdir(name, dir_fd=holder)
            path = RelPath(path.rpartition(b"/")[0])


def test_directory_replaced_by_another(tmp_path: Path) -> None:
    """A directory that was moved into the place of another is looked through, though only its parent was named."""
    make(tmp_path, "a/x=1 b/y=1")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "a").rename(tmp_path / "c")
        (tmp_path / "b").rename(tmp_path / "a")
        changed(root, tree, ScanRules(), "", deep=False)

        assert ["a", "a/y", "c", "c/x"] == names(tree)


@pytest.mark.parametrize(
    "touch, expected",
    [
        ("d/new=1", ["d/new"]),
        ("d/sub/x=1", ["d/sub", "d/sub/x"]),
        ("d/p|", []),
        ("d/x.o", []),
        ("build/x=1", []),
    ],
)
def test_look_at(tmp_path: Path, touch: str, expected: list[str]) -> None:
    """A look at the top of what appeared finds all of it."""
    make(tmp_path, "d/a=1")
    with Root.open(tmp_path) as root:
        tree = scanned(root, IGNORING)
        before = set(names(tree))
        make(tmp_path, touch)
        top = touch.rstrip("|").split("=")[0]
        path = path_of("/".join(top.split("/")[:2]))
        list(look_at(root, tree, [path], IGNORING))

        assert set(expected) == set(names(tree)) - before


def test_look_at_lists_nothing_it_need_not(tmp_path: Path) -> None:
    """One changed file in a directory is one step, with that path as its own."""
    make(tmp_path, "d/a=1 d/b=2")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "d/a").write_text("changed")
        make(tmp_path, "d/unnoticed=1")
        steps = list(look_at(root, tree, [path_of("d/a")]))

        assert [(path_of("d/a"), [path_of("d/a")])] == [(step.path, step.changed) for step in steps]
        assert path_of("d/unnoticed") not in tree
