"""Decides what happens to each path: facts come in as events, and what is to be done goes out as commands.

Pure: it knows no file, socket, clock, thread, log or metric. The time is a parameter, and the same events give the same
commands. An executor does what the commands say; what came of it returns as further events.

One reconciler belongs to one server and outlives its sessions. Rules:

- A path has one phase (:mod:`~dirsync_client.reconcile.path_states`).
- Each call does a bounded amount of work. Where more can be done at once, the last command is ``WakeAt`` with the
  present time.
- Without a session nothing is dispatched. What the source showed meanwhile is compared when one is open.
"""

from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from dirsync.tree.diff import Change, diff
from dirsync.tree.path import ROOT, RelPath, ancestors
from dirsync_client.reconcile.commands import Command, ListReplica, WakeAt, merge_looks
from dirsync_client.reconcile.content_routes import ContentRoutes
from dirsync_client.reconcile.context import Context, Options, SourceModel
from dirsync_client.reconcile.deletes import Deletes
from dirsync_client.reconcile.directories.builds import Builds
from dirsync_client.reconcile.dispatch import Dispatcher
from dirsync_client.reconcile.events import (
    Connected,
    Disconnected,
    Event,
    FileHashed,
    FileProbed,
    HoldApproved,
    Received,
    ReplicaChanged,
    ReplicaListed,
    RetryRequested,
    Settled,
    SimilarityEstimated,
    SourceChanged,
    SourceChecked,
    SourceScanned,
    Tick,
    Unsent,
)
from dirsync_client.reconcile.pacing.retrier import Retrier
from dirsync_client.reconcile.path_states import AT_REPLICA, BUSY, IN_FLIGHT, LATER, Phase
from dirsync_client.reconcile.removal.links import NOT_DISPATCHED, Links
from dirsync_client.reconcile.removal.replica_scans import ReplicaScans
from dirsync_client.reconcile.renames import Renames
from dirsync_client.reconcile.results import Results
from dirsync_client.reconcile.view import View

MAX_IN_FLIGHT: Final = 8192
"""Operations that may be decided and not settled; above that, nothing more is compared."""
MAX_HASHING: Final = 256
"""Files that wait to be read; above that, nothing more is compared."""
MAX_BUILDING: Final = 32_768
"""Entries of directories on their way as a whole; above that, nothing more is compared."""
BULK_CHANGES: Final = 512
"""Changes of a whole comparison that are dispatched in one call."""


