"""The paths that changed since somebody was last told, within bounds. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.limits import LIMITS, Limits
from dirsync.tree.path import RelPath


class Dirty(NamedTuple):
    """What may be different."""

    paths: tuple[RelPath, ...] = ()
    """Each once, in the order of its first change."""
    everything: bool = False
    """More than that, or it is unknown what; then there are no paths."""


class DirtyPaths:
    """Each path once. Of more than there is room for it is only known that everything may be different."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        """Nothing changed."""
        self._limits = limits
        self._paths: dict[RelPath, None] = {}
        self._bytes = 0
        self._everything = False
        self._noted = False

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return self._noted

    def add(self, paths: Iterable[RelPath]) -> None:
        """These changed."""
        for path in paths:
            self._noted = True
            if self._everything or path in self._paths or not path:
                continue
            self._bytes += len(path)
            full = len(self._paths) >= self._limits.max_reported_changes
            if full or self._bytes > self._limits.max_reported_bytes:
                self.lose()
                return
            self._paths[path] = None

    def lose(self) -> None:
        """Anything may have changed."""
        self._forget()
        self._noted = self._everything = True

    def note(self) -> None:
        """Only the sums of the tree changed, by what its reader knows."""
        self._noted = True

    def take(self) -> Dirty:
        """What there is, and keep nothing of it."""
        taken = Dirty(tuple(self._paths), self._everything)
        self._forget()
        self._noted = self._everything = False
        return taken

    def _forget(self) -> None:
        self._paths, self._bytes = {}, 0
