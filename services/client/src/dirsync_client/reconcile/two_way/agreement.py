"""What both sides last agreed on, and how that follows what they acknowledge.

- Where both sides are known to have the same, that is agreed on.
- What the replica acknowledged of what was sent is agreed on, even if the source has moved on meanwhile; so is what was
  applied at the source. Otherwise a file that is written all the time would be in conflict with its own last version.
- After an end that was not clean, some of it is not believed (:mod:`dirsync.tree.merge.distrust`). Where a file has to
  be read to decide about that, nothing is decided at its path until it was.
- What was sent before a session was lost is agreed on if the next session shows that the replica has it: a file that
  was written again meanwhile is not in conflict with its own last version.
- What was moved at the replica because it was moved at the source is agreed on under its new name.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from dirsync.tree.diff import Change, equal
from dirsync.tree.entry import UNKNOWN, Entry, Record, pack, unpack
from dirsync.tree.merge.agreed import newly_agreed
from dirsync.tree.merge.distrust import UncleanEnd, doubtful, is_lost
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath, ancestors
from dirsync.tree.plan import Delete, Move
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Sent
from dirsync_client.reconcile.two_way.commands import Agree, AgreeMove

if TYPE_CHECKING:
    from dirsync_client.reconcile.context import Context


class Agreement:
    """The ancestor of merges, for one replica."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self.tree = Tree()
        """The ancestor."""
        self._unclean_end: UncleanEnd | None = None
        self._unread: set[RelPath] = set()
        """Files of the source that have to be read before it is known whether the ancestor is to be believed there."""
        self._unsettled: dict[RelPath, list[Record]] = {}
        """What the replica may have of what was sent: it was not answered."""

    def reset(self, kept: Tree | None, unclean_end: UncleanEnd | None) -> None:
        """A new session begins, with what is kept; ``None``: with what is known."""
        context = self._context
        ancestor = self.tree if kept is None else kept
        attributes = context.source.tree.attributes
        self.tree = ancestor if ancestor.attributes == attributes else ancestor.copy(attributes)
        if kept is not None:
            self._unclean_end = unclean_end
            self._unread.clear()
        if unclean_end is not None:
            source, replica, problems = context.source.tree, context.replica, context.source.problems
            doubts = list(doubtful(self.tree, source, replica, unclean_end, problems))
            self._distrust(path for path, lost in doubts if lost)
            self._unread.update(path for path, lost in doubts if lost is None)
        self._settle()

    def unread(self, paths: Collection[RelPath]) -> list[RelPath]:
        """The files at these paths and below them that have to be read before anything is decided about them."""
        if not self._unread:
            return []
        source, replica = self._context.source.tree, self._context.replica
        found = self._unread.intersection(paths)
        wide = {path for path in paths if source.directory(path) is not None or replica.directory(path) is not None}
        if wide:
            found |= {path for path in self._unread if not wide.isdisjoint(ancestors(path))}
        return [path for path in sorted(found) if not self._is_known(path)]

    def _is_known(self, path: RelPath) -> bool:
        """Whether it is known by now if the ancestor is to be believed at ``path``."""
        source, before = self._context.source.tree, self.tree.get(path)
        assert self._unclean_end is not None
        theirs, record = self._context.replica.get(path), source.record(path)
        lost = before is not None and is_lost(before, theirs, record, self._unclean_end, source.attributes)
        if lost is None:
            return False
        self._unread.discard(path)
        # One that went since it was found there was removed by somebody.
        if lost and record is not None:
            self._distrust((path,))
        return True

    def _distrust(self, paths: Iterable[RelPath]) -> None:
        self._take([Change(path, self.tree.get(path), None) for path in paths])

    def compare(self, paths: Iterable[RelPath] = (ROOT,)) -> None:
        """Take for agreed what both sides have at these paths and below them."""
        context = self._context
        source, replica, problems = context.source.tree, context.replica, context.source.problems
        self._take(list(newly_agreed(self.tree, source, replica, paths, problems)))

    def settled(self, path: RelPath, entry: Entry | None) -> None:
        """Both sides had this at ``path``, which was acknowledged."""
        before = self.tree.get(path)
        if entry is not None and entry.is_directory:
            entry = entry._replace(digest=UNKNOWN)
        if not equal(before, entry, Attributes()):
            self._take([Change(path, before, entry)])

    def unsettled(self, sent: Iterable[Sent]) -> None:
        """A session ended before these were answered."""
        for one in sent:
            if one.record is not None and not isinstance(one.operation, Delete | Move):
                self._unsettled.setdefault(one.operation.path, []).append(one.record)

    def _settle(self) -> None:
        """Find out what the replica has of what was not answered. Directories come before what is in them."""
        attributes = self._context.source.tree.attributes
        for path in sorted(self._unsettled):
            found = self._context.replica.get(path)
            if any(equal(found, unpack(record), attributes) for record in self._unsettled[path]):
                self.settled(path, found)
        self._unsettled.clear()

    def moved(self, step: Move) -> None:
        """The replica moved what the source had moved."""
        try:
            if step.exchange:
                self.tree.exchange(step.path, step.source)
            else:
                self.tree.move(step.source, step.path)
        except KeyError:
            return  # it was not agreed on, or where it is now was not
        self._context.emit(AgreeMove(step.source, step.path, step.exchange))

    def _take(self, changes: list[Change]) -> None:
        taken: list[Change] = []
        for change in changes:
            path, _, new = change
            try:
                if new is None:
                    self.tree.remove(path)
                else:
                    self.tree.put(path, pack(new))
            except KeyError:
                continue  # the directory above is not agreed on
            taken.append(change)
        if taken:
            self._context.emit(Agree(taken))