class Reconciler:
    """The decisions for one source and one server."""

    def __init__(self, source: SourceModel, options: Options) -> None:
        """Nothing is dispatched before :class:`~dirsync_client.reconcile.events.Connected`."""
        self._context = Context(source, options)
        self._links = Links(self._context)
        self._renames = Renames(self._context, self._links.lead_to)
        self._scans = ReplicaScans(self._context)
        self._retrier = Retrier(self._context)
        self._deletes = Deletes(self._context, self._links.lead_to, self._scans)
        self._routes = ContentRoutes(self._context, self._renames)
        self._builds = Builds(self._context, self._renames, self._deletes)
        parts = self._context, self._routes, self._renames, self._deletes, self._links, self._builds
        self._dispatcher, self._results = Dispatcher(*parts), Results(*parts)
        if options.two_way is not None:
            from dirsync_client.reconcile.two_way.two_way import TwoWay  # noqa: PLC0415 - a mirror need not load it

            self._context.direction = TwoWay(self._context, options.two_way, lambda: self._deletes.hold is not None)
        self._connected = False
        self._listing = False
        self._bulk: Iterator[Change] | None = None
        """A comparison of the whole trees that is under way."""
        self.view = View(
            self._context,
            self._deletes,
            lambda: self._connected,
            lambda: (self._going_on and not self._only_tries) or self._renames.waiting,
            lambda: self._is_working,
            lambda: self._scans.are_under_way,
        )

    def handle(self, events: Iterable[Event], now: float) -> list[Command]:
        """Take facts, and return what is to be done, in this order.

        Args:
            events: what happened, in order.
            now: seconds by the monotonic clock.
        """
        self._context.now = self._context.table.changed_at = now
        for event in events:
            self._take(event)
        if self._connected:
            self._advance()
            self._schedule_wake()
        if self._connected and self._bulk is None and not (self._listing or self._context.refetch):
            self._context.behind_since = None
        return merge_looks(self._context.take_commands())

    @property
    def knows_content(self) -> bool:
        """Whether the replica has a large file, so that a delta may be wanted soon. Counts its content first."""
        self._context.content.fill(self._context.replica)
        return self._context.content.any_large

    def has_content(self, digest: bytes) -> bool:
        """Whether the replica has content with this digest. May be asked from any thread."""
        return self._context.content.has(digest)

    # Events.

    def _take(self, event: Event) -> None:
        match event:
            case Settled():
                if event.rescanned:
                    self._scans.answered()
                self._results.settled(event)
                if event.rescanned and self._looks_first:
                    # What failed may have failed because the server did not know yet what is there.
                    self._compare_again((Phase.FAILED,))
            case FileProbed() | FileHashed() | SimilarityEstimated() | Unsent() | Received():
                self._take_answer(event)
            case SourceChanged() | SourceScanned() | SourceChecked():
                self._take_source(event)
            case Connected() | Disconnected() | ReplicaListed() | ReplicaChanged():
                self._take_session(event)
            case HoldApproved(hold_id=hold_id):
                self._approve(hold_id)
            case RetryRequested():
                self._retrier.try_all()
            case Tick():
                pass
            case _:
                assert_never(event)

    def _take_answer(self, event: FileProbed | FileHashed | SimilarityEstimated | Unsent | Received) -> None:
        match event:
            case FileProbed():
                self._dispatcher.probed(event)
            case FileHashed():
                self._dispatcher.hashed(event)
            case SimilarityEstimated():
                self._routes.estimated(event.path, event.similarity)
            case Unsent():
                self._results.unsent(event)
            case Received():
                self._context.direction.received(event)

    def _approve(self, hold_id: str) -> None:
        self._deletes.approve(hold_id)
        self._context.direction.approve(hold_id)

    def _take_source(self, event: SourceChanged | SourceScanned | SourceChecked) -> None:
        match event:
            case SourceChanged():
                self._source_changed(event)
            case SourceScanned(both_sides=both_sides):
                self._deletes.invalidate()
                self._context.direction.invalidate()
                if both_sides and self._connected:
                    self._scans.ask()
            case SourceChecked(in_place=in_place):
                if self._connected:
                    self._deletes.checked(in_place=in_place)
                    self._deletes.pairing.checked(in_place=in_place, in_sync=self.view.in_sync)

    def _take_session(self, event: Connected | Disconnected | ReplicaListed | ReplicaChanged) -> None:
        match event:
            case ReplicaChanged():
                self._replica_changed(event)
            case Connected():
                self._connect(event)
            case Disconnected(unsettled=unsettled):
                self._context.direction.unsettled(unsettled)
                self._connected, self._bulk = False, None
                self._builds.disconnected()
                self._context.note_behind(self._context.table.oldest_change)
                self._context.table.clear((*BUSY, Phase.BLOCKED, Phase.DIRTY))
            case ReplicaListed(replica=replica):
                self._listing = False
                self._context.replica = replica
                self._context.content.clear()
                self._compare_all()
                self._context.direction.listed()

    def _replica_changed(self, event: ReplicaChanged) -> None:
        context = self._context
        if self._connected:
            at_rest = not (self._listing or context.refetch or context.table.count(AT_REPLICA))
            changed = context.direction.changed(event, at_rest=at_rest)
            if changed:
                self._dispatcher.compare(changed, context.now)

    def _connect(self, connected: Connected) -> None:
        context = self._context
        self._connected, self._listing = True, False
        context.listed = True
        context.replica, context.offered, context.refetch = connected.replica, connected.offered, False
        context.content.clear()
        context.unread.clear()
        self._renames.reset()
        self._links.reset()
        self._routes.reset()
        self._builds.reset(offered=connected.builds)
        self._scans.reset()
        self._deletes.reset(connected)
        self._results.reset(connected.replica.digest())
        context.direction.reset(connected)
        if self._looks_first:
            self._scans.ask()
        self._compare_again(sorted(LATER))
        self._compare_all()

    @property
    def _looks_first(self) -> bool:
        """Whether this single sync is over only when the server has looked at what is there."""
        return self._context.options.at_once and self._context.direction.looks_first

    def _compare_again(self, phases: Iterable[Phase]) -> None:
        """Have the paths in these phases compared now, whenever they were to be tried again."""
        context = self._context
        for phase in phases:
            for path in list(context.table.paths(phase)):
                context.retries.discard(path)
                context.table.to(path, Phase.DIRTY)

    def _source_changed(self, event: SourceChanged) -> None:
        table = self._context.table
        changed_at = self._context.now if event.changed_at is None else event.changed_at
        for path in event.paths:
            self._note_building(path, changed_at)
            self._context.pacing.changed(path, self._context.now)
            state = table.get(path)
            if state is not None and state.phase not in IN_FLIGHT:
                state.probe = None
                state.differs = False
            if state is not None and state.phase in BUSY and state.again_since is None:
                state.again_since = changed_at
        for path in event.retried:
            self._context.resume(path)
        # Where the replica is listed again, everything is compared after that.
        if self._connected and not self._listing and not self._context.refetch:
            dirty = [path for path in event.retried if table.phase(path) in (Phase.DIRTY, Phase.IDLE)]
            self._dispatcher.compare([*event.paths, *dirty], changed_at)
        elif event.paths:
            self._context.note_behind(changed_at)

    def _note_building(self, path: RelPath, changed_at: float) -> None:
        """What changes in a directory that is on its way is sent after that."""
        building = self._context.table.paths(Phase.BUILDING)
        for above in ancestors(path) if building else ():
            state = self._context.table.get(above) if above in building else None
            if state is not None and state.again_since is None:
                state.again_since = changed_at

    # Going on with what is under way.

    def _advance(self) -> None:
        context = self._context
        if context.direction.takes_listing():
            context.refetch = True
        if context.refetch:
            context.note_behind(context.now)
        if context.refetch and not self._listing and not context.table.count(AT_REPLICA):
            context.refetch = False
            self._listing = True
            context.emit(ListReplica(context.replica, self._results.root_digest))
        if self._listing:
            return
        self._retrier.advance()
        if not context.refetch:
            self._compare_dirty()
            self._renames.send_directories(context.now)
            self._advance_bulk()
        if self._renames.waiting and not self._going_on:
            # Nothing that they could wait for is under way.
            self._renames.give_up()
        if self._bulk is None and not (self._renames.waiting or self._renames.under_way):
            context.table.release(NOT_DISPATCHED)
        context.direction.advance(compared=self._bulk is None and not context.refetch)
        ready = self._bulk is None and not (context.refetch or self._renames.waiting or self._renames.under_way)
        self._deletes.advance(ready=ready, going_on=self._going_on)
        if not self._is_working and self._deletes.pairing.is_unsettled and self.view.in_sync:
            self._deletes.pairing.settle()

    def _compare_dirty(self) -> None:
        dirty = self._context.table.take_dirty()
        if dirty:
            self._dispatcher.compare(dirty, self._context.now)
            self._context.table.end_comparison()

    def _compare_all(self) -> None:
        context = self._context
        context.direction.decide((ROOT,))
        changes = diff(context.replica, context.source.tree, context.source.problems, whole=self._builds.takes)
        self._bulk = iter(context.direction.outgoing(changes))
        context.note_behind(context.now)
        self._dispatcher.more_comes = True
        self._results.directory_moved = False

    def _advance_bulk(self) -> None:
        if self._bulk is None or self._renames.under_way:
            return
        if self._results.directory_moved:
            self._compare_all()
        changes, room = [], self._bulk_room
        while room > 0:
            change = next(self._bulk, None)
            if change is None:
                self._bulk = None
                break
            changes.append(change)
            room -= 1
            if self._builds.entries >= MAX_BUILDING:
                break
        self._dispatcher.more_comes = self._bulk is not None
        since = self._context.behind_since
        self._dispatcher.dispatch(changes, self._context.now if since is None else since)

    @property
    def _bulk_room(self) -> int:
        table = self._context.table
        if self._builds.entries >= MAX_BUILDING:
            return 0
        in_flight, hashing = table.count(IN_FLIGHT), table.count((Phase.HASHING, Phase.PROBING))
        return max(0, min(BULK_CHANGES, MAX_IN_FLIGHT - in_flight, MAX_HASHING - hashing))

    @property
    def _going_on(self) -> bool:
        """Whether anything is sent, read, compared or listed."""
        table = self._context.table
        under_way = table.count(BUSY) > 0 or table.count((Phase.DIRTY,)) > 0 or self._bulk is not None
        return under_way or self._context.refetch or self._listing or self._context.direction.pending

    @property
    def _only_tries(self) -> bool:
        """Whether only what failed before is tried, to see whether the cause is gone: nothing is known to change."""
        if self._bulk is not None or self._context.refetch or self._listing:
            return False
        return self._context.probes.covers(self._context.table)

    @property
    def _is_working(self) -> bool:
        """Whether anything is under way, here or at the server, that needs no further cause to go on."""
        removals = self._deletes.pending or self._context.direction.removals_pending
        soon = self._renames.waiting or self._context.awaits_passing
        return self._going_on or soon or removals or self._scans.are_under_way

    # When to go on.

    def _schedule_wake(self) -> None:
        if self._listing:
            return  # nothing is done before the answer
        times = (self._retrier.wake_at, self._deletes.wake_at, self._context.direction.wake_at)
        wake = min((time for time in times if time is not None), default=None)
        if self._can_go_on_at_once:
            wake = self._context.now
        if wake is not None:
            self._context.emit(WakeAt(wake))

    @property
    def _can_go_on_at_once(self) -> bool:
        if self._context.refetch:
            return not self._context.table.count(AT_REPLICA)
        if self._context.table.count((Phase.DIRTY,)):
            return True
        return self._bulk is not None and not self._renames.under_way and self._bulk_room > 0
