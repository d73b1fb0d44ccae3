"""The client's engine: one thread that looks, compares, sends and takes over results, for as long as the client lives.

Watcher, push stream, hasher and agent only post to it; it sleeps on one condition. After a lost connection it goes on
with a new session, whose digests say what is left to do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import grpc

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.sliced_scan import SlicedScan
from dirsync.endpoint.source import Source
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Due, Schedule
from dirsync.errors import DirsyncError, SessionSuperseded, Unavailable, UsageError
from dirsync.fs.locate import locate
from dirsync.fs.root import RootState
from dirsync.limits import LIMITS
from dirsync.runtime.log.logging import set_context
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.diff import diff
from dirsync.tree.guards import GuardPolicy, History
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.mailbox import Inbox, Mail, Post
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.cycle import Cycle
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Settled, StreamEnded, Unsent
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import State, StatusBoard
from dirsync_client.report.transfer_metrics import Accounting
from dirsync_client.session.backoff import Backoff
from dirsync_client.session.link import Identity, Link, MetadataSource
from dirsync_client.session.listing import fetch
from dirsync_client.session.session import Session
from dirsync_client.state import StateDirectory
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hashed, Hasher
from dirsync_client.transfer.signature_store import RememberedSignatures
from dirsync_client.transfer.stream import Compressor, PushStream

ONCE_RETRY_SECONDS = 30.0
"""How long ``once`` tries again without a commit that the server answers before it gives up."""
SCAN_SLICE_SECONDS = 0.02
"""How long a scan goes on before hints have a turn."""

Connect = Callable[[], grpc.Channel]


class EngineOptions(NamedTuple):
    """How the engine goes about it."""

    identity: Identity
    compression: str = "auto"
    bandwidth_limit: int = 0
    block_size: int = 4096
    deletes: bool = True
    policy: GuardPolicy = GuardPolicy()


class Work(NamedTuple):
    """How far a sync is; planned is 0 as long as nobody measured."""

    files_done: int
    files_planned: int
    bytes_done: int
    bytes_planned: int


class _RulesChanged(Exception):  # no error
    """The ignore rules changed: a new session has to agree on them."""


class Engine:
    """Keeps the replica equal to the source. :meth:`run` belongs to one thread; others talk to :attr:`inbox`."""

    def __init__(  # the parts that the app joins
        self,
        source: Source,
        state: StateDirectory,
        schedule: Schedule,
        board: StatusBoard,
        metrics: Metrics,
        connect: Connect,
        metadata: MetadataSource,
        options: EngineOptions,
        *,
        now: Monotonic = monotonic,
    ) -> None:
        self.inbox = Inbox(now)
        self.scan_cost = 0.0
        """Seconds that the last scan of the source took."""
        self._source = source
        self._state = state
        self._schedule = schedule
        self._metrics = metrics
        self._connect = connect
        self._metadata = metadata
        self._options = options
        self._now = now
        self._accounting = Accounting(metrics, now)
        self._reporter = Reporter(source, board, self._accounting, metrics, now)
        self._signatures = RememberedSignatures(state.signatures, metrics)
        self._bandwidth = TokenBucket(options.bandwidth_limit)
        self._history = History(now(), 0, options.policy.window_seconds)
        self._scan: SlicedScan | None = None
        self._measures = False
        self._planned = (0, 0)
        self._progressed = False
        """Whether the server settled anything in this session: sessions that open and die are no progress."""

    def measure_plans(self) -> None:
        """Find out at the start of each session how much there is to do; costs one more comparison of the trees."""
        self._measures = True

    @property
    def work(self) -> Work:
        """How far the present sync is."""
        files, size = self._planned
        sent = self._accounting.sent_bytes
        return Work(self._accounting.totals.files, files, sent, size)

    def run(self, *, once: bool = False) -> None:
        """Sync until stopped, or, with ``once``, until nothing is left to do.

        Raises:
            UsageError: the server says that this source and its replica cannot be.
            DirsyncError: ``once`` cannot go on. Without it everything is tried again.
        """
        backoff = Backoff()
        failing_since: float | None = None
        self._reporter.state(State.STARTING)
        self._scan_to_the_end()
        while not self.inbox.stopping:
            self._reporter.state(State.CONNECTING)
            self._progressed = False
            opened = self._now()
            try:
                with self._session() as session:
                    self._serve(session, once=once)
                if once:
                    return
            except _RulesChanged:
                self._scan_to_the_end()
            except UsageError:
                # Trying again cannot help: a person has to choose another directory.
                raise
            except DirsyncError as error:
                self._reporter.lost(error)
                now = self._now()
                if self._progressed or now - opened > LIMITS.backoff_max_seconds:
                    backoff.reset()
                if self._progressed or failing_since is None:
                    failing_since = now
                if once and (not isinstance(error, Unavailable) or now - failing_since > ONCE_RETRY_SECONDS):
                    raise
                superseded = isinstance(error, SessionSuperseded)
                self._sleep(LIMITS.backoff_max_seconds if superseded else backoff.next())
                self._metrics.inc("dirsync_reconnects_total")
        self._reporter.state(State.STOPPING)

    # Sessions.

    @contextmanager
    def _session(self) -> Iterator[Session]:
        session = self._open()
        try:
            yield session
        finally:
            session.close()
            self._reporter.closed()
            set_context(namespace=self._options.identity.namespace, session=None)

    def _open(self) -> Session:
        source, identity = self._source, self._options.identity
        options = TreeOptions(source.options.attributes, source.ignore.lines)
        where, count = locate(source.root), self._accounting.wire
        link = Link(self._connect(), self._metadata, identity, options, where, count)
        opened = link.opened
        set_context(namespace=identity.namespace, session=opened.session_id.hex()[:8])
        self._reporter.opened(opened.generation, opened.replica_id)
        source.count(opened.options.attributes)
        source.reserve(opened.reserved_names)
        return self._join(link, fetch(source.tree, opened.root_digest, link.list, source.renames.moved))

    def _join(self, link: Link, replica: Tree) -> Session:
        opened, source, post = link.opened, self._source, self.inbox.post
        # What came back from an earlier session means nothing in this one.
        self.inbox.forget_posts()
        self._history.acknowledged(self._now(), len(replica))
        policy = self._options.policy
        removals = Removals(source, replica, self._state, opened.replica_id, policy, self._history, self._metrics)
        hasher = Hasher(source.root, post)
        contents = Contents()
        stream = PushStream(
            link.caller,
            opened.session_id,
            source.root,
            contents,
            opened.strategies,
            Compressor(self._options.compression, opened.compressions),
            self._bandwidth,
            self._options.block_size,
            post,
            self._accounting.wire,
        )
        preparer = Preparer(
            source.root, self._signatures, link.checksums, stream.outbox.add, hasher, post, self._options.block_size
        )
        renames = Strategy.RENAME in opened.strategies
        cycle = Cycle(
            source,
            replica,
            stream.outbox,
            hasher,
            Router(stream.outbox, preparer, contents, source.glance, opened.strategies),
            Moves(source, lambda: renames and not removals.foreign, leaves=self._options.deletes),
            removals,
            self._history,
            self._schedule,
            self._accounting,
            lambda known, digest: fetch(known, digest, link.list),
            deletes=self._options.deletes,
            now=self._now,
        )
        if self._measures:
            changes = [change.new for change in diff(replica, source.tree, source.problems) if change.new is not None]
            self._planned = (len(changes), sum(entry.size for entry in changes))
        cycle.compare_all()
        return Session(link, stream, hasher, preparer, cycle, removals)

    def _serve(self, session: Session, *, once: bool) -> None:
        while not self.inbox.stopping:
            mail = self.inbox.take()
            # What may end the session comes last: hints and requests outlive it.
            self._take_hints(mail.hints)
            self._take_requests(session, mail)
            self._take_posts(session, mail.posts)
            self._look_where_due(session.cycle)
            self._advance_scan(session)
            session.cycle.advance()
            session.cycle.remove(at_once=once)
            if session.cycle.working:
                self._reporter.active(self._now())
            quiet = self.inbox.empty and self._scan is None and not session.busy
            self._reporter.publish(session, quiet=quiet)
            if once and quiet:
                return
            if quiet:
                session.cycle.rest()
            if self._scan is None and not session.cycle.impatient:
                self.inbox.wait(self._schedule.next_wakeup(self._now()))

    # What came in.

    def _take_posts(self, session: Session, posts: Sequence[Post]) -> None:
        for post in posts:
            match post:
                case Settled():
                    self._progressed = True
                    session.cycle.settled(post)
                case Unsent():
                    session.cycle.unsent(post)
                case Hashed():
                    session.cycle.hashed(post)
                case StreamEnded(error=error):
                    if isinstance(error, DirsyncError):
                        raise error
                    msg = f"the push stream ended: {error}" if error else "the server ended the push stream"
                    raise Unavailable(msg) from error

    def _take_requests(self, session: Session, mail: Mail) -> None:
        for hold_id, answer in mail.approvals:
            answer(session.removals.approve(hold_id))
        for done in mail.syncs:
            self._reporter.active(self._now())
            self._reporter.when_quiet(done)
            self._start_scan(both_sides=True)

    def _take_hints(self, hints: Iterable[tuple[Hint, float]]) -> None:
        for hint, when in hints:
            self._schedule.hint(hint, when)

    def _look_where_due(self, cycle: Cycle) -> None:
        now = self._now()
        due = self._schedule.due(now)
        if due:
            self._reporter.active(now if due.since is None else due.since)
            if due.everything:
                self._start_scan(both_sides=False)
            else:
                self._look(cycle, due)
        if self._schedule.rescan_due(now):
            self._start_scan(both_sides=True)

    def _look(self, cycle: Cycle, due: Due) -> None:
        changed = self._source.look(due.paths)
        changed += [path for path in due.paths if cycle.forget_problem(path)]
        if due.directories:
            changed += [path for step in self._source.scan(due.directories, deep=False) for path in step]
        if self._source.ignore_path in due.paths and self._source.refresh_ignore_rules():
            raise _RulesChanged
        if changed:
            cycle.compare(changed, self._now() if due.since is None else due.since)

    # Scans.

    def _scan_to_the_end(self) -> None:
        self._scan = None
        scan = self._start_scan(both_sides=False)
        while not self.inbox.stopping:
            if scan.advance(self._now, SCAN_SLICE_SECONDS)[1]:
                self._finish_scan(scan)
                return

    def _start_scan(self, *, both_sides: bool) -> SlicedScan:
        if self._scan is not None:
            self._scan.both_sides |= both_sides
            self._scan.again = True
            return self._scan
        self._schedule.rescan_started()
        if self._source.root.state() is RootState.REPLACED:
            self._source.reopen()
        self._scan = SlicedScan(self._source.scan(), both_sides=both_sides, started=self._now())
        return self._scan

    def _advance_scan(self, session: Session) -> None:
        scan = self._scan
        if scan is None:
            return
        changed, done = scan.advance(self._now, SCAN_SLICE_SECONDS)
        if changed:
            if scan.both_sides:
                self._metrics.inc("dirsync_rescan_found_total", len(changed))
            self._reporter.active(self._now())
            session.cycle.compare(changed, self._now())
        if done:
            self._finish_scan(scan)
            session.removals.stale = bool(session.removals)
            if scan.both_sides:
                session.stream.outbox.rescan()
            if scan.again:
                self._start_scan(both_sides=False)
            if self._source.refresh_ignore_rules():
                raise _RulesChanged

    def _finish_scan(self, scan: SlicedScan) -> None:
        self._scan = None
        self.scan_cost = scan.cost
        self._schedule.rescan_finished(self._now(), scan.cost)
        self._reporter.scanned(scan.cost, scan.found, scan.started)

    def _sleep(self, seconds: float) -> None:
        """Wait before connecting again; what comes in meanwhile is taken, so that it cannot pile up."""
        end = self._now() + seconds
        while not self.inbox.stopping and (left := end - self._now()) > 0:
            mail = self.inbox.take()
            self._take_hints(mail.hints)
            for _, answer in mail.approvals:
                answer(0)
            for done in mail.syncs:
                self._reporter.when_quiet(done)
                self._schedule.hint(Hint(ROOT, HintKind.LOST), self._now())
            self.inbox.wait(left)
