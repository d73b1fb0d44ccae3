"""What a merge decides, path by path."""

from typing import NamedTuple

from dirsync.tree.diff import Change
from dirsync.tree.entry import Entry
from dirsync.tree.merge.policy import Conflicts, Side
from dirsync.tree.path import RelPath


class Carry(NamedTuple):
    """Carry a change to one side: ``change.old`` is what that side has, ``change.new`` what it is to have."""

    to: Side
    change: Change


class Conflict(NamedTuple):
    """Both sides changed a path differently. The changes that resolve it follow, or come before, as carries."""

    path: RelPath
    source: Entry
    replica: Entry
    winner: Side
    """Whose version gets the name."""
    resolution: Conflicts
    kept_as: RelPath | None
    """Where both sides keep the other version; ``None``: it is not kept."""


class ReadFirst(NamedTuple):
    """The source's file has to be read before anything can be decided: its digest is not known."""

    path: RelPath


class Unreadable(NamedTuple):
    """The server could not read or list what the replica has here: nothing is decided, at the path or below it."""

    path: RelPath


class Pending(NamedTuple):
    """A directory of one side stays as it is until more is known of what is in it: it may be removed, or made again."""

    path: RelPath


Decision = Carry | Conflict | ReadFirst | Unreadable | Pending
