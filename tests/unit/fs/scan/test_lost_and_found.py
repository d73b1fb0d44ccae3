"""The directory lost+found: which one belongs to the file system."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs.root import Root
from dirsync.fs.scan.rules import has_lost_and_found
from tests.unit.fs.places import names, scanned


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """The top of a file system."""
    place = tmp_path / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "dirsync-test", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.needs("privileged")
@pytest.mark.privileged
@pytest.mark.parametrize("owner, expected", [(0, []), (1000, ["lost+found", "lost+found/x"])])
def test_at_the_top(mounted: Path, owner: int, expected: list[str]) -> None:
    """That of root is left out; one that somebody else owns is theirs."""
    (mounted / "lost+found").mkdir()
    (mounted / "lost+found/x").touch()
    os.chown(mounted / "lost+found", owner, owner)
    with Root.open(mounted) as root:
        assert (not expected, expected) == (has_lost_and_found(root), names(scanned(root)))


@pytest.mark.needs("privileged")
@pytest.mark.privileged
def test_below_the_top(mounted: Path) -> None:
    """In a directory that is not the top of its file system it is anybody's, whoever owns it."""
    place = mounted / "below"
    (place / "lost+found").mkdir(parents=True)
    os.chown(place / "lost+found", 0, 0)
    with Root.open(place) as root:
        assert (False, ["lost+found"]) == (has_lost_and_found(root), names(scanned(root)))
