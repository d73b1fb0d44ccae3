"""What can be opened, without a wait for anything."""

import os
from pathlib import Path

from dirsync.fs.read.openable import is_openable
from dirsync.fs.root import Root
from dirsync.tree.path import RelPath


def test_kinds(tmp_path: Path) -> None:
    """Files, directories, what is neither, and what is gone."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("content")
    os.mkfifo(tmp_path / "fifo")
    with Root.open(tmp_path) as root:
        found = {name: is_openable(root, RelPath(name)) for name in (b"d", b"d/f", b"fifo", b"gone", b"d/f/below")}

    assert dict.fromkeys((b"d", b"d/f", b"fifo", b"gone"), True) == {
        k: v for k, v in found.items() if k != b"d/f/below"
    }
