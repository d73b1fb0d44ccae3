"""Symbolic links: published after what they lead to, and nothing is taken away that one of them still leads to.

Programs publish a new version by a link: they write a directory, let a link lead to it, and remove the former one. A
reader of the replica who follows the link must find one version or the other. So a link waits until what it leads to is
there as the source has it, and what it led to before stays until the link is replaced.

A link waits for each path once, unless the replica has nothing there, and for a bounded number of paths: what changes
all the time does not keep it back. It does not wait for what has a problem, nor for what holds the link itself.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from dirsync.limits import LIMITS
from dirsync.tree.diff import diff_paths
from dirsync.tree.entry import Entry, Kind
from dirsync.tree.lookup.links import resolve
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.plan import Delete, Operation, PutSymlink
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.path_states import BUSY, LATER, Phase

NOT_DISPATCHED: Final = b"\0later"
"""The key that links wait for while what they lead to is still to be compared or moved. No path has a NUL in it."""


class Links:
    """The links of one session that are to be published."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waited: dict[RelPath, set[RelPath]] = {}
        """What each link has waited for."""
        self._leaving: dict[RelPath, tuple[Entry, RelPath]] = {}
        """Links that are to be replaced: what the replica has, and where that leads."""
        self._unsure: set[RelPath] = set()
        """Links that have waited since they were looked at."""
        self._sent: set[RelPath] = set()
        """Links that were sent and perhaps are not published yet."""

    def reset(self) -> None:
        """A new session begins."""
        self._waited.clear()
        self._leaving.clear()
        self._unsure.clear()
        self._sent.clear()

    def blocker(self, path: RelPath, new: Entry, *, more_comes: bool) -> bytes | None:
        """The key that the new link at ``path`` has to wait for, if there is one.

        ``more_comes``: what differs is not all known yet, or is kept back for a rename.
        """
        context = self._context
        there = context.replica.get(path)
        if there is not None and there.kind is Kind.SYMLINK:
            before = resolve(context.replica, path, there.target)
            if before is not None:
                self._leaving[path] = there, before
        target = resolve(context.source.tree, path, new.target)
        if target is None or is_within(path, target):
            return None
        waited = self._waited.setdefault(path, set())
        if len(waited) >= LIMITS.max_link_waits:
            return None
        for change in diff_paths(context.replica, context.source.tree, [target], context.source.problems):
            if change.new is None or change.new.kind is Kind.SYMLINK:
                continue
            if change.path in waited and change.old is not None:
                continue
            key = self._key(change.path, more_comes=more_comes)
            if key is not None:
                waited.add(change.path)
                self._unsure.add(path)
                return key
        return None

    def must_look(self, path: RelPath) -> bool:
        """Whether the link has to be looked at again before it is published; true once after it has waited.

        What it waited for may have been removed meanwhile, which reading it shows before any event does. A program that
        removes a version has let the link lead elsewhere before.
        """
        if path not in self._unsure:
            return False
        self._unsure.discard(path)
        return True

    def applied(self, path: RelPath) -> None:
        """The link at ``path`` is published."""
        self._waited.pop(path, None)
        self._unsure.discard(path)
        self._leaving.pop(path, None)

    def lead_to(self, path: RelPath) -> bool:
        """Whether a link still leads to ``path``, into it, or to what holds it.

        That is one that is to be replaced, or one that was sent and is to be replaced again.
        """
        context = self._context
        for target in self._targets_of_sent():
            if is_within(path, target) or is_within(target, path):
                return True
        for link, (there, target) in list(self._leaving.items()):
            now = context.source.tree.get(link)
            if context.replica.get(link) != there or now is None or now == there:
                del self._leaving[link]
            elif is_within(path, target) or is_within(target, path):
                return True
        return False

    def sent(self, path: RelPath) -> None:
        """The link at ``path`` is sent."""
        self._sent.add(path)

    def _targets_of_sent(self) -> Iterator[RelPath]:
        context = self._context
        for link in list(self._sent):
            state = context.table.get(link)
            step = state.transmit.operation if state is not None and state.transmit is not None else None
            target = resolve(context.replica, link, step.entry.target) if isinstance(step, PutSymlink) else None
            if target is not None:
                yield target
            elif step is None:
                self._sent.discard(link)

    def _key(self, path: RelPath, *, more_comes: bool) -> bytes | None:
        """What has to happen before ``path`` is what it is to be, if anything is known to."""
        table = self._context.table
        state = table.get(path)
        phase = Phase.IDLE if state is None else state.phase
        if phase in BUSY:
            return path
        if phase is Phase.BLOCKED and state is not None:
            key = state.waits_for
            assert key is not None
            return None if table.phase(RelPath(key)) in LATER else key
        return NOT_DISPATCHED if more_comes and phase in (Phase.IDLE, Phase.DIRTY, Phase.COMPARING) else None


def links_first(removals: Iterable[Operation]) -> list[Operation]:
    """The removals in another order: a link goes before what it leads to, so that none leads to nothing meanwhile."""
    return sorted(removals, key=lambda step: not _removes_link(step))


def _removes_link(step: Operation) -> bool:
    return isinstance(step, Delete) and step.expected is not None and step.expected.kind is Kind.SYMLINK
