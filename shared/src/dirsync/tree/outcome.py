"""What became of an operation that was not applied."""

import enum
from typing import NamedTuple

from dirsync.tree.entry import Entry


class Outcome(enum.IntEnum):
    """Why an operation was not applied; the numbers are those of the wire."""

    UNKNOWN = 0
    CHANGED = 1
    """Something else is at the path than the planner saw."""
    MISMATCH = 2
    """The content is not what was announced, or the replica does not have it."""
    STORAGE = 3
    """The disk is full, read-only or failing."""
    REFUSED = 4
    """The file system does not allow it."""
    LIMIT = 5
    """A limit or quota."""
    UNSUPPORTED = 6
    """The server or its file system knows no such thing."""


class Failure(NamedTuple):
    """An operation that was not applied, and what is at its path now."""

    number: int
    outcome: Outcome
    current: Entry | None
    reason: str
    message: str
