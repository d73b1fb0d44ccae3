"""The paths that changed since a hook was last told, within bounds. Pure."""

from collections.abc import Iterable

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath


class ChangedPaths:
    """Each path once, in the order of its first change. What does not fit is dropped, and :attr:`truncated` says so."""

    def __init__(self, *, truncated: bool = False) -> None:
        """``truncated``: some paths are missing from the beginning."""
        self.truncated = truncated
        self._paths: dict[RelPath, None] = {}
        self._bytes = 0

    @property
    def paths(self) -> tuple[RelPath, ...]:
        """The paths."""
        return tuple(self._paths)

    def add(self, paths: Iterable[RelPath]) -> None:
        """Add paths as far as there is room."""
        for path in paths:
            if path in self._paths:
                continue
            if len(self._paths) >= LIMITS.max_hook_paths or self._bytes + len(path) > LIMITS.max_hook_path_bytes:
                self.truncated = True
                return
            self._paths[path] = None
            self._bytes += len(path)

    def take(self) -> "ChangedPaths":
        """What there is, and keep nothing of it."""
        taken = ChangedPaths(truncated=self.truncated)
        taken._paths, taken._bytes = self._paths, self._bytes
        self.clear()
        return taken

    def merge(self, later: "ChangedPaths") -> None:
        """Add those of ``later``, which came after these."""
        self.truncated |= later.truncated
        self.add(later.paths)

    def clear(self) -> None:
        """Forget everything."""
        self._paths, self._bytes, self.truncated = {}, 0, False
