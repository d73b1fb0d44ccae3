"""Names on disk that a tree does not have."""

from pathlib import Path

import pytest

from dirsync.fs.failure import Vanished
from dirsync.fs.names import untracked_paths
from dirsync.fs.root import Root
from tests.unit.fs.places import make, path_of, scanned


def found(base: Path, root: Root, path: str, more: str = "") -> list[str]:
    """The untracked paths below a path, after more was made."""
    tree = scanned(root)
    make(base, more)
    return sorted(name.decode() for name in untracked_paths(root, tree, path_of(path)))


@pytest.mark.parametrize(
    "more, expected",
    [
        ("", []),
        ("d/x=1", ["d/x"]),
        ("d/sub/deep/x=1 d/p|", ["d/p", "d/sub/deep"]),
        ("d/sub/l->nowhere elsewhere=1", ["d/sub/l"]),
    ],
    ids=["none", "file", "deep", "link"],
)
def test_untracked_paths(tmp_path: Path, more: str, expected: list[str]) -> None:
    """Whatever they are, at any depth; of a directory only its own name, and none from elsewhere."""
    make(tmp_path, "d/a=1 d/sub/b=2 d/empty/ other=3")
    with Root.open(tmp_path) as root:
        assert expected == found(tmp_path, root, "d", more)


@pytest.mark.parametrize("path", ["file", "nothing"])
def test_no_directory(tmp_path: Path, path: str) -> None:
    """What the tree does not have as a directory has nothing below it."""
    make(tmp_path, "file=1")
    with Root.open(tmp_path) as root:
        assert [] == found(tmp_path, root, path)


def test_directory_became_a_link(tmp_path: Path) -> None:
    """A link in the place of a directory is not followed."""
    make(tmp_path, "d/sub/a=1 elsewhere/b=2")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "d/sub").rename(tmp_path / "gone")
        (tmp_path / "d/sub").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Vanished, match="d/sub is no directory any more"):
            list(untracked_paths(root, tree, path_of("d")))
