"""Directories on disk: built from a readable description, and compared by what DESIGN calls equal.

    build(root, {"docs/a.txt": "text", "empty/": None, "link": Link("docs/a.txt"), "run": File(b"#!", mode=0o755)})

A name that ends in ``/`` is a directory; parents are made. Names that are not UTF-8 are written with surrogate escapes.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """A regular file."""

    content: bytes = b""
    mode: int = 0o644
    mtime_ns: int | None = None


class Link(NamedTuple):
    """A symbolic link."""

    target: str


Spec = Mapping[str, str | bytes | File | Link | None]


class Seen(NamedTuple):
    """What is at a path, as far as equality goes."""

    kind: str
    mode: int
    mtime_ns: int
    """Of regular files; 0 otherwise."""
    content: str
    """Digest of a file, target of a link."""


def build(root: Path, spec: Spec) -> None:
    """Make what the description says, on top of what is there."""
    for name, what in spec.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Link):
            path.symlink_to(what.target)
            continue
        file = what if isinstance(what, File) else File(what.encode() if isinstance(what, str) else what or b"")
        path.write_bytes(file.content)
        path.chmod(file.mode)
        if file.mtime_ns is not None:
            os.utime(path, ns=(file.mtime_ns, file.mtime_ns))


def look(root: Path) -> dict[str, Seen]:
    """Everything below a root by its relative path."""
    found: dict[str, Seen] = {}
    for parent, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, root)] = _see(path)
    return found


def differences(left: Path, right: Path) -> list[str]:
    """A line for each path at which two directories are not equal; none when they are."""
    ours, theirs = look(left), look(right)
    return [
        f"{path}: {ours.get(path)} and {theirs.get(path)}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]


def equal(left: Path, right: Path) -> bool:
    """Whether two directories are equal right now; one that changes meanwhile is not."""
    try:
        return not differences(left, right)
    except OSError:
        return False


def _see(path: str) -> Seen:
    status = os.lstat(path)
    mode = status.st_mode & 0o777
    if stat.S_ISDIR(status.st_mode):
        return Seen("directory", mode, 0, "")
    if stat.S_ISLNK(status.st_mode):
        return Seen("link", 0, 0, os.readlink(path))
    if not stat.S_ISREG(status.st_mode):
        return Seen("other", 0, 0, "")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Seen("file", mode, status.st_mtime_ns, digest)
