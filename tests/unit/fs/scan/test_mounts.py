"""What a mount over a directory of the tree means, and what it hides."""

import subprocess
from pathlib import Path

import pytest

from dirsync.fs.fingerprint import MOUNT, MOUNT_CHANGED, RACY
from dirsync.fs.root import Root
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.mount_change import accept_mounts, mount_flags
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from tests.support.faults.privileges import bind_mount, tmpfs
from tests.unit.fs.places import make, names, path_of, scanned

BOTH = MOUNT | MOUNT_CHANGED


@pytest.mark.case("G10")
@pytest.mark.parametrize(
    "known, mounted, same, has_content, expected",
    [
        pytest.param(0, False, True, True, 0, id="no-mount"),
        pytest.param(0, False, False, True, 0, id="another-directory"),
        pytest.param(0, True, False, True, BOTH, id="mounted-over"),
        pytest.param(0, True, False, False, MOUNT, id="mounted-over-an-empty-one"),
        pytest.param(MOUNT, True, True, True, MOUNT, id="stays-mounted"),
        pytest.param(MOUNT, True, False, True, BOTH, id="another-one-mounted"),
        pytest.param(MOUNT, True, False, False, MOUNT, id="another-one-that-hides-nothing"),
        pytest.param(MOUNT, False, False, True, MOUNT_CHANGED, id="unmounted"),
        pytest.param(MOUNT, False, False, False, 0, id="unmounted-and-was-empty"),
        pytest.param(MOUNT_CHANGED, False, True, False, MOUNT_CHANGED, id="not-accepted"),
        pytest.param(BOTH, True, True, False, BOTH, id="mounted-and-not-accepted"),
        pytest.param(RACY, False, True, True, 0, id="other-flags-do-not-count"),
    ],
)
def test_flags(known: int, expected: int, *, mounted: bool, same: bool, has_content: bool) -> None:
    """A mark is set where something may be hidden or gone, and stays until it is accepted."""
    assert expected == mount_flags(known, mounted=mounted, same=same, has_content=has_content)


def changed_mounts(root: Root, tree: Tree) -> set[RelPath]:
    """What a whole scan reports."""
    return {path for step in scan_steps(root, tree) for path in step.mounts_changed}


@pytest.mark.needs("privileged")
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_mounted_over(tmp_path: Path, kind: str) -> None:
    """A mount over a directory is reported until it is accepted; so is its end, and then all is as it was."""
    base, other = make(tmp_path / "source", "m/a=1 m/d/b=2 c=3"), make(tmp_path / "other", "a=9")
    with Root.open(base) as root:
        tree = scanned(root)
        with tmpfs(base / "m") if kind == "tmpfs" else bind_mount(other, base / "m"):
            reports = [changed_mounts(root, tree) for _ in range(2)]
            hidden = names(tree)
        reports.append(changed_mounts(root, tree))
        back = names(tree)
        accept_mounts(tree, [path_of("m")])

        assert [{path_of("m")}] * 3 == reports
        assert (["c", "m"] if kind == "tmpfs" else ["c", "m", "m/a"]) == hidden
        assert ["c", "m", "m/a", "m/d", "m/d/b"] == back
        assert set() == changed_mounts(root, tree)


@pytest.mark.needs("privileged")
@pytest.mark.parametrize("way", ["look", "directory"])
def test_found_by_a_hint(tmp_path: Path, way: str) -> None:
    """A look at a path that a mount hides finds the mount before it finds the path gone."""
    base = make(tmp_path / "source", "n/m/a=1 n/m/d/b=2 c=3")
    with Root.open(base) as root:
        tree = scanned(root)
        with tmpfs(base / "n/m"):
            if way == "look":
                steps = list(look_at(root, tree, [path_of("n/m/a")]))
            else:
                steps = list(scan_steps(root, tree, starts=[path_of("n/m/d")], deep=False))

            assert path_of("n/m") in steps[0].mounts_changed


@pytest.mark.needs("privileged")
def test_another_one(tmp_path: Path) -> None:
    """What a file system had waits when another one is mounted in its place."""
    base = make(tmp_path / "source", "m/ c=3")
    with Root.open(base) as root:
        with tmpfs(base / "m"):
            make(base, "m/a=1")
            tree = scanned(root)
        with tmpfs(base / "m"):
            assert {path_of("m")} == changed_mounts(root, tree)


@pytest.mark.needs("privileged")
def test_keeps_none_busy(tmp_path: Path) -> None:
    """After a scan and a look, nothing is open that would keep a file system from being unmounted."""
    base = make(tmp_path / "source", "m/ c=3")
    with tmpfs(base / "m"), Root.open(base) as root:
        make(base, "m/d/e/a=1")
        tree = scanned(root)
        make(base, "m/d/e/a=2")
        list(look_at(root, tree, [path_of("m/d/e/a"), path_of("m/d")]))

        assert 0 == subprocess.run(("umount", base / "m"), check=False, timeout=30).returncode
