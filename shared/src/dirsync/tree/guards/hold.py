"""The values that the guards work on: reasons, limits, what is known, and what is held."""

import hashlib
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from dirsync.tree.guards.history import WINDOW_SECONDS
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Operation


class Guard(StrEnum):
    """Why operations are held; also a label of ``dirsync_guard_holds_total``."""

    ROOT_CHANGED = "root_changed"
    ROOT_EMPTIED = "root_emptied"
    FOREIGN = "foreign"
    MOUNT_CHANGED = "mount_changed"
    DELETE_COUNT = "delete_count"
    DELETE_PERCENT = "delete_percent"


GRAVITY: Final = {
    Guard.ROOT_CHANGED: 4,
    Guard.ROOT_EMPTIED: 3,
    Guard.FOREIGN: 2,
    Guard.MOUNT_CHANGED: 1,
    Guard.DELETE_COUNT: 0,
    Guard.DELETE_PERCENT: 0,
}
"""How grave a reason is. An approval that was given for one fits those that are no graver."""
BY_NUMBER: Final = (Guard.DELETE_COUNT, Guard.DELETE_PERCENT)
"""The guards that count deletes: something that comes makes up for them."""


class GuardPolicy(NamedTuple):
    """How much may be deleted without approval."""

    max_delete_percent: int = 50
    """Share of the largest tree within the window; 100 switches it off."""
    max_delete_count: int = 10_000
    """Entries."""
    min_entries: int = 10
    """Fewer deletes than this are never held for their share."""
    window_seconds: float = WINDOW_SECONDS


DEFAULT_POLICY: Final = GuardPolicy()


class Facts(NamedTuple):
    """What is known about the source when a plan is judged."""

    entries: int
    """Entries below the source's root now."""
    root_intact: bool = True
    """Whether the root of the source is in place, and the same directory as before or one with most of its names."""
    mounts_changed: Collection[RelPath] = ()
    foreign: bool = False
    """Whether this is the first sync, into a replica for which :func:`is_foreign` holds."""
    under_way: Collection[RelPath] = ()
    """Paths of deletes that were released without approval and are not acknowledged: they count as those within the
    window do."""


class Hold(NamedTuple):
    """Operations that wait for approval; ``message`` is for people."""

    id: str
    guard: Guard
    operations: tuple[Operation, ...]
    message: str
    lacking: int = 0
    """So many more entries that come in the place of these would end the hold; 0 where that cannot end it."""
    reason: str = ""
    """The part of the message that says why, without the paths and the command."""

    def may_be_over(self, entries: int, came: int) -> bool:
        """Whether its reason may be gone: the source has ``entries``, and ``came`` more came since it was judged.

        What else can end it is found otherwise: operations that are not wanted any more, and a look at the source.
        """
        if self.guard is Guard.ROOT_EMPTIED:
            return entries > 0
        return self.lacking > 0 and came >= self.lacking


class Approval(NamedTuple):
    """The paths of a hold that a person approved. It fits the same reason and less grave ones."""

    guard: Guard
    paths: Collection[RelPath]


class Verdict(NamedTuple):
    """What may be sent now, in the given order, and what may not."""

    released: list[Operation]
    hold: Hold | None


def hold_id(steps: Iterable[Operation]) -> str:
    """The id of a hold of ``steps``: 16 hexadecimal digits, computed from their paths."""
    digest = hashlib.sha256()
    for path in sorted(step.path for step in steps):
        digest.update(len(path).to_bytes(4, "big") + path)
    return digest.hexdigest()[:16]
