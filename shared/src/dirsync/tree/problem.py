"""What could not be handled, as data.

A path that fails stops nothing else: it becomes a :class:`Problem`, is counted by kind, shown, and tried again. What
must not be concluded from it is that the path is absent: comparing trees protects the paths of problems
(:func:`dirsync.tree.diff.diff`), so unreadable is never deleted. Paths that are simply not ours to mirror (sockets,
FIFOs, devices) are *untracked*: counted, and no problem.
"""

from enum import StrEnum
from typing import NamedTuple

from dirsync.tree.path import RelPath


class ProblemKind(StrEnum):
    """Why a path is not mirrored; also a label of ``dirsync_problems``."""

    UNREADABLE = "unreadable"
    """The path could not be listed or read: permissions, or a failing disk."""
    CHANGING = "changing"
    """The file changed each time that it was read."""
    VANISHED = "vanished"
    """The path was listed, but was gone when it was needed."""
    RESERVED_NAME = "reserved_name"
    """The server reserves that name for itself."""
    NAME_TOO_LONG = "name_too_long"
    """A component is longer than the replica can hold."""
    PATH_TOO_LONG = "path_too_long"
    """The whole path is longer than a message may carry."""
    COLLISION = "collision"
    """The replica's file system cannot tell two names apart (case, Unicode form)."""
    REFUSED = "refused"
    """The replica's file system does not allow it, or something that is not mirrored is in the way."""
    STORAGE = "storage"
    """The replica's disk is full, read-only or failing."""
    LIMIT = "limit"
    """A limit or quota of the server."""
    UNSUPPORTED = "unsupported"
    """The peer or its file system does not support it."""


class Problem(NamedTuple):
    """One path that could not be handled; ``message`` is a sentence for people."""

    path: RelPath
    kind: ProblemKind
    message: str
