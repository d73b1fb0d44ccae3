"""Which source belongs to the replica: the one whose root was in place when both sides were in sync."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirsync.tree.plan import Delete, Operation
from dirsync_client.reconcile.commands import AcceptMounts, Adopt, CheckSource
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.events import Connected

if TYPE_CHECKING:
    from dirsync.tree.entry import FileIdentity


class Pairing:
    """Remembers the source's root once both sides are in sync, and recognises it."""

    def __init__(self, context: Context) -> None:
        self.adopted = False
        """This source was synced into this replica before, or that was approved."""
        self._context = context
        self._root: FileIdentity | None = None
        self._entries = 0
        """How many entries the source had then, but for a factor of two."""
        self._checking = False
        """The source's root is being checked, to be remembered for this replica."""
        self._was_moved = False
        """The source's root was not in place when it was checked; it is checked again after the next scan."""

    def reset(self, connected: Connected) -> None:
        """A new session begins."""
        self.adopted, self._root, self._entries = connected.adopted, connected.agreed_root, connected.agreed_entries
        self._checking = False

    def scanned(self) -> None:
        """The whole source was scanned: its root may be checked again."""
        self._was_moved = False

    @property
    def is_unsettled(self) -> bool:
        """Whether something is to be remembered once both sides are in sync."""
        return self._may_adopt or bool(self._context.source.mounts_changed)

    def settle(self) -> None:
        """Both sides are in sync, so this source belongs to this replica: make sure that it is in place.

        If they are equal, the replica has nothing any more that a mount hides or took along.
        """
        if self._context.source.mounts_changed and self._context.is_equal:
            self._context.emit(AcceptMounts())
        if self._may_adopt:
            self._checking = True
            self._context.emit(CheckSource())

    def checked(self, *, in_place: bool, in_sync: bool) -> None:
        """The source's root was checked: remember it for this replica, if both sides are still equal."""
        if not self._checking:
            return
        self._checking = False
        self._was_moved = not in_place
        if in_place and in_sync:
            self.adopt()
            self._context.foreign = False

    def adopt(self) -> None:
        """Remember that this source belongs to this replica."""
        source = self._context.source
        self.adopted, self._root, self._entries = True, source.identity, len(source.tree)
        self._context.emit(Adopt())

    def is_familiar(self, steps: Iterable[Operation]) -> bool:
        """Whether the source's root is the one that was agreed on, or has been made again with most of the same names.

        Build tools remove their output directory and make it again: that is another directory, but the same source.
        What the other directory added since to the replica says nothing, so the entries are those that were agreed on.
        """
        if self._root in (None, self._context.source.identity):
            return True
        return sum(isinstance(step, Delete) for step in steps) * 2 <= self._entries

    @property
    def _may_adopt(self) -> bool:
        """Whether another root than the present one is remembered for this replica, or none, or one of another size."""
        entries = len(self._context.source.tree)
        counted = entries <= self._entries * 2 and self._entries <= entries * 2
        known = self.adopted and self._root == self._context.source.identity and counted
        return not known and not self._checking and not self._was_moved
