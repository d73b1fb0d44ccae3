"""Putting something staged in place of what has the name now, whatever its kind.

A file or link replaces a file or link by one rename. Between a directory and anything else rename(2) refuses: then the
two are exchanged, and the old one is removed in the staging directory. A directory must be empty for that: what it
still holds is ignored or untracked and must not be deleted, so it is put back, and the change fails with
:class:`~dirsync.fs.failure.NotEmpty`. Where nothing can exchange two names, the old one is moved aside first, and for a
moment the path is absent.
"""

import contextlib
import errno
import os
import stat
from typing import NamedTuple

from dirsync.fs.failure import NotEmpty, shown
from dirsync.fs.kernel import exchange
from dirsync.fs.root import Root
from dirsync.fs.write.staging import Staging
from dirsync.tree.path import RelPath

_OTHER_KIND = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY})
"""Errors of rename(2) if one of the two is a directory and the other is not."""


class Target(NamedTuple):
    """A path, and its name in the open directory that holds it."""

    path: RelPath
    parent: int
    name: bytes


def put_in_place(root: Root, staging: Staging, staged: bytes, target: Target) -> None:
    """Rename what is staged under this name to ``target``, and remove what it replaces.

    Raises:
        OSError: as rename(2).
        PathFailure: NotEmpty if a directory that still holds something would be replaced.
    """
    try:
        os.rename(staged, target.name, src_dir_fd=staging.descriptor, dst_dir_fd=target.parent)
    except OSError as error:
        if error.errno not in _OTHER_KIND:
            raise
        replace_other_kind(root, staging, staged, target)


def is_directory(parent: int, name: bytes) -> bool:
    """Whether a name in an open directory is a directory."""
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def replace_other_kind(root: Root, staging: Staging, staged: bytes, target: Target) -> None:
    """As :func:`put_in_place`, if one of the two is a directory and the other is not."""
    path, parent, name = target
    if is_directory(parent, name) and not _is_empty(parent, name):
        raise _not_empty(path)
    root.forget(path)
    if not exchange(staging.descriptor, staged, parent, name):
        _move_aside(staging, staged, target)
        return
    try:
        _remove(staging.descriptor, staged)
    except OSError as error:
        # RACE: another process put something into the directory since it was checked. It is put back as it is.
        exchange(staging.descriptor, staged, parent, name)
        raise _not_empty(path) from error


def _move_aside(staging: Staging, staged: bytes, target: Target) -> None:
    descriptor, aside = staging.descriptor, staging.new_name()
    os.rename(target.name, aside, src_dir_fd=target.parent, dst_dir_fd=descriptor)
    try:
        os.rename(staged, target.name, src_dir_fd=descriptor, dst_dir_fd=target.parent)
    except OSError:
        os.rename(aside, target.name, src_dir_fd=descriptor, dst_dir_fd=target.parent)
        raise
    with contextlib.suppress(OSError):
        _remove(descriptor, aside)


def _is_empty(parent: int, name: bytes) -> bool:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.scandir(descriptor) as listing:
            return next(listing, None) is None
    finally:
        os.close(descriptor)


def _remove(parent: int, name: bytes) -> None:
    if is_directory(parent, name):
        os.rmdir(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def _not_empty(path: RelPath) -> NotEmpty:
    message = (
        f"{shown(path)} still contains entries that are not mirrored (ignored, or of another kind): move or delete them"
    )
    return NotEmpty(path, message, code=errno.ENOTEMPTY)
