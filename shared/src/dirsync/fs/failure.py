"""Errors of one path, by what a person can do about them.

Whatever the kernel answers about a path of a source or replica leaves this package as a :class:`PathFailure`: one path,
one :class:`~dirsync.tree.problem.ProblemKind`, one sentence. Everything else of the kernel's (a full table of
descriptors while the root is opened, a broken program) stays an ``OSError`` and ends more than one path.
"""

import errno
import os
from typing import ClassVar, Self

from dirsync.errors import PathError
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, abbreviate, escape
from dirsync.tree.problem import Problem, ProblemKind

_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
"""What a path says whose parent is no directory any more (``ELOOP``: a link where the directory was)."""


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
    """The path could not be listed, looked at or read; what is there is unknown."""

    kind = ProblemKind.UNREADABLE


class Changing(PathFailure):
    """Another process changed the path during the operation."""

    kind = ProblemKind.CHANGING


class TooLarge(Changing):
    """The file is larger than the caller can take in one piece."""


class BasisLost(Changing):
    """The file that another one is rebuilt from is not what it was, or cannot be read: all content is needed."""


class Vanished(PathFailure):
    """The path, or a directory above it, is no longer there."""

    kind = ProblemKind.VANISHED


class Refused(PathFailure):
    """The file system does not allow it."""

    kind = ProblemKind.REFUSED


class NotEmpty(Refused):
    """The directory still holds what is not mirrored (ignored or untracked), so it stays."""


class StorageFailed(PathFailure):
    """The disk is full or failing."""

    kind = ProblemKind.STORAGE


def reading_failure(path: RelPath, doing: str, error: OSError) -> PathFailure:
    """What an error of a look or a read means for ``path``."""
    kind = Vanished if error.errno in _GONE else Unreadable
    return kind.from_os(path, doing, error)


def writing_failure(path: RelPath, doing: str, error: OSError) -> PathFailure:
    """What an error of a change means for ``path``."""
    if error.errno in _STORAGE:
        return StorageFailed.from_os(path, doing, error)
    if error.errno == errno.ENOTEMPTY:
        return NotEmpty.from_os(path, doing, error)
    kind = Vanished if error.errno in _GONE else Refused
    return kind.from_os(path, doing, error)


def shown(path: RelPath) -> str:
    """The path for a sentence; of an enormous one only the end."""
    if not path:
        return "the root directory"
    return escape(path) if len(path) <= LIMITS.max_target_bytes else abbreviate(path)


def _text(error: OSError) -> str:
    """The kernel's words, and for a refusal who was refused: the answer is often the wrong user."""
    text = error.strerror or str(error)
    return f"{text} (uid {os.geteuid()})" if error.errno in (errno.EACCES, errno.EPERM) else text
