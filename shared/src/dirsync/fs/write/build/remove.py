"""Removing a directory of ours with everything in it."""

import contextlib
import os

from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.write.access import set_mode_at

_OWNER = 0o700


def remove_tree(parent: int, name: bytes) -> None:
    """Remove the directory ``name`` in an open directory, and what is in it; links are removed, never followed.

    Raises:
        OSError: something could not be removed; the rest may be gone.
    """
    stack = [_Level(_open(parent, name), name)]
    try:
        while stack:
            level = stack[-1]
            if level.left is None:
                level.left = _clear(level.descriptor)
            if level.left:
                below = level.left.pop()
                stack.append(_Level(_open(level.descriptor, below), below))
                continue
            stack.pop()
            os.close(level.descriptor)
            os.rmdir(level.name, dir_fd=stack[-1].descriptor if stack else parent)
    finally:
        for level in stack:
            os.close(level.descriptor)


class _Level:
    """A directory that is being emptied."""

    __slots__ = ("descriptor", "left", "name")

    def __init__(self, descriptor: int, name: bytes) -> None:
        self.descriptor = descriptor
        self.name = name
        self.left: list[bytes] | None = None
        """The directories in it that are still there; ``None``: it was not listed yet."""


def _clear(directory: int) -> list[bytes]:
    """Remove what is no directory; returns the names of the others."""
    with os.scandir(directory) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in found if is_directory]


def _open(parent: int, name: bytes) -> int:
    """Open a directory, and let its owner change it."""
    with contextlib.suppress(PermissionError):
        directory = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        os.fchmod(directory, _OWNER)
        return directory
    set_mode_at(parent, name, _OWNER)
    return os.open(name, OPEN_DIRECTORY, dir_fd=parent)
