"""Which way each difference goes, and what the outgoing half must leave alone.

Before paths are compared for what has to be sent, they are merged. What is to be carried to the replica is left to the
dispatcher, which finds it as a difference and knows the ways to send it. What is to be carried to the source, has to be
read first, or cannot be decided is *shielded*: the dispatcher does not see it.

A path whose losing version is to be kept is shielded until the copy is at the source. Then it is merged again, and the
copy goes to the replica as any new file does. The two belong to one decision: only merging the path says that there is
to be a copy. So whenever one of them is merged again, as after the copy could not be received, the other one is too.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dirsync.tree.diff import Change
from dirsync.tree.merge.decision import Carry, Conflict, Pending, ReadFirst, Unreadable
from dirsync.tree.merge.merge import merge, topmost_difference
from dirsync.tree.merge.policy import Policy, Side
from dirsync.tree.path import ROOT, RelPath, ancestors, is_within
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.two_way.agreement import Agreement
from dirsync_client.reconcile.two_way.commands import ReportConflict

if TYPE_CHECKING:
    from dirsync.tree.entry import Entry
    from dirsync_client.reconcile.context import Context

_MAX_TOLD = 10_000
"""Conflicts that are remembered, so that each is told once."""


class Incoming(NamedTuple):
    """A change that is to be carried to the source."""

    change: Change
    near: RelPath | None = None
    """A path of the source that has the content."""
    remote: RelPath | None = None
    """A path of the replica that has the content."""


class Merging:
    """The decisions of merges that are not carried out yet."""

    def __init__(self, context: "Context", policy: Policy) -> None:
        self.agreement = Agreement(context)
        self.to_read: deque[RelPath] = deque()
        """Files of the source that have to be read."""
        self.queue: deque[RelPath] = deque()
        """Paths of :attr:`incoming` that are to be received, parents first."""
        self.incoming: dict[RelPath, Incoming] = {}
        self.unreadable: set[RelPath] = set()
        """Paths that the server could not read."""
        self._context = context
        self._policy = policy
        self._shielded: set[RelPath] = set()
        self._waiting: dict[RelPath, RelPath] = {}
        """Paths in conflict, by the conflict name whose copy they wait for."""
        self._copies: dict[RelPath, RelPath] = {}
        """The conflict names, by the path that waits."""
        self._told: dict[tuple[RelPath, Entry, Entry], None] = {}

    def reset(self) -> None:
        """A new session begins."""
        self._forget_everything()

    def decide(self, paths: Iterable[RelPath]) -> list[RelPath]:
        """Merge these paths and what is below them anew.

        Returns these paths and those that are decided with them: all that have to be compared for what is to be sent.
        """
        context = self._context
        source, replica, problems = context.source.tree, context.replica, context.source.problems
        paths = list(paths)
        tops = {topmost_difference(source, replica, path, problems) for path in paths}
        partners = self._partners(tops)
        paths += partners
        unread = self.agreement.unread(tops.union(partners))
        self.agreement.compare(paths)
        self._forget(sorted(tops.union(partners)))
        self._shielded.update(unread)
        self.to_read.extend(unread)
        held_back: set[RelPath] = set()
        copies: dict[RelPath, Carry] = {}
        ancestor, given, protected = self.agreement.tree, self._waiting.keys(), {*problems, *unread}
        for decision in list(merge(ancestor, source, replica, self._policy, paths, protected, given)):
            match decision:
                case Carry(to=Side.SOURCE, change=change):
                    copies[change.path] = decision
                    if not (held_back and _is_below(change.path, held_back)):
                        self._carry(change)
                case Conflict(path=path, kept_as=kept_as):
                    self._tell(decision)
                    if kept_as is not None and kept_as in copies:
                        held_back.add(path)
                        self._shielded.add(path)
                        self._waiting[kept_as] = path
                        self._copies[path] = kept_as
                        of = path if decision.winner is Side.REPLICA else None
                        self.incoming[kept_as] = self.incoming[kept_as]._replace(near=of, remote=path)
                case ReadFirst(path=path):
                    self._shielded.add(path)
                    self.to_read.append(path)
                case Unreadable(path=path):
                    self._shielded.add(path)
                    self.unreadable.add(path)
                case Pending(path=path):
                    self._shielded.add(path)
                case Carry():
                    pass
        return paths

    def outgoing(self, changes: Iterable[Change]) -> Iterator[Change]:
        """Those of ``changes``, which come parents first, that are to be carried to the replica."""
        shielded = self._shielded
        for change in changes:
            path = change.path
            if path in shielded or (shielded and self._is_below_shielded(path)):
                continue
            yield change

    def done(self, path: RelPath) -> RelPath | None:
        """What was to be received at ``path`` is at the source. Returns a path that waited for this copy."""
        self.incoming.pop(path, None)
        if path not in self._copies:  # it may have come into conflict while it was received, and wait for a copy
            self._shielded.discard(path)
        waited = self._waiting.pop(path, None)
        if waited is not None:
            del self._copies[waited]
        return waited

    def may_move(self, path: RelPath) -> bool:
        """Whether what the replica has at ``path`` is what was agreed on, with all that is below it."""
        return self.agreement.tree.get(path) == self._context.replica.get(path)

    @property
    def pending(self) -> bool:
        """Whether something waits to be read or received."""
        return bool(self.to_read or self.queue)

    def _is_below_shielded(self, path: RelPath) -> bool:
        """Whether a directory that only one side has is shielded above ``path``."""
        context = self._context
        for above in ancestors(path):
            if above in self._shielded:
                both = context.source.tree.directory(above) and context.replica.directory(above)
                return not both or above in self.unreadable
        return False

    def _carry(self, change: Change) -> None:
        self.incoming[change.path] = Incoming(change, remote=change.path)
        self._shielded.add(change.path)
        self.queue.append(change.path)

    def _tell(self, conflict: Conflict) -> None:
        key = conflict.path, conflict.source, conflict.replica
        if key not in self._told:
            self._told[key] = None
            if len(self._told) > _MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._context.emit(ReportConflict(conflict))

    def _partners(self, tops: set[RelPath]) -> list[RelPath]:
        """The copies that these paths wait for, and the paths that wait for these copies.

        Both are in one directory: where that is merged as a whole, both are, and need not be named.
        """
        partners = (self._waiting.get(top) or self._copies.get(top) for top in sorted(tops))
        return [partner for partner in partners if partner is not None and partner not in tops]

    def _forget(self, tops: Iterable[RelPath]) -> None:
        """Forget what was decided at these paths and below them: of a path and its copy, both or neither."""
        context = self._context
        for top in tops:
            if top == ROOT:
                self._forget_everything()
                return
            below = context.source.tree.directory(top) or context.replica.directory(top) or top in self._shielded
            gone = {path for path in self._shielded if is_within(path, top)} if below else {top}
            self._shielded -= gone
            self.unreadable -= gone
            for path in sorted(gone):
                self.incoming.pop(path, None)
                self._stop_leaving(path)
                if path in self._copies:
                    del self._waiting[self._copies.pop(path)]

    def _stop_leaving(self, path: RelPath) -> None:
        if self._context.table.phase(path) is Phase.LEAVING:
            self._context.table.to(path, Phase.IDLE)

    def _forget_everything(self) -> None:
        for path in list(self._context.table.paths(Phase.LEAVING)):
            self._stop_leaving(path)
        self.to_read.clear()
        self.queue.clear()
        self.incoming.clear()
        self.unreadable.clear()
        self._shielded.clear()
        self._waiting.clear()
        self._copies.clear()


def _is_below(path: RelPath, paths: set[RelPath]) -> bool:
    return any(at in paths for at in (path, *ancestors(path)))
