"""Edits to draw for a directory on disk, and the hands that make them.

Any edit fits any directory: what is in the way of its parents is replaced, and an edit of something that is not there
does nothing. So a list of them is a tree, and a further list is what became of it. File times are drawn too.
"""

import os
import random
import shutil
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol

from hypothesis import strategies as st

from tests.property.strategies import NAMES

BATCHED = 64 * 1024
"""Larger files do not travel in batches: both sides of that border are drawn."""
_SECOND = 10**9

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(b"/".join)
# Only root can edit a directory that it may not search.
modes = st.sampled_from((0o644, 0o600, 0o755, 0o000, 0o444) if os.geteuid() == 0 else (0o700, 0o711, 0o755, 0o777))
times = st.sampled_from((0, 1, -1, 1_600_000_000 * _SECOND + 999_999_999, 2**32 * _SECOND))
targets = st.sampled_from((b"a", b"../b", b"/", b"\xff", b"dangling"))
contents = st.tuples(st.integers(0, 3), st.sampled_from((0, 1, 2, 4096, BATCHED - 1, BATCHED, BATCHED + 1, 700_000)))
"""Seeds and sizes: few seeds, so that contents of equal size meet and contents are met again elsewhere."""


class Write(NamedTuple):
    """Make a file, in place or by renaming another over it."""

    path: bytes
    content: tuple[int, int]
    mode: int
    mtime_ns: int
    in_place: bool

    def __call__(self, top: bytes) -> None:
        """Do it."""
        full = _clear(top, self.path, keep_file=self.in_place)
        name = full if self.in_place else _beside(full)
        with open(name, "wb") as file:
            file.write(content_of(self.content))
            os.fchmod(file.fileno(), self.mode)
        os.utime(name, ns=(0, self.mtime_ns))
        os.replace(name, full)


class MakeDirectory(NamedTuple):
    """Make a directory, or set another mode."""

    path: bytes
    mode: int

    def __call__(self, top: bytes) -> None:
        """Do it."""
        full = os.path.join(top, self.path)
        if not os.path.isdir(full) or os.path.islink(full):
            full = _clear(top, self.path)
            os.mkdir(full)
        os.chmod(full, self.mode)


class Link(NamedTuple):
    """Make a symbolic link."""

    path: bytes
    target: bytes

    def __call__(self, top: bytes) -> None:
        """Do it."""
        os.symlink(self.target, _clear(top, self.path))


class Remove(NamedTuple):
    """Remove whatever is there."""

    path: bytes

    def __call__(self, top: bytes) -> None:
        """Do it."""
        _remove(os.path.join(top, self.path))


class Move(NamedTuple):
    """Rename whatever is there."""

    path: bytes
    to: bytes

    def __call__(self, top: bytes) -> None:
        """Do it."""
        old = os.path.join(top, self.path)
        if not os.path.lexists(old) or _overlap(self.path, self.to):
            return
        new = _clear(top, self.to)
        with suppress(FileNotFoundError, NotADirectoryError):  # what was in the way held it
            os.rename(old, new)


class Exchange(NamedTuple):
    """Have two things change places."""

    path: bytes
    other: bytes

    def __call__(self, top: bytes) -> None:
        """Do it."""
        one, other = os.path.join(top, self.path), os.path.join(top, self.other)
        if os.path.lexists(one) and os.path.lexists(other) and not _overlap(self.path, self.other):
            aside = _beside(one)
            os.rename(one, aside)
            os.rename(other, one)
            os.rename(aside, other)


class Touch(NamedTuple):
    """Set another mode and time of a file, and leave its content."""

    path: bytes
    mode: int
    mtime_ns: int

    def __call__(self, top: bytes) -> None:
        """Do it."""
        full = os.path.join(top, self.path)
        if os.path.isfile(full) and not os.path.islink(full):
            os.chmod(full, self.mode)
            os.utime(full, ns=(0, self.mtime_ns))


class Share(NamedTuple):
    """Make a hard link to a file."""

    path: bytes
    to: bytes

    def __call__(self, top: bytes) -> None:
        """Do it."""
        old = os.path.join(top, self.path)
        if os.path.isfile(old) and not os.path.islink(old) and not _overlap(self.path, self.to):
            new = _clear(top, self.to)
            with suppress(FileNotFoundError, NotADirectoryError):
                os.link(old, new)


class Edit(Protocol):
    """Something that is done to a directory."""

    def __call__(self, top: bytes) -> None:
        """Do it."""


writes = st.builds(Write, paths, contents, modes, times, st.booleans())
edits: st.SearchStrategy[Edit] = st.one_of(
    writes,
    writes,
    st.builds(MakeDirectory, paths, modes),
    st.builds(Link, paths, targets),
    st.builds(Remove, paths),
    st.builds(Move, paths, paths),
    st.builds(Exchange, paths, paths),
    st.builds(Touch, paths, modes, times),
    st.builds(Share, paths, paths),
)

renames: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Move, paths, paths),
    st.builds(Move, paths, paths),
    st.builds(Exchange, paths, paths),
    st.builds(Share, paths, paths),
    st.builds(Remove, paths),
    st.builds(MakeDirectory, paths, modes),
)
"""Edits after which no content is there that was not there before."""


def perform(top: bytes, wanted: Iterable[Edit]) -> None:
    """Make these edits below ``top``."""
    for edit in wanted:
        edit(top)


def content_of(content: tuple[int, int]) -> bytes:
    """The bytes that a seed and a size stand for."""
    seed, size = content
    return bytes(size) if seed == 0 else random.Random(seed).randbytes(size)


def empty(top: bytes) -> None:
    """Remove everything below ``top``."""
    for name in os.listdir(top):
        _remove(os.path.join(top, name))


def _clear(top: bytes, path: bytes, *, keep_file: bool = False) -> bytes:
    """Prepare ``path`` for a new entry, with directories above it. Returns the full path."""
    above, full = top, os.path.join(top, path)
    for name in path.split(b"/")[:-1]:
        above = os.path.join(above, name)
        if os.path.islink(above) or not os.path.isdir(above):
            _remove(above)
            os.mkdir(above)
    if not (keep_file and os.path.isfile(full) and not os.path.islink(full)):
        _remove(full)
    return full


def _remove(full: bytes) -> None:
    if os.path.isdir(full) and not os.path.islink(full):
        shutil.rmtree(full)
        return
    with suppress(OSError):  # nothing is there, or only a circle of links leads there
        os.unlink(full)


def _beside(full: bytes) -> bytes:
    return full + b".new"


def _overlap(one: bytes, other: bytes) -> bool:
    return (one + b"/").startswith(other + b"/") or (other + b"/").startswith(one + b"/")
