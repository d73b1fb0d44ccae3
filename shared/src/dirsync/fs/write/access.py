"""Directories of ours that we made unwritable.

A source may hold directories without write permission (a module cache, mode 0555), and the replica gets the same mode;
yet what is in them has to be kept up to date. The owner of a directory may change its mode, so an act that is refused
there is repeated with the owner's bits lent to the directories on the way, and the modes are put back after it.

Only directories that belong to us, never the root itself: its mode belongs to the user who mounted it. A crash in
between leaves owner bits that the next scan finds different and the next cycle puts right.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.failure import PathFailure
from dirsync.fs.root import OPEN_FILE, Root
from dirsync.tree.path import ROOT, RelPath, ancestors

_OWNER: int = stat.S_IRWXU
_LOOK: int = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def is_denied(error: OSError | PathFailure) -> bool:
    """Whether permission bits, which an owner could change, are in the way."""
    return error.errno == errno.EACCES


@contextlib.contextmanager
def owner_access(root: Root, path: RelPath) -> Iterator[None]:
    """Add the owner's permission bits to our own directories above ``path`` for the time of a ``with`` block.

    Raises:
        PathFailure: the mode of one of them cannot be changed.
    """
    with _owner_access(root, [above for above in ancestors(path) if above != ROOT]):
        yield


@contextlib.contextmanager
def owner_access_down_to(root: Root, path: RelPath) -> Iterator[None]:
    """As :func:`owner_access`, the directory at ``path`` included.

    Raises:
        PathFailure: as :func:`owner_access`.
    """
    with _owner_access(root, [above for above in (path, *ancestors(path)) if above != ROOT]):
        yield


@contextlib.contextmanager
def _owner_access(root: Root, upwards: list[RelPath]) -> Iterator[None]:
    changed: list[tuple[RelPath, int]] = []
    try:
        for above in reversed(upwards):
            status = root.lstat(above)
            if status is None or not stat.S_ISDIR(status.st_mode):
                break
            if not _lacks_owner_access(status):
                continue
            set_mode(root, above, stat.S_IMODE(status.st_mode) | _OWNER)
            changed.append((above, stat.S_IMODE(status.st_mode)))
        yield
    finally:
        for above, mode in reversed(changed):
            with contextlib.suppress(OSError, PathFailure):
                set_mode(root, above, mode)


@contextlib.contextmanager
def owner_access_itself(root: Root, path: RelPath) -> Iterator[None]:
    """While this lasts, we may change our own directory at ``path``, wherever it is moved meanwhile.

    A directory that gets another parent needs that, because its ``..`` changes. If no directory is there, nothing is.

    Raises:
        PathFailure: it cannot be determined what is there.
        OSError: it cannot be opened up.
    """
    status = root.lstat(path)
    if status is None or not stat.S_ISDIR(status.st_mode) or not _lacks_owner_access(status):
        yield
        return
    mode = stat.S_IMODE(status.st_mode)
    set_mode(root, path, mode | _OWNER)
    parent, name = root.parent(path)
    descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)
        os.close(descriptor)


def set_mode(root: Root, path: RelPath, mode: int) -> None:
    """Set the mode of the file or directory at ``path``; a link is refused, never followed.

    Raises:
        OSError: as chmod(2).
        PathFailure: the directory above cannot be opened.
    """
    set_mode_at(*root.parent(path), mode)


def set_mode_at(parent: int, name: bytes, mode: int) -> None:
    """As :func:`set_mode`, of a name in an open directory.

    Raises:
        OSError: as chmod(2).
    """
    if not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
        return
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=parent)
    except PermissionError:
        _set_mode_unopened(parent, name, mode)
        return
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _lacks_owner_access(status: os.stat_result) -> bool:
    """Whether a directory belongs to us and lacks bits that we could add."""
    return status.st_mode & _OWNER != _OWNER and status.st_uid == os.geteuid()


def _set_mode_unopened(parent: int, name: bytes, mode: int) -> None:
    """Set the mode of what its owner may not open, through ``/proc`` and a descriptor that only names it."""
    descriptor = os.open(name, _LOOK, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)
