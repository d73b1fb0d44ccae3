"""One server: the session with it, the reconciler that decides about it, and the executors that do what it says.

The engine's thread only. Calls to the server run in the connector's thread, content is sent and read in the threads of
a session; what they lead to comes back through the mailbox.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.source.source import Source
from dirsync.errors import AccessError, DirsyncError, Unavailable, UsageError
from dirsync.fs.locate import locate
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.diff import diff
from dirsync.tree.guards.approvals import Released
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync.wire.session import KeptUpload, SessionMode
from dirsync_client.executor import Executor
from dirsync_client.lifecycle.activity import Part
from dirsync_client.lifecycle.ending import MAX_COUNTED, PATHS_NAMED
from dirsync_client.mailbox import Completion, Result
from dirsync_client.receive.results import ReplicaReported, Staged
from dirsync_client.reconcile.commands import ListReplica
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import (
    Connected,
    Disconnected,
    Event,
    HoldApproved,
    ReplicaChanged,
    ReplicaListed,
    RetryRequested,
    Settled,
    Tick,
)
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.report.reporter import Reporter
from dirsync_client.session.attempt import Attempt, Stage
from dirsync_client.session.connector import CallFailed, Connector, ReplicaFetched, SessionOpened
from dirsync_client.session.link import Link
from dirsync_client.session.retry import Retry
from dirsync_client.session.stream_ended import StreamEnded
from dirsync_client.state import StateDirectory
from dirsync_client.targets.source_view import SourceSide, SourceView
from dirsync_client.transfer.assumed_content import HasContent
from dirsync_client.transfer.opening.on_demand import TransferOnDemand
from dirsync_client.transfer.opening.parts import TransferParts

if TYPE_CHECKING:
    from dirsync_client.receive.reception import AgreedTrees, Reception
    from dirsync_client.transfer.executor import TransferExecutor


Post = Callable[[int, Result], None]
"""Takes a result with the number of the session that it belongs to, from any thread."""


class Planned(NamedTuple):
    """How much a sync has to do, as measured when its session was opened."""

    files: int = 0
    bytes: int = 0


class Target:
    """Keeps one server's replica equal to the source."""

    def __init__(
        self,
        side: SourceSide,
        state: StateDirectory,
        connector: Connector,
        parts: TransferParts,
        reporter: Reporter,
        post: Post,
        options: Options,
    ) -> None:
        """``post`` takes what the threads of a session find, with the number of the session."""
        source, view = side
        self.planned = Planned()
        self.measures = False
        """Measure at the start of each session how much there is to do; costs one more comparison of the trees."""
        self._source = source
        self._state = state
        self._connector = connector
        self._parts = parts
        self._reporter = reporter
        self._view = view
        self._post = post
        self._now: Monotonic = monotonic
        self._reconciler = Reconciler(view, options)
        self._activity = parts.activities.engine
        self._executor = Executor(source, view, state, reporter, self._activity, self._list_replica)
        self._agreed = self._executor.agreed = None if options.two_way is None else _agreed_trees(state)
        self._session = Attempt(0)
        self._at_once = options.at_once
        self._retry = Retry(once=options.at_once)
        self._kept: dict[bytes, int] = {}
        """What the server had kept of each upload when the last session was opened, in bytes."""
        self.view = self._reconciler.view

    @property
    def is_open(self) -> bool:
        """Whether a session is open and its replica was listed."""
        return self._session.stage is Stage.OPEN

    @property
    def wake_at(self) -> float | None:
        """When to call :meth:`advance` at the latest."""
        if self._session.stage is Stage.CLOSED:
            return self._retry.at
        times = (self._executor.wake_at, self._session.trusted_at)
        return min((time for time in times if time is not None), default=None)

    # Sessions.

    def connect_early(self) -> None:
        """Begin to open the first session before the source is scanned: the server looks at its replica meanwhile."""
        self._connect(self._now())
        self._session.is_early = True

    def connect_if_due(self, now: float) -> None:
        """Begin to open a session if there is none, and the pause after the last one is over.

        The source has been scanned, so a session that was opened early is gone on with.

        Raises:
            DirsyncError: as for :meth:`take`.
        """
        session = self._session
        if session.is_early:
            session.is_early = False
            if session.early_link is not None and now - session.opened_at > LIMITS.early_session_seconds:
                # The server may have given the replica to another client, and what it found there may have changed.
                self.disconnect()
            elif session.early_link is not None:
                link, session.early_link = session.early_link, None
                self._session_opened(link)
        if self._session.stage is Stage.CLOSED and self._retry.is_due(now):
            self._connect(now)

    def _connect(self, now: float) -> None:
        session = self._session = Attempt(self._session.number + 1)
        session.stage = Stage.OPENING
        session.opened_at = now
        self._reporter.connecting()
        source = self._source
        options = TreeOptions(source.options.attributes, source.ignore.lines)
        self._activity.begin(Part.SOURCE)
        self._connector.open(session.number, options, locate(source.root))

    def disconnect(self) -> None:
        """End the session; the next one may begin at once."""
        session, self._session = self._session, Attempt(self._session.number + 1)
        self._connector.run(session.close)
        self._retry.at_once()
        self._executor.transfer = self._executor.receiver = None
        self._handle((Disconnected(() if session.transfer is None else session.transfer.unsettled),))
        if session.link is not None:
            self._reporter.closed()
            self._reporter.about(session=None)
        if isinstance(self._view, SourceView):
            self._view.ended()

    # The end.

    @property
    def refused(self) -> bool:
        """Whether the client is to end, and the server does not want it any more."""
        return self._retry.refused

    def hurry(self) -> None:
        """The client is to end: what waits to be tried again is tried at once, a session too."""
        self._retry.hurry()
        self._handle((RetryRequested(),))

    def finish(self) -> None:
        """Begin nothing more: have what was sent committed."""
        if self._session.transfer is not None:
            self._session.transfer.finish()

    @property
    def is_committed(self) -> bool:
        """Whether nothing that was sent waits for its commit."""
        return self._session.transfer is None or self._session.transfer.is_committed

    def differing(self) -> tuple[tuple[RelPath, ...], int]:
        """The first paths that differ from the replica as it is known, and how many there are."""
        differences = self.view.differences
        named = tuple(islice(differences, PATHS_NAMED))
        return named, len(named) + sum(1 for _ in islice(differences, MAX_COUNTED - len(named)))

    def begin_close(self) -> None:
        """End the session, and have all calls end; :meth:`close` waits for them."""
        self.disconnect()
        self._connector.end()

    def close(self) -> None:
        """End the session, and all calls."""
        self.begin_close()
        self._connector.stop()
        if self._agreed is not None:
            self._agreed.close()

    def _session_opened(self, link: Link) -> None:
        if self._session.is_early:
            self._session.early_link = link
            return
        self._session.link = link
        try:
            if isinstance(self._view, SourceView):
                self._view.claim(link.opened.replica_id)
            self._view.count(link.opened.options.attributes)
        except (AccessError, UsageError) as error:
            self._lost(error)
        else:
            self._list(link)

    def _list(self, link: Link) -> None:
        """The session is open: find out what the replica has."""
        session, source, opened = self._session, self._source, link.opened
        session.stage = Stage.LISTING
        self._note_kept(opened.kept_uploads)
        self._reporter.about(session=opened.session_id.hex()[:8])
        self._executor.replica_id = opened.replica_id
        self._reporter.opened(opened.generation, opened.replica_id)
        self._activity.begin(Part.SOURCE)
        self._executor.looked += self._view.reserve(opened.reserved_names)
        self._activity.begin(Part.CLIENT)
        moved = dict(self._view.renames.moved)
        self._connector.fetch(session.number, link, source.tree.copy(), opened.root_digest, moved)

    def _note_kept(self, uploads: Iterable[KeptUpload]) -> None:
        """A lost session that got more of an upload across was progress, though the server settled nothing."""
        before, self._kept = self._kept, {upload.id: upload.size for upload in uploads}
        if any(size > before.get(upload_id, 0) for upload_id, size in self._kept.items()):
            self._retry.advanced(self._now())
        self._session.keeps_surplus = bool(self._kept)

    def _replica_fetched(self, replica: Tree) -> Event:
        session, source = self._session, self._source
        if session.stage is Stage.OPEN:
            return ReplicaListed(replica)
        link = session.link
        assert link is not None
        session.stage = Stage.OPEN
        session.trusted_at = self._now() + LIMITS.keepalive_seconds + LIMITS.keepalive_timeout_seconds
        post = partial(self._post, session.number)
        start = partial(_open_transfer, link, source.root, self._parts, self._reconciler.has_content, post)
        session.transfer = self._executor.transfer = TransferOnDemand(start)
        if not self._at_once or self._agreed is not None or replica.digest() != source.tree.digest():
            session.transfer.open()
        if self.measures:
            changes = [change.new for change in diff(replica, source.tree, source.problems) if change.new is not None]
            self.planned = Planned(len(changes), sum(entry.size for entry in changes))
        pairing = self._state.pairing(self._executor.replica_id)
        approvals = frozenset(self._state.approvals())
        agreed = pairing.adopted, pairing.identity, approvals, pairing.entries
        builds = link.opened.builds_directories and link.opened.mode is SessionMode.MIRROR
        connected = Connected(replica, link.opened.strategies, *agreed, builds=builds)
        if self._agreed is None:
            return connected
        session.reception = _reception(source, link, self._parts, post)
        self._executor.receiver = session.reception.executor
        ancestor = self._agreed.open(self._executor.replica_id, source)
        return connected._replace(ancestor=ancestor.tree, unclean_end=ancestor.unclean_end)

    def _lost(self, error: DirsyncError) -> None:
        """The session is over, or none could be opened.

        Raises:
            DirsyncError: trying again cannot help, or this is a single sync that has tried for long enough.
        """
        session, now = self._session, self._now()
        self.disconnect()
        if isinstance(error, UsageError):
            # A person has to choose another directory.
            raise error
        self._reporter.lost(error)
        self._retry.lost(error, now, opened_at=session.opened_at, progressed=session.progressed)
        self._reporter.reconnecting()

    # Events and commands.

    def advance(self, events: Iterable[Event]) -> bool:
        """Take facts about the source, and go on with what is due; false if there was nothing.

        Raises:
            DirsyncError: as for :meth:`take`.
        """
        events = tuple(events)
        if events and isinstance(self._view, SourceView):
            self._view.prune()
        trusted_at = self._session.trusted_at
        if trusted_at is not None and trusted_at <= self._now():
            self._trust()
        wake_at = self._executor.wake_at
        due = wake_at is not None and wake_at <= self._now()
        if events or due:
            self._handle(events or (Tick(),))
        return bool(events or due)

    def take(self, completions: Sequence[Completion]) -> None:
        """Take what other threads have done.

        Raises:
            DirsyncError: trying again cannot help, or this is a single sync that has tried for long enough.
        """
        events: list[Event] = []
        staged: list[Staged] = []
        for number, result, _ in completions:
            if number != self._session.number:
                if isinstance(result, SessionOpened):
                    # It was opened after it was not wanted any more: it is not left open at the server.
                    self._connector.run(result.link.close)
                continue
            match result:
                case SessionOpened(link=link):
                    self._session_opened(link)
                case ReplicaFetched(tree=replica):
                    events.append(self._replica_fetched(replica))
                case CallFailed(error=error):
                    self._lost(error)
                case StreamEnded(error=ended):
                    # What was settled before is taken over first.
                    self._handle(events)
                    self._publish(staged)
                    events, staged = [], []
                    self._lost(_as_error(ended))
                case Staged():
                    staged.append(result)
                case ReplicaReported():
                    events += self._reported(result)
                case _:
                    if isinstance(result, Settled):
                        self._session.progressed = True
                        self._trust()
                    events.append(result)
        if events:
            self._handle(events)
        self._publish(staged)

    def take_looked(self) -> list[RelPath]:
        """The paths that turned out to be different when this target had them looked at, since the last time."""
        looked = self._executor.looked
        if looked:
            self._executor.looked = []
        return looked

    def _reported(self, report: ReplicaReported) -> Sequence[Event]:
        """What others changed."""
        first, self._session.reported = not self._session.reported, True
        # What was changed after the listing, and before the reports began, is in the first one.
        stale = first and report.root_digest != self.view.replica_digest
        changes = None if stale else report.changes
        return (ReplicaChanged(report.root_digest, report.version, changes),) if first or report.changed else ()

    def _publish(self, staged: Sequence[Staged]) -> None:
        """Publish what came in."""
        if not staged or self._executor.receiver is None:
            return
        self._activity.begin(Part.SOURCE)
        events = self._executor.receiver.take(staged)
        self._activity.begin(Part.CLIENT)
        self._handle(events)

    def _trust(self) -> None:
        """The connection works."""
        self._session.trusted_at = None
        self._reporter.restored()

    def approve(self, hold_id: str) -> Released:
        """Release a hold, with a session or without, and say what that does."""
        answer = self.view.approval(hold_id)
        if answer.paths:
            self._handle((HoldApproved(hold_id),))
        return answer

    def rest(self) -> None:
        """Nothing is to be done: do what the next change should not have to wait for."""
        if self._session.transfer is not None and self._reconciler.knows_content:
            self._session.transfer.warm_up()

    def _handle(self, events: Sequence[Event]) -> None:
        while events:
            commands = self._reconciler.handle(events, self._now())
            self._executor.taken_over(events)
            events = self._executor.execute(commands)
        session = self._session
        if session.keeps_surplus and session.transfer is not None and self.view.in_sync:
            session.keeps_surplus = False
            session.transfer.drop_uploads()
        receiver = self._executor.receiver
        if receiver is not None and receiver.keeps_surplus and self.view.in_sync:
            receiver.drop_surplus()

    def _list_replica(self, command: ListReplica) -> None:
        session = self._session
        assert session.link is not None
        # The listing thread gets a tree of its own: this one stays in use.
        self._connector.fetch(session.number, session.link, command.known.copy(), command.root_digest, {})


# A mirror waits for none of what only a two-way client needs, and a single sync with nothing to send not for a stream.


def _open_transfer(
    link: Link, root: Root, parts: TransferParts, has_content: HasContent, post: Callable[[Result], None]
) -> "TransferExecutor":
    from dirsync_client.transfer.executor import open_transfer  # noqa: PLC0415

    return open_transfer(link, root, parts, has_content, post)


def _agreed_trees(state: StateDirectory) -> "AgreedTrees":
    from dirsync_client.receive.reception import AgreedTrees  # noqa: PLC0415

    return AgreedTrees(state)


def _reception(source: Source, link: Link, parts: TransferParts, post: Callable[[Result], None]) -> "Reception":
    from dirsync_client.receive.reception import Reception  # noqa: PLC0415

    return Reception(source, link, parts, post)


def _as_error(ended: Exception | None) -> DirsyncError:
    if isinstance(ended, DirsyncError):
        return ended
    return Unavailable(f"the push stream ended: {ended}" if ended else "the server ended the push stream")
