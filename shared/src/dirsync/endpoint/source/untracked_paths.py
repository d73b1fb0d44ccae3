"""What of the source is not mirrored and not ignored, and is counted so that nobody has to wonder."""

from collections.abc import Iterable
from heapq import nsmallest
from typing import NamedTuple

from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, is_within, split
from dirsync.tree.untracked import Untracked


class _InDirectory(NamedTuple):
    """What one directory holds that is untracked."""

    paths: int
    named: tuple[Untracked, ...]


class UntrackedPaths:
    """What each directory holds that is untracked, as of its last listing."""

    def __init__(self) -> None:
        self._found: dict[RelPath, _InDirectory] = {}

    @property
    def count(self) -> int:
        """How many paths are left alone, and are not ignored."""
        return sum(left.paths for left in self._found.values())

    @property
    def named(self) -> tuple[Untracked, ...]:
        """The first of them."""
        named = (found for left in self._found.values() for found in left.named)
        return tuple(nsmallest(LIMITS.untracked_shown, named))

    def directories_of(self, paths: Iterable[RelPath]) -> list[RelPath]:
        """The directories in which one of these paths was untracked."""
        found: dict[RelPath, None] = {}
        for path in paths:
            above = split(path)[0]
            left = self._found.get(above) if path else None
            if left is not None and any(path == untracked.path for untracked in left.named):
                found[above] = None
        return list(found)

    def note(self, step: DirectoryScan) -> None:
        """A directory was listed."""
        if step.named:
            self._found[step.path] = _InDirectory(step.untracked + step.file_systems_own, tuple(step.named))
        else:
            self._found.pop(step.path, None)

    def forget(self, path: RelPath) -> None:
        """Nothing is at ``path`` any more."""
        for gone in [at for at in self._found if is_within(at, path)]:
            del self._found[gone]
