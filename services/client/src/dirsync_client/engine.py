"""The client's engine: one thread that looks, compares, sends and takes over results, for as long as the client lives.

Watcher, push stream, hasher and agent only post to it; it sleeps on one condition. After a lost connection it goes on
with a new session, whose digests say what is left to do.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import grpc

from dirsync.clock import Monotonic, monotonic, wall_ns
from dirsync.errors import DirsyncError, SessionSuperseded, Unavailable, UsageError
from dirsync.fs.locate import locate
from dirsync.fs.root import RootState
from dirsync.limits import LIMITS
from dirsync.runtime.events import Event
from dirsync.runtime.logging import get_logger, set_context
from dirsync.runtime.metrics import Metrics
from dirsync.tree.diff import diff
from dirsync.tree.guards import GuardPolicy, History
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync_client.accounting import Accounting
from dirsync_client.backoff import Backoff
from dirsync_client.bandwidth import TokenBucket
from dirsync_client.cycle import Cycle
from dirsync_client.hasher import Hashed, Hasher
from dirsync_client.hint import Hint, HintKind
from dirsync_client.link import Identity, Link, MetadataSource
from dirsync_client.push import Compressor, PushStream
from dirsync_client.removals import Removals
from dirsync_client.replica_view import fetch
from dirsync_client.schedule import Schedule
from dirsync_client.sliced_scan import SlicedScan
from dirsync_client.source import Source
from dirsync_client.state import StateDirectory
from dirsync_client.status import State, StatusBoard
from dirsync_client.ticket import Settled, StreamEnded, Unsent

ONCE_CONNECT_SECONDS = 30.0
"""How long ``once`` tries to reach a server before it gives up."""
SCAN_SLICE_SECONDS = 0.02
"""How long a scan goes on before hints have a turn."""
PUBLISH_SECONDS = 0.1
"""How often the status is brought up to date while work goes on."""
MAX_SHOWN_PROBLEMS = 10_000
"""Problems that the status lists; the metrics count all."""

Post = Settled | Unsent | StreamEnded | Hashed
Connect = Callable[[], grpc.Channel]


class EngineOptions(NamedTuple):
    """How the engine goes about it."""

    identity: Identity
    compression: str = "auto"
    bandwidth_limit: int = 0
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


class _Session:
    """What belongs to one session."""

    def __init__(self, link: Link, stream: PushStream, hasher: Hasher, cycle: Cycle, removals: Removals) -> None:
        self.link = link
        self.stream = stream
        self.hasher = hasher
        self.cycle = cycle
        self.removals = removals

    def close(self) -> None:
        self.stream.close()
        self.hasher.close()
        self.link.close()


class Engine:
    """Keeps the replica equal to the source. :meth:`run` belongs to one thread, everything else public to any."""

    def __init__(  # the parts that the app joins
        self,
        source: Source,
        state: StateDirectory,
        schedule: Schedule,
        status: StatusBoard,
        metrics: Metrics,
        connect: Connect,
        metadata: MetadataSource,
        options: EngineOptions,
        *,
        now: Monotonic = monotonic,
    ) -> None:
        self._source = source
        self._state = state
        self._schedule = schedule
        self._status = status
        self._metrics = metrics
        self._connect = connect
        self._metadata = metadata
        self._options = options
        self._now = now
        self._log = get_logger()
        self._accounting = Accounting(metrics, now)
        self._bandwidth = TokenBucket(options.bandwidth_limit)
        self._history = History(now(), 0, options.policy.window_seconds)
        self._wake = threading.Condition()
        self._posts: deque[Post] = deque()
        self._hints: list[tuple[Hint, float]] = []
        self._approvals: list[tuple[str, Callable[[int], None]]] = []
        self._sync_requests: list[Callable[[], None]] = []
        self._stopping = False
        self._scan: SlicedScan | None = None
        self._waiting_for_quiet: list[Callable[[], None]] = []
        self._active_since: float | None = None
        """Since when something differs or is under way; ``None`` while all is quiet."""
        self._published = 0.0
        self._told: dict[RelPath, ProblemKind] = {}
        self.scan_cost = 0.0
        """Seconds that the last scan of the source took."""
        self._measures = False
        self._planned = (0, 0)

    def hint(self, hint: Hint) -> None:
        """Something may have changed."""
        with self._wake:
            if len(self._hints) >= LIMITS.max_dirty_paths:
                self._hints = [(Hint(ROOT, HintKind.LOST), self._now())]
            self._hints.append((hint, self._now()))
            self._wake.notify()

    def post(self, event: Post) -> None:
        """Something came back."""
        with self._wake:
            self._posts.append(event)
            self._wake.notify()

    def sync_now(self, answer: Callable[[], None]) -> None:
        """Look at everything now, and call ``answer`` when both sides were compared and nothing is under way."""
        with self._wake:
            self._sync_requests.append(answer)
            self._wake.notify()

    def approve(self, hold_id: str, answer: Callable[[int], None]) -> None:
        """Release a hold; ``answer`` is told how many operations that were, 0 if there is no such hold."""
        with self._wake:
            self._approvals.append((hold_id, answer))
            self._wake.notify()

    def stop(self) -> None:
        """Make :meth:`run` return soon."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def measure_plans(self) -> None:
        """Find out at the start of each session how much there is to do; costs one more comparison of the trees."""
        self._measures = True

    @property
    def work(self) -> Work:
        """How far the present sync is."""
        files, size = self._planned
        sent = int(self._metrics.value("dirsync_wire_bytes_total", direction="sent"))
        return Work(self._accounting.totals.files, files, sent, size)

    def run(self, *, once: bool = False) -> None:
        """Sync until stopped, or, with ``once``, until nothing is left to do.

        Raises:
            UsageError: the server says that this source and its replica cannot be.
            DirsyncError: ``once`` cannot go on. Without it everything is tried again.
        """
        backoff = Backoff()
        deadline = self._now() + ONCE_CONNECT_SECONDS
        self._scan_to_the_end()
        while not self._stopping:
            self._status.update(state=State.CONNECTING, in_sync=False)
            try:
                session = self._open()
                deadline = self._now() + ONCE_CONNECT_SECONDS
                backoff.reset()
                if once:
                    session.stream.outbox.rescan()  # nobody has looked at the replica since the last run
                try:
                    self._serve(session, once=once)
                finally:
                    self._close(session)
                if once:
                    return
            except _RulesChanged:
                self._scan_to_the_end()
            except UsageError:
                # Trying again cannot help: a person has to choose another directory.
                raise
            except DirsyncError as error:
                self._lost(error)
                if once and (not isinstance(error, Unavailable) or self._now() > deadline):
                    raise
                # Whoever was superseded by a newer process of his own comes back rarely.
                self._sleep(backoff.ceiling if isinstance(error, SessionSuperseded) else backoff.next())
                self._metrics.inc("dirsync_reconnects_total")
        self._status.update(state=State.STOPPING)

    # Sessions.

    def _open(self) -> _Session:
        options = TreeOptions(self._source.options.attributes, self._source.ignore.lines)
        link = Link(self._connect(), self._metadata, self._options.identity, options, locate(self._source.root))
        opened = link.opened
        set_context(namespace=self._options.identity.namespace, session=opened.session_id.hex()[:8])
        self._log.info(Event.SESSION_OPENED, generation=opened.generation, replica=opened.replica_id)
        if self._status.status.last_error:
            self._log.info(Event.CONNECTION_RESTORED)
        self._status.update(state=State.SYNCING, last_error="")
        self._activate(self._now())
        self._source.count(opened.options.attributes)
        self._source.reserve(opened.reserved_names)
        replica = fetch(self._source.tree, opened.root_digest, link.list)
        return self._join(link, replica)

    def _join(self, link: Link, replica: Tree) -> _Session:
        opened, source = link.opened, self._source
        self._history.acknowledged(self._now(), len(replica))
        policy = self._options.policy
        removals = Removals(source, replica, self._state, opened.replica_id, policy, self._history, self._metrics)
        hasher = Hasher(source.root, self.post)
        compressor = Compressor(self._options.compression, opened.compressions)
        stream = PushStream(
            link.caller, opened.session_id, source.root, compressor, self._bandwidth, self.post, self._accounting.wire
        )
        cycle = Cycle(
            source,
            replica,
            stream.outbox,
            hasher,
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
        return _Session(link, stream, hasher, cycle, removals)

    def _close(self, session: _Session) -> None:
        session.close()
        self._posts.clear()
        self._log.info(Event.SESSION_CLOSED)
        set_context(namespace=self._options.identity.namespace, session=None)

    def _serve(self, session: _Session, *, once: bool) -> None:
        while not self._stopping:
            self._take_posts(session)
            self._take_requests(session)
            self._take_hints(session.cycle)
            self._advance_scan(session)
            session.cycle.advance()
            session.cycle.remove(at_once=once)
            quiet = self._is_quiet(session)
            if session.cycle.working:
                self._activate(self._now())
            self._publish(session, quiet=quiet)
            if once and quiet:
                return
            self._wait(session)

    def _lost(self, error: DirsyncError) -> None:
        self._log.warning(Event.CONNECTION_LOST, reason=error.reason, problem=str(error))
        self._status.update(state=State.CONNECTING, in_sync=False, last_error=str(error))
        self._metrics.set("dirsync_in_sync", 0)

    # What came in.

    def _take_posts(self, session: _Session) -> None:
        while self._posts:
            post = self._posts.popleft()
            match post:
                case Settled():
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

    def _take_requests(self, session: _Session) -> None:
        with self._wake:
            approvals, self._approvals = self._approvals, []
            requests, self._sync_requests = self._sync_requests, []
        for hold_id, answer in approvals:
            answer(session.removals.approve(hold_id))
        if requests:
            self._activate(self._now())
            self._waiting_for_quiet += requests
            self._start_scan(both_sides=True)

    def _take_hints(self, cycle: Cycle) -> None:
        now = self._now()
        self._drain_hints()
        due = self._schedule.due(now)
        if due:
            self._activate(due.since if due.since is not None else now)
            if due.everything:
                self._start_scan(both_sides=False)
            else:
                self._look(cycle, due.paths, due.directories, due.since or now)
        if self._schedule.rescan_due(now):
            self._start_scan(both_sides=True)

    def _drain_hints(self) -> None:
        with self._wake:
            hints, self._hints = self._hints, []
        for hint, when in hints:
            self._schedule.hint(hint, when)

    def _look(self, cycle: Cycle, paths: list[RelPath], directories: list[RelPath], since: float) -> None:
        changed = self._source.look(paths)
        changed += [path for path in paths if cycle.forget_problem(path)]
        if directories:
            changed += [path for step in self._source.scan(directories, deep=False) for path in step]
        if self._source.ignore_path in paths and self._source.refresh_ignore_rules():
            raise _RulesChanged
        if changed:
            cycle.compare(changed, since)

    # Scans.

    def _scan_to_the_end(self) -> None:
        self._status.update(state=State.STARTING)
        self._scan = None
        scan = self._start_scan(both_sides=False)
        while not self._stopping:
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

    def _advance_scan(self, session: _Session) -> None:
        scan = self._scan
        if scan is None:
            return
        changed, done = scan.advance(self._now, SCAN_SLICE_SECONDS)
        if changed:
            if scan.both_sides:
                self._metrics.inc("dirsync_rescan_found_total", len(changed))
            self._activate(self._now())
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
        now = self._now()
        self.scan_cost = scan.cost
        self._schedule.rescan_finished(now, scan.cost)
        self._metrics.observe("dirsync_scan_duration_seconds", now - scan.started)
        self._log.info(
            Event.RESCAN_COMPLETED,
            entries=len(self._source.tree),
            found=scan.found,
            duration_ms=round((now - scan.started) * 1000, 1),
        )

    # Quiet and waiting.

    def _activate(self, since: float) -> None:
        if self._active_since is None:
            self._active_since = since
            self._log.debug(Event.SYNC_STARTED)

    def _is_quiet(self, session: _Session) -> bool:
        with self._wake:
            if self._posts or self._hints or self._sync_requests:
                return False
        settling = session.removals.stale and bool(session.removals)
        return not (session.cycle.working or settling or self._scan or session.stream.outbox.rescanning)

    def _publish(self, session: _Session, *, quiet: bool) -> None:
        now = self._now()
        ended = quiet and self._active_since is not None
        if not quiet and (self._active_since is None or now - self._published < PUBLISH_SECONDS):
            return  # whoever only looks knows nothing new yet
        self._published = now
        cycle, source = session.cycle, self._source
        equal = quiet and cycle.equal
        if equal:
            session.removals.settled()
        problems = {**cycle.problems, **source.problems}
        status = self._status.status
        self._status.update(
            state=State.LIVE if quiet else State.SYNCING,
            in_sync=equal,
            pending=cycle.pending,
            oldest_change=None if equal else self._active_since or status.oldest_change,
            last_success=now if equal else status.last_success,
            entries=len(source.tree),
            source_digest=source.tree.digest(),
            replica_digest=cycle.replica.digest(),
            hold=session.removals.hold,
            problems=tuple(islice(problems.values(), MAX_SHOWN_PROBLEMS)),
            untracked=source.untracked,
            cycles=status.cycles + ended,
        )
        self._measure(problems.values(), in_sync=equal)
        if ended:
            self._end_cycle(cycle, problems, now)

    def _end_cycle(self, cycle: Cycle, problems: Mapping[RelPath, Problem], now: float) -> None:
        assert self._active_since is not None
        self._accounting.completed(cycle.replica.digest(), now - self._active_since)
        self._active_since = None
        for path, problem in problems.items():
            if self._told.get(path) is not problem.kind:
                self._log.warning(Event.FILE_PROBLEM, path=path, kind=problem.kind, problem=problem.message)
        self._told = {path: problem.kind for path, problem in problems.items()}
        waiting, self._waiting_for_quiet = self._waiting_for_quiet, []
        for answer in waiting:
            answer()

    def _measure(self, problems: Iterable[Problem], *, in_sync: bool) -> None:
        status, metrics = self._status.status, self._metrics
        metrics.set("dirsync_in_sync", in_sync)
        metrics.set("dirsync_pending_changes", status.pending)
        metrics.set("dirsync_entries", status.entries)
        metrics.set("dirsync_holds", status.hold is not None)
        counts = Counter(problem.kind for problem in problems)
        for kind in ProblemKind:
            metrics.set("dirsync_problems", counts[kind], kind=kind)
        if in_sync:
            metrics.set("dirsync_last_success_timestamp_seconds", wall_ns() / 1e9)

    def _wait(self, session: _Session) -> None:
        now = self._now()
        if self._scan is not None or session.cycle.impatient:
            return
        wakeup = self._schedule.next_wakeup(now)
        with self._wake:
            if self._posts or self._hints or self._approvals or self._sync_requests or self._stopping:
                return
            self._wake.wait(wakeup)

    def _sleep(self, seconds: float) -> None:
        end = self._now() + seconds
        while not self._stopping and (left := end - self._now()) > 0:
            self._drain_hints()
            with self._wake:
                self._wake.wait(left)
