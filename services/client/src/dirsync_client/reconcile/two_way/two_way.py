"""The half of a two-way client's reconciler that a mirror does not have."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from dirsync.tree.diff import Change
from dirsync.tree.entry import unpack
from dirsync.tree.guards.approvals import Released
from dirsync.tree.guards.hold import Hold
from dirsync.tree.merge.policy import Policy
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Move
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.two_way.listing import Listing
from dirsync_client.reconcile.two_way.merging import Merging
from dirsync_client.reconcile.two_way.moments import Moments
from dirsync_client.reconcile.two_way.one_way import OneWay
from dirsync_client.reconcile.two_way.receiving import Receiving

if TYPE_CHECKING:
    from collections.abc import Callable

    from dirsync_client.reconcile.commands import Sent
    from dirsync_client.reconcile.context import Context
    from dirsync_client.reconcile.events import Connected, Received, ReplicaChanged


class TwoWay(OneWay):
    """Merges before anything is compared, and carries to the source what the replica has."""

    looks_first = True
    """Somebody may have written there by hand just now. A client that stays is told of it."""

    def __init__(self, context: "Context", policy: Policy, is_held: "Callable[[], bool]") -> None:
        """``is_held``: whether a guard holds removals at the replica."""
        self._context = context
        self._merging = Merging(context, policy)
        self._receiving = Receiving(context, self._merging, is_held)
        self._listing = Listing(context)
        self._moments = Moments(context)

    def reset(self, connected: "Connected") -> None:
        """A new session begins."""
        # Nothing that was never agreed on is removed or overwritten, so no replica is a wrong one.
        self._context.foreign = False
        self._merging.reset()
        self._merging.agreement.reset(connected.ancestor, connected.unclean_end)
        self._receiving.reset()
        self._listing.reset()
        self._moments.reset()
        self._receiving.removals.take_approvals(connected.approvals)

    def decide(self, paths: Collection[RelPath]) -> Collection[RelPath]:
        """Merge these paths, and what is below them. Returns them, with those that were decided with them."""
        return self._merging.decide(paths)

    def receive(self) -> None:
        """Begin to receive what was decided."""
        self._receiving.advance()

    def outgoing(self, changes: Iterable[Change]) -> Iterator[Change]:
        """Those of these changes that are to be carried to the replica."""
        return self._merging.outgoing(changes)

    def may_move(self, path: RelPath) -> bool:
        """Whether what the replica has at ``path`` is what was agreed on, so that it may be moved."""
        return self._merging.may_move(path)

    def sent(self, path: RelPath) -> None:
        """The replica acknowledged what was sent for ``path``."""
        record = self._context.replica.record(path)
        self._merging.agreement.settled(path, None if record is None else unpack(record))

    def unsettled(self, sent: "Iterable[Sent]") -> None:
        """The session ended before these were answered."""
        self._merging.agreement.unsettled(sent)

    def moved(self, step: Move) -> None:
        """The replica acknowledged a move."""
        self._merging.agreement.moved(step)

    def received(self, event: "Received") -> None:
        """Take what came of an operation at the source."""
        self._receiving.received(event)

    def changed(self, event: "ReplicaChanged", *, at_rest: bool) -> Collection[RelPath]:
        """Others changed the replica; ``at_rest``: nothing is under way there, and it need not be listed.

        Returns the paths where it is known now to be different.
        """
        paths = self._moments.reported(event, at_rest=at_rest)
        if paths is None:
            self._listing.changed()
        return paths or ()

    def settled(self, root_digest: bytes, version: int) -> None:
        """An answer says that the replica has this digest at this moment."""
        self._moments.settled(root_digest, version)

    def listed(self) -> None:
        """The replica was listed."""
        self._listing.done(is_of_a_moment=self._moments.listed())

    def takes_listing(self) -> bool:
        """Whether the replica is to be listed now because others change it; then it counts as begun."""
        return self._listing.take_due()

    def advance(self, *, compared: bool) -> None:
        """Go on with what is to be received. ``compared``: everything is compared."""
        self._receiving.advance()
        table = self._context.table
        under_way = table.count((Phase.RECEIVING, Phase.HASHING)) > 0 or self._merging.pending
        self._receiving.removals.advance(ready=compared and not under_way and not self._receiving.is_suspended)

    def invalidate(self) -> None:
        """The whole source was scanned."""
        self._receiving.removals.invalidate()

    @property
    def pending(self) -> bool:
        """Whether something is to be listed, read or received, and nothing keeps it back."""
        return self._receiving.pending or self._listing.due is not None

    @property
    def removals_pending(self) -> bool:
        """Whether removals at the source wait to be judged."""
        return self._receiving.removals.pending and not self._receiving.is_suspended

    @property
    def wake_at(self) -> float | None:
        """When removals at the source have to be judged, or the replica is to be listed again."""
        times = (self._receiving.removals.wake_at, self._listing.due)
        return min((time for time in times if time is not None), default=None)

    @property
    def hold(self) -> Hold | None:
        """What a guard holds of the removals at the source."""
        return self._receiving.removals.hold

    def approve(self, hold_id: str) -> None:
        """Release what this hold holds."""
        self._receiving.removals.approve(hold_id)

    def answer(self, hold_id: str) -> Released:
        """What approving this hold would release now."""
        return self._receiving.removals.answer(hold_id)
