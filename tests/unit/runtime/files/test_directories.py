"""Directories that settings name."""

import os
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.runtime.files.directories import lies_within, prepare_state_directory


def test_made_when_missing(tmp_path: Path) -> None:
    """A state directory that is missing is made, for its owner only."""
    path = prepare_state_directory(tmp_path / "a" / "b", "STATE_DIR")

    assert tmp_path / "a" / "b" == path
    assert 0o700 == path.stat().st_mode & 0o777
    assert [] == os.listdir(path)


def test_unusable(tmp_path: Path) -> None:
    """What is no directory is one line with the setting, the path and the user id."""
    (tmp_path / "file\n").touch()

    with pytest.raises(UsageError) as caught:
        prepare_state_directory(tmp_path / "file\n", "DIRSYNC_CLIENT_STATE_DIR")

    assert str(caught.value).startswith(f"DIRSYNC_CLIENT_STATE_DIR={tmp_path}/file\\x0a: ")
    assert f"uid {os.geteuid()}" in str(caught.value)


def test_read_only(tmp_path: Path) -> None:
    """A directory that cannot be written to is found out before it is needed."""
    if os.geteuid() == 0:
        target = Path("/proc/self")
    else:
        tmp_path.chmod(0o500)
        target = tmp_path

    with pytest.raises(UsageError, match="cannot be written"):
        prepare_state_directory(target, "STATE_DIR")


def test_links_are_resolved(tmp_path: Path) -> None:
    """A link into a directory lies within it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")

    assert lies_within(tmp_path / "b" / "missing", tmp_path / "a")
    assert not lies_within(tmp_path / "a", tmp_path / "a" / "x")
