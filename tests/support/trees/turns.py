"""A source of two states, with every kind of change on the way from one to the other, and back.

A sweep over a plan needs the same plan again and again: it turns the source from one state to the other and back, so
nothing has to be set up anew between two points, and what one crash left meets the next. Each way has more than twenty
paths: files made, overwritten, emptied, filled, edited in the middle and deleted, in batches and in frames; directories
made and deleted, nested; links made and aimed elsewhere; modes and mtimes; a file, a directory and a link each in place
of each other; a file and a directory renamed, two files exchanged, and a copy of content that the replica has.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, Seen, look

_OLD, _NEW = 1_500_000_000_000_000_001, 1_600_000_000_123_456_789
_LARGE = random_bytes(150_000, seed=1)
_EDITED = _LARGE[:70_000] + b"edited in the middle" + _LARGE[70_000:]
_SHARED = random_bytes(90_000, seed=2)


class Directory:
    """A directory by itself; other directories are those that something is in, with mode 0755."""

    def __init__(self, mode: int = 0o755) -> None:
        self.mode = mode


State = Mapping[str, File | Link | Directory]


def _file(content: str | bytes, *, mode: int = 0o644, mtime_ns: int = _OLD) -> File:
    return File(content.encode() if isinstance(content, str) else content, mode, mtime_ns)


_SAME: State = {
    **{f"steady/{number}": _file(f"steady {number}") for number in range(12)},
    "steady/shared": _file(_SHARED),
}

ONE: State = {
    **_SAME,
    "overwritten": _file("before"),
    "emptied": _file("something"),
    "filled": _file(""),
    "deleted": _file("going"),
    "nest-deleted/a/b": _file("going as well"),
    "link-aimed": Link("steady/1"),
    "link-deleted": Link("nowhere"),
    "file-directory": _file("a file"),
    "directory-file": Directory(),
    "file-link": _file("a file"),
    "link-file": Link("steady/1"),
    "directory-link/inside": _file("in the way"),
    "link-directory": Link("steady"),
    "mode": _file("executable", mode=0o755),
    "mtime": _file("touched"),
    "directory-mode": Directory(0o755),
    "large-edited": _file(_LARGE),
    "moved-file": _file(random_bytes(3000, seed=3)),
    "moved-directory/one": _file("first in it"),
    "moved-directory/below/two": _file("second in it"),
    "exchanged-left": _file("what was left"),
    "exchanged-right": _file("what was right"),
}

TWO: State = {
    **_SAME,
    "made": _file("new", mtime_ns=_NEW),
    "overwritten": _file("after", mtime_ns=_NEW),
    "emptied": _file("", mtime_ns=_NEW),
    "filled": _file("full", mtime_ns=_NEW),
    "nest-made/a/b/c": _file("deep", mtime_ns=_NEW),
    "nest-made/a/link": Link("b/c"),
    "link-aimed": Link("steady/2"),
    "link-made": Link("../outside"),
    "file-directory/inside": _file("in it", mtime_ns=_NEW),
    "directory-file": _file("a file now", mtime_ns=_NEW),
    "file-link": Link("steady/3"),
    "link-file": _file("a file now", mtime_ns=_NEW),
    "directory-link": Link("steady"),
    "link-directory": Directory(),
    "mode": _file("executable", mode=0o600),
    "mtime": _file("touched", mtime_ns=_NEW),
    "directory-mode": Directory(0o750),
    "large-edited": _file(_EDITED, mtime_ns=_NEW),
    "large-made": _file(random_bytes(1_200_000, seed=4), mtime_ns=_NEW),
    "copied": _file(_SHARED, mtime_ns=_NEW),
    "moved-file-there": _file(random_bytes(3000, seed=3)),
    "moved-directory-there/one": _file("first in it"),
    "moved-directory-there/below/two": _file("second in it"),
    "exchanged-left": _file("what was right"),
    "exchanged-right": _file("what was left"),
}

_MOVES = (
    ("moved-file", "moved-file-there"),
    ("moved-directory", "moved-directory-there"),
    ("exchanged-left", "exchanging"),
    ("exchanged-right", "exchanged-left"),
    ("exchanging", "exchanged-right"),
)


class Turning:
    """A source that is in one of the two states."""

    def __init__(self, root: Path) -> None:
        """The source starts in the first."""
        self.root = root
        self.state = ONE
        self._bring()

    def turn(self) -> None:
        """Change everything that differs, to the other state."""
        shutil.rmtree(self._gone, ignore_errors=True)
        forth = self.state is ONE
        for here, there in _MOVES:
            old, new = (here, there) if forth or "exchang" in here else (there, here)
            os.rename(self.root / old, self.root / new)
        self.state = TWO if forth else ONE
        self._bring()

    @property
    def _gone(self) -> Path:
        """Where what is removed stays until the next turn, so that nothing new gets an inode that was known."""
        return self.root.with_name("gone")

    def _bring(self) -> None:
        """Make the directory what the state says; what is so already is not touched."""
        above = {str(parent) for name in self.state for parent in Path(name).parents[:-1]}
        wanted: dict[str, File | Link | Directory] = {**dict.fromkeys(above, Directory()), **self.state}
        self._gone.mkdir()
        for name in sorted(look(self.root), reverse=True):
            what = wanted.get(name)
            if what is None or _differs(self.root / name, what):
                (self.root / name).rename(self._gone / name.replace("/", "%"))
        for name in sorted(wanted):
            _make(self.root / name, wanted[name])


def _differs(path: Path, what: File | Link | Directory) -> bool:
    """Whether something else has to be there, and not the same thing with other content."""
    if path.is_symlink():
        return not isinstance(what, Link) or os.readlink(path) != what.target
    return not isinstance(what, Directory if path.is_dir() else File)


def _make(path: Path, what: File | Link | Directory) -> None:
    match what:
        case Directory(mode=mode):
            path.mkdir(exist_ok=True)
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)
        case Link(target):
            if not path.is_symlink():
                path.symlink_to(target)
        case File(content, mode, mtime_ns):
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)
            if mtime_ns is not None and path.stat().st_mtime_ns != mtime_ns:
                os.utime(path, ns=(mtime_ns, mtime_ns))


def neither(replica: Mapping[str, Seen], old: Mapping[str, Seen], new: Mapping[str, Seen]) -> list[str]:
    """A line for each path of a replica that is neither as it was nor as it will be.

    What is at a path changes at once; mode and mtime by calls of their own, so each may be old or new by itself. A new
    directory is private until it has its mode.
    """
    return [
        f"{path}: {replica.get(path)}, but it was {old.get(path)} and will be {new.get(path)}"
        for path in sorted(replica.keys() | old.keys() | new.keys())
        if not _is_either(replica.get(path), old.get(path), new.get(path))
    ]


def _is_either(seen: Seen | None, old: Seen | None, new: Seen | None) -> bool:
    if seen is None:
        return old is None or new is None
    either = [state for state in (old, new) if state is not None and (state.kind, state.content) == seen[::3]]
    modes = {state.mode for state in (old, new) if state is not None and state.kind == seen.kind}
    times = {state.mtime_ns for state in (old, new) if state is not None and state.kind == seen.kind}
    private = seen.kind == "directory" and seen.mode == 0o700
    return bool(either) and (seen.mode in modes or private) and seen.mtime_ns in times
