"""What a path leads through is what the kernel goes through when it follows the path."""

import os
from pathlib import Path

from dirsync.fs.leading import leading_to


def names(path: Path | str, below: Path) -> list[str]:
    """Where the descriptors are, as far as they are below a directory."""
    found = [os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in leading_to(os.fsencode(path))]
    return [
        os.path.relpath(place, below) for place in found if Path(place).is_relative_to(below) and place != str(below)
    ]


def test_directories(tmp_path: Path) -> None:
    """Every directory above, from the top to the one that holds the name."""
    (tmp_path / "a/b/c").mkdir(parents=True)

    assert names(tmp_path / "a/b/c", tmp_path) == ["a", "a/b"]
    assert names(f"{tmp_path}/a//./b/../b/c", tmp_path) == ["a", "a/b", "a", "a/b"]


def test_links(tmp_path: Path) -> None:
    """A link is there itself, and then what it leads through, relative or absolute, link by link."""
    (tmp_path / "releases/2/site").mkdir(parents=True)
    (tmp_path / "current").symlink_to("next")
    (tmp_path / "next").symlink_to(tmp_path / "releases/2")

    expected = ["current", "next", "releases", "releases/2"]
    assert names(tmp_path / "current/site", tmp_path) == expected
    assert names(tmp_path / "current/site/f", tmp_path) == [*expected, "releases/2/site"]


def test_ends(tmp_path: Path) -> None:
    """It ends where the path leads nowhere, and a circle of links ends it, too; nothing stays open."""
    (tmp_path / "circle").symlink_to("circle")
    before = len(os.listdir("/proc/self/fd"))

    assert names(tmp_path / "nothing/at/all", tmp_path) == []
    assert set(names(tmp_path / "circle/x", tmp_path)) == {"circle"}
    assert len(os.listdir("/proc/self/fd")) == before
