"""Open directories below one, kept by their paths. Each is opened from the one above it, by a single name.

The least recently used is closed first, because siblings share a parent.
"""

import errno
import os
from collections import OrderedDict

from dirsync.fs.failure import PathFailure, Vanished, reading_failure, shown
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath, is_within

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags by which one component of a path is opened as a directory."""


class Descriptors:
    """The open directories below one, whose descriptor is the caller's. Not thread-safe."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._kept: OrderedDict[RelPath, int] = OrderedDict()

    def get(self, path: RelPath) -> int:
        """The descriptor of the directory at ``path``, which may be closed by the next call.

        Raises:
            PathFailure: :class:`~dirsync.fs.failure.Vanished` if there is no directory (any more), or Unreadable.
        """
        descriptor = self._kept.get(path)
        if descriptor is None:
            return self._walk(path)
        self._kept.move_to_end(path)
        return descriptor

    def forget(self, path: RelPath) -> None:
        """Close those of ``path`` and of everything below it."""
        for kept in [kept for kept in self._kept if is_within(kept, path)]:
            os.close(self._kept.pop(kept))

    def forget_all(self) -> None:
        """Close all."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def _walk(self, path: RelPath) -> int:
        at, descriptor = self._nearest(path)
        while at != path:
            end = path.find(b"/", len(at) + 1)
            below = RelPath(path if end < 0 else path[:end])
            name = below[len(at) + 1 :] if at else below
            try:
                descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=descriptor)
            except OSError as error:
                raise _directory_failure(below, error) from error
            self._keep(below, descriptor)
            at = below
        return descriptor

    def _nearest(self, path: RelPath) -> tuple[RelPath, int]:
        """The nearest directory above ``path`` that is open already."""
        end = path.rfind(b"/")
        while end > 0:
            above = RelPath(path[:end])
            if above in self._kept:
                self._kept.move_to_end(above)
                return above, self._kept[above]
            end = path.rfind(b"/", 0, end)
        return ROOT, self._top

    def _keep(self, path: RelPath, descriptor: int) -> None:
        self._kept[path] = descriptor
        if len(self._kept) > LIMITS.directory_descriptors:
            os.close(self._kept.popitem(last=False)[1])


def _directory_failure(path: RelPath, error: OSError) -> PathFailure:
    failure = reading_failure(path, "open the directory", error)
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return Vanished(path, f"{shown(path)} is no directory any more", code=error.errno)
    return failure
