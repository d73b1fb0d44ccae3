"""What a replica's tree had where a scan changes it, so that those who want to know are told of real differences only.

A scan also touches what is as it was: a directory that has another time, a file whose time proves nothing and that is
read again.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirsync.endpoint.changes.feed import ChangeFeed
from dirsync.endpoint.replica_state import ReplicaState
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from dirsync.tree.entry import Entry


class Before:
    """The entries of one scan's paths as they were. Nothing is kept while nobody wants to know."""

    def __init__(self, state: ReplicaState, changes: ChangeFeed) -> None:
        self._state = state
        self._changes = changes
        self._entries: dict[RelPath, Entry | None] = {}
        self._lost = False

    def note(self, paths: Iterable[RelPath]) -> None:
        """The scan is about to change the tree at these paths."""
        for path in paths:
            if not self._changes.subscribers or len(self._entries) >= LIMITS.max_reported_changes:
                self._lost = True
                return
            self._entries.setdefault(path, self._state.entry(path))

    def tell(self) -> list[RelPath]:
        """The scan is over: tell of what is different now, and return it."""
        different = [path for path, entry in self._entries.items() if self._state.entry(path) != entry]
        if self._lost:
            self._changes.lose()
        else:
            self._changes.publish(different)
        return different
