"""Where a root is, as its peer is told."""

import os
from pathlib import Path

from dirsync.fs.locate import locate
from dirsync.fs.root import Root
from tests.unit.fs.places import as_nobody, make, owned_by_nobody


def test_unreadable_root(tmp_path: Path) -> None:
    """A root that may not be read any more is still known by itself."""
    base = owned_by_nobody(make(tmp_path, "r/"))
    with Root.open(base / "r") as root:
        known = locate(root).directories[:1]
        with as_nobody(base):
            os.fchmod(root.descriptor, 0)
            found = locate(root).directories
            os.fchmod(root.descriptor, 0o755)

    assert known == found
