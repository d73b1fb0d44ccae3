"""What becomes of a path that both sides changed."""

from enum import Enum, StrEnum
from typing import NamedTuple

from dirsync.tree.entry import Entry
from dirsync.tree.options import Attributes


class Side(Enum):
    """One of the two trees that are merged."""

    SOURCE = "source"
    REPLICA = "replica"

    @property
    def other(self) -> "Side":
        """The other one."""
        return Side.REPLICA if self is Side.SOURCE else Side.SOURCE


class Conflicts(StrEnum):
    """Which version gets the name. The values are those of the setting CONFLICTS and of metric labels."""

    KEEP_BOTH = "keep-both"
    """The younger one. The other one is kept on both sides under a conflict name."""
    SOURCE = "source"
    REPLICA = "replica"
    NEWEST = "newest"
    """The younger one. The other one is not kept."""


class Policy(NamedTuple):
    """How conflicts are resolved."""

    conflicts: Conflicts = Conflicts.KEEP_BOTH
    client: str = "client"
    """Who merges: part of conflict names."""


def preferred(policy: Policy, source: Entry, replica: Entry, attributes: Attributes) -> Side:
    """The side whose version of a file or link gets the name.

    The younger one is the one with the later mtime; of two with the same mtime it is the one with the greater digest,
    so that every client chooses the same. A link has no mtime and is older than any file of this century.
    """
    match policy.conflicts:
        case Conflicts.SOURCE:
            return Side.SOURCE
        case Conflicts.REPLICA:
            return Side.REPLICA
        case _:
            ours, theirs = attributes.normalize(source), attributes.normalize(replica)
            return Side.SOURCE if _rank(ours) >= _rank(theirs) else Side.REPLICA


def preferred_directory(policy: Policy, directory: Side) -> Side:
    """The side that gets the name if ``directory`` has a directory there and the other side a file or link.

    A directory may hold what has no other name, and it has no mtime: it is preferred unless a side is set.
    """
    match policy.conflicts:
        case Conflicts.SOURCE:
            return Side.SOURCE
        case Conflicts.REPLICA:
            return Side.REPLICA
        case _:
            return directory


def _rank(entry: Entry) -> tuple[int, bytes, int, int]:
    return entry.mtime_ns, entry.digest, entry.kind, entry.mode
