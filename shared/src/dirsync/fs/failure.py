"""Failures of one path, classified by what a person can do about them.

An error of the kernel about a path of a source or replica leaves this package as a :class:`PathFailure`: one path, one
:class:`~dirsync.tree.problem.ProblemKind`, one sentence. Any other error of the kernel (no free descriptor while the
root is opened, a defect) stays an ``OSError`` and affects more than one path.
"""

import errno
import os
from typing import ClassVar, Self

from dirsync.errors import PathError
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, abbreviate, escape
from dirsync.tree.problem import Problem, ProblemKind

_STORAGE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EFBIG,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.EROFS,
    }
)
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
"""Errors if the path or its parent is gone (``ELOOP``: a link where the directory was)."""


class PathFailure(PathError):
    """One path could not be handled.

    ``errno`` is the kernel's number where there was one, else 0.
    """

    kind: ClassVar[ProblemKind]

    def __init__(self, path: RelPath, message: str, *, code: int = 0) -> None:
        super().__init__(message, reason=self.kind.name)
        self.path = path
        self.errno = code

    @classmethod
    def from_os(cls, path: RelPath, doing: str, error: OSError) -> Self:
        """The failure of ``doing`` (as in "cannot open") at ``path``."""
        return cls(path, f"cannot {doing} {shown(path)}: {_text(error)}", code=error.errno or 0)

    def problem(self) -> Problem:
        """The failure as data."""
        return Problem(self.path, self.kind, str(self))


class Unreadable(PathFailure):
    """The path could not be listed or read; what is there is unknown."""

    kind = ProblemKind.UNREADABLE


class Changing(PathFailure):
    """Another process changed the path during the operation."""

    kind = ProblemKind.CHANGING


class Growing(Changing):
    """The file grew while it was read: it has not the size any more for which it was read."""


class TooLarge(Changing):
    """The file is larger than the caller can read at once."""


class BasisLost(Changing):
    """The file that another one is rebuilt from changed or cannot be read: the whole content is needed."""


class Vanished(PathFailure):
    """The path, or a directory above it, is no longer there."""

    kind = ProblemKind.VANISHED


class Refused(PathFailure):
    """The file system does not allow it."""

    kind = ProblemKind.REFUSED


class NotEmpty(Refused):
    """The directory still holds ignored or untracked entries, so it stays."""


class StorageFailed(PathFailure):
    """The disk is full or failing."""

    kind = ProblemKind.STORAGE


def reading_failure(path: RelPath, doing: str, error: OSError) -> PathFailure:
    """The failure of ``path`` for an error while reading or listing."""
    kind = Vanished if error.errno in _GONE else Unreadable
    return kind.from_os(path, doing, error)


def writing_failure(path: RelPath, doing: str, error: OSError) -> PathFailure:
    """The failure of ``path`` for an error while changing it."""
    if error.errno in _STORAGE:
        return StorageFailed.from_os(path, doing, error)
    if error.errno == errno.ENOTEMPTY:
        return NotEmpty.from_os(path, doing, error)
    kind = Vanished if error.errno in _GONE else Refused
    return kind.from_os(path, doing, error)


def shown(path: RelPath) -> str:
    """The path for a message; only the end of a very long one."""
    if not path:
        return "the root directory"
    return escape(path) if len(path) <= LIMITS.max_target_bytes else abbreviate(path)


def _text(error: OSError) -> str:
    """The kernel's message and, for a refusal, the uid: often it is the wrong user."""
    text = error.strerror or str(error)
    return f"{text} (uid {os.geteuid()})" if error.errno in (errno.EACCES, errno.EPERM) else text


def unusable_root(path: bytes, error: OSError) -> str:
    """Why a directory cannot be a root, and what to do about it."""
    name = escape(path)
    if os.path.islink(path):
        return f"{name} is a symbolic link: name the directory that it leads to"
    match error.errno:
        case errno.ENOENT:
            return f"{name} does not exist: create the directory, or name another"
        case errno.ENOTDIR:
            return f"{name} is not a directory"
        case errno.EACCES | errno.EPERM:
            return f"{name} cannot be read by uid {os.geteuid()}: change its owner or mode, or run as another user"
        case _:
            return f"{name} cannot be opened: {error.strerror}"
