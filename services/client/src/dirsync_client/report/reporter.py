"""Reports how a sync stands: the status board, the gauges, and the log at the end of a cycle.

A cycle is the time from the first sign of a difference to the next quiet moment, when everything that is known to
differ was settled, held, or found to be a problem.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic, wall_ns
from dirsync.endpoint.source.source import Source
from dirsync.errors import DirsyncError
from dirsync.runtime.hooks.hooks import SILENT, Feed
from dirsync.runtime.log.events import Event
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.guards.hold import Hold
from dirsync.tree.path import RelPath, escape
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.lifecycle.ending import Left
from dirsync_client.lifecycle.readiness import outage
from dirsync_client.reconcile.commands import (
    Report,
    ReportApplied,
    ReportBuilt,
    ReportFailed,
    ReportHold,
    ReportMoved,
    ReportRelease,
    ReportUnchanged,
)
from dirsync_client.reconcile.two_way.commands import ReportConflict, ReportReceived
from dirsync_client.reconcile.view import View
from dirsync_client.report.received import ReceivedMetrics
from dirsync_client.report.status import MAX_SHOWN_PROBLEMS, State, StatusBoard, TwoWayTotals
from dirsync_client.report.transfer_metrics import TransferMetrics
from dirsync_client.report.travels import Travels

PUBLISH_SECONDS = 0.1
"""How often the status is brought up to date while work goes on."""
TELL_SECONDS = 0.005
"""How long after the first sign of a difference the status says so. Most small changes are at the server by then."""


class Progress(NamedTuple):
    """What was done since the last quiet moment."""

    files: int
    sent_bytes: int
    """Of all messages since the start."""


class Measured(NamedTuple):
    """What the gauges show."""

    in_sync: bool
    pending: int
    entries: int
    holds: bool
    problems: Counter[ProblemKind]


class Reporter:
    """The engine's thread only."""

    def __init__(
        self,
        source: Source,
        board: StatusBoard,
        transfer: TransferMetrics,
        metrics: Metrics,
        hooks: Feed = SILENT,
        now: Monotonic = monotonic,
        *,
        two_way: bool = False,
    ) -> None:
        self._log = transfer.log
        self._source = source
        self._board = board
        self._received = ReceivedMetrics(metrics, self._log, now) if two_way else None
        self._transfer = transfer
        self._metrics = metrics
        self._hooks = hooks
        self._now = now
        self._active_since: float | None = None
        """Since when something differs or is under way; ``None`` while all is quiet."""
        self._is_logged = True
        """The start of the present cycle was logged."""
        self._tell_at: float | None = None
        """When the status is to show that a cycle has begun."""
        self._publish_at = 0.0
        """When the status is brought up to date next, while work goes on."""
        self._measured: Measured | None = None
        """What the gauges show, as far as they were not set since; setting them costs more than comparing."""
        self._logged: dict[RelPath, ProblemKind] = {}
        board.update(two_way=self._two_way)

    def state(self, state: State) -> None:
        """The client is somewhere else now."""
        self._board.update(state=state, in_sync=False)

    def about(self, *, session: str | None) -> None:
        """From now on what is logged is about this session."""
        self._log.about(session=session)

    def ended(self, left: Left) -> None:
        """The client ends: say what is not at the server."""
        status = self._board.status
        self._board.update(in_sync=False)
        log = self._log.warning if left else self._log.info
        log(
            Event.CLIENT_STOPPED,
            left=left.number,
            paths=[escape(RelPath(path)) for path in left.paths],
            looked=left.looked,
            held=len(status.hold.operations) if status.hold else 0,
            problems=status.problem_count,
            problem=status.last_error,
        )

    def lost(self, error: DirsyncError) -> None:
        """There is no session any more."""
        self._log.warning(Event.CONNECTION_LOST, reason=error.reason, problem=str(error))
        self._board.update(state=State.CONNECTING, in_sync=False, last_error=str(error))
        self._measure_out_of_sync()

    def given_up(self, error: DirsyncError) -> None:
        """Nothing is sent to this target any more, while others go on."""
        self._log.warning(Event.TARGET_FAILED, reason=error.reason, problem=str(error))
        self._board.update(state=State.STOPPING, in_sync=False, last_error=str(error))
        self._measure_out_of_sync()

    def opened(self, generation: int, replica_id: str) -> None:
        """There is a session. Whether it carries anything is not known yet, so the last error stays."""
        self._log.info(Event.SESSION_OPENED, generation=generation, replica=replica_id)
        self._board.update(state=State.SYNCING)
        self.mark_dirty(self._now())

    def restored(self) -> None:
        """The connection works: something was settled over it, or it has held for a while."""
        if self._board.status.last_error:
            self._log.info(Event.CONNECTION_RESTORED)
            self._board.update(last_error="")

    def closed(self) -> None:
        """The session is over."""
        self._log.info(Event.SESSION_CLOSED)

    def mark_dirty(self, since: float) -> None:
        """Something differs, or may: a cycle goes on, or begins.

        It is told a little later (:attr:`wake_at`), so that sending a small change waits for nothing else.
        """
        if self._active_since is None:
            now = self._now()
            self._active_since = since
            self._is_logged, self._tell_at, self._publish_at = False, now + TELL_SECONDS, now + PUBLISH_SECONDS

    @property
    def wake_at(self) -> float | None:
        """When to call :meth:`publish` at the latest."""
        return self._tell_at

    def _log_start(self) -> None:
        if not self._is_logged:
            self._is_logged = True
            self._log.info(Event.SYNC_STARTED)

    def _tell_start(self) -> None:
        """Tell of a cycle that has begun, and is not over yet."""
        self._tell_at = None
        self._log_start()
        if self._board.status.in_sync:
            self._board.update(state=State.SYNCING, in_sync=False, oldest_change=self._active_since)
            self._measure_out_of_sync()

    def connecting(self) -> None:
        """A session is being opened."""
        self.state(State.CONNECTING)

    def reconnecting(self) -> None:
        """A session was lost, or could not be opened; it is tried again."""
        self._metrics.inc("dirsync_reconnects_total")

    @property
    def travels(self) -> Travels:
        """How paths travelled lately."""
        return self._transfer.travels

    @property
    def progress(self) -> Progress:
        """What was done since the last quiet moment."""
        return Progress(self._transfer.totals.files, self._transfer.sent_bytes)

    def report(self, reports: Iterable[Report]) -> None:
        """Count and log what the reconciler has reported."""
        self._log_start()
        for report in reports:
            match report:
                case ReportApplied(sent=applied):
                    self.mark_dirty(self._now())
                    self._hooks.applied(sent.operation for sent in applied)
                    for sent in applied:
                        self._transfer.applied(sent)
                case ReportBuilt(sent=built, below=below):
                    self.mark_dirty(self._now())
                    self._hooks.applied((built.operation,))
                    self._transfer.built(built, below)
                case ReportMoved(sent=moved, files=files, size=size):
                    self._hooks.applied((moved.operation,))
                    self._transfer.moved(moved, files, size)
                case ReportFailed(sent=failed, failure=failure):
                    self._transfer.failed(failed, failure)
                case ReportUnchanged(entry=entry, moved=True):
                    self._transfer.proved(entry.size)
                case ReportUnchanged(entry=entry):
                    self._transfer.unchanged(entry.size)
                case ReportReceived() | ReportConflict():
                    self._report_two_way(report)
                case ReportHold(hold=hold):
                    self._held(hold)
                case ReportRelease(hold=hold):
                    self._log.info(Event.GUARD_RELEASED, hold=hold.id, guard=hold.guard.value)
        self._transfer.flush()

    def _report_two_way(self, report: ReportReceived | ReportConflict) -> None:
        assert self._received is not None
        if isinstance(report, ReportConflict):
            self._received.conflict(report.conflict)
            return
        self.mark_dirty(self._now())
        self._hooks.applied((report.receive.operation,))
        self._received.received(report)

    def behind(self, oldest_change: float | None) -> None:
        """There is no session; the oldest change that waits for one was noticed then."""
        self._tell_start()
        if oldest_change != self._board.status.oldest_change:
            self._board.update(oldest_change=oldest_change)

    def publish(self, view: View, oldest_change: float | None, *, quiet: bool) -> None:
        """Bring the status up to date; a quiet moment ends the cycle.

        ``oldest_change``: when the oldest one was noticed that is still to be settled.
        """
        now = self._now()
        ended = quiet and self._active_since is not None
        if not quiet and (self._active_since is None or now < self._publish_at):
            # Nothing new is known yet, but that there is something to do.
            if self._tell_at is not None and now >= self._tell_at:
                self._tell_start()
            return
        self._tell_at = None
        self._log_start()
        self._publish_at = now + PUBLISH_SECONDS
        if quiet:
            self.restored()
        source = self._source
        equal = quiet and view.in_sync
        problems, hold = view.problems, view.hold
        done = quiet and hold is None  # what is left has a problem
        status = self._board.status
        self._board.update(
            state=State.LIVE if quiet else State.SYNCING,
            in_sync=equal,
            pending=view.pending,
            oldest_change=None if equal else (view.paced_since if quiet and view.only_paced else oldest_change),
            waiting_since=None if done else oldest_change,
            first_sync_done=status.first_sync_done or done,
            # While it is tried again a path has no problem: that is no reason to call the outage over.
            outage=outage(problems.values()) or ("" if quiet else status.outage),
            last_success=now if equal else status.last_success,
            entries=len(source.tree),
            source_digest=source.tree.digest(),
            replica_digest=view.replica_digest,
            hold=hold,
            problems=tuple(islice(problems.values(), MAX_SHOWN_PROBLEMS)),
            problem_count=len(problems),
            untracked=source.untracked.count,
            untracked_named=source.untracked.named,
            two_way=self._two_way,
            cycles=status.cycles + ended,
        )
        self._transfer.is_live |= quiet
        self._measure(problems.values())
        if equal:
            self._hooks.reached(lambda: view.replica_digest)
        if ended:
            self._end_cycle(view.replica_digest, problems, now)

    @property
    def _two_way(self) -> TwoWayTotals | None:
        return None if self._received is None else self._received.totals

    def _held(self, hold: Hold) -> None:
        self._metrics.inc("dirsync_guard_holds_total", guard=hold.guard.value)
        self._log.warning(
            Event.GUARD_HELD, hold=hold.id, guard=hold.guard.value, paths=len(hold.operations), problem=hold.message
        )

    def _end_cycle(self, root_digest: bytes, problems: Mapping[RelPath, Problem], now: float) -> None:
        assert self._active_since is not None
        self._transfer.completed(root_digest, now - self._active_since)
        self._active_since = None
        for path, problem in problems.items():
            if self._logged.get(path) is not problem.kind:
                self._log.warning(Event.FILE_PROBLEM, path=path, kind=problem.kind, problem=problem.message)
        self._logged = {path: problem.kind for path, problem in problems.items()}

    def _measure_out_of_sync(self) -> None:
        self._metrics.set("dirsync_in_sync", 0)
        self._measured = None

    def _measure(self, problems: Iterable[Problem]) -> None:
        status, metrics = self._board.status, self._metrics
        counts = Counter(problem.kind for problem in problems)
        measured = Measured(status.in_sync, status.pending, status.entries, status.hold is not None, counts)
        if measured != self._measured:
            self._measured = measured
            metrics.set("dirsync_in_sync", measured.in_sync)
            metrics.set("dirsync_pending_changes", measured.pending)
            metrics.set("dirsync_entries", measured.entries)
            metrics.set("dirsync_holds", measured.holds)
            for kind in ProblemKind:
                metrics.set("dirsync_problems", counts[kind], kind=kind)
        if status.in_sync:
            metrics.set("dirsync_last_success_timestamp_seconds", wall_ns() / 1e9)
