"""The client's engine: one thread that looks, decides and hands out work, for as long as the client lives.

Facts go round in one circle. The mailbox gives hints, requests and results; the source is looked at where hints say so;
the target's reconciler decides; its executors act, and what they did comes back through the mailbox.
"""

from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.scan.sliced_scan import SlicedScan
from dirsync.endpoint.source.source import Source
from dirsync.endpoint.watch.schedule import Due, Schedule
from dirsync.fs.failure import PathFailure
from dirsync.fs.root import RootState
from dirsync_client.lifecycle.activity import Activity, Part
from dirsync_client.lifecycle.ending import Ending, Left, Standing
from dirsync_client.mailbox import Batch, Mailbox
from dirsync_client.reconcile.events import Event, SourceChanged, SourceScanned
from dirsync_client.report.explain import explain
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import State
from dirsync_client.sync_requests import SyncRequests
from dirsync_client.target import Target

SCAN_SLICE_SECONDS = 0.02
"""How long a scan goes on before hints have a turn."""


class Work(NamedTuple):
    """How far a sync is; planned is 0 if it was not measured."""

    files_done: int
    files_planned: int
    bytes_done: int
    bytes_planned: int


class Engine:
    """Keeps the replica equal to the source. :meth:`run` belongs to one thread; others talk to :attr:`mailbox`."""

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        mailbox: Mailbox,
        target: Target,
        reporter: Reporter,
        activity: Activity | None = None,
        now: Monotonic = monotonic,
    ) -> None:
        """``activity`` is told what the engine's thread does."""
        self.mailbox = mailbox
        self._activity = activity or Activity("the engine", now)
        self.scan_cost = 0.0
        """Seconds that the last scan of the source took."""
        self._source = source
        self._schedule = schedule
        self._target = target
        self._reporter = reporter
        self._now = now
        self._scan: SlicedScan | None = None
        self._scanned_rules = source.ignore
        """The ignore rules of the scan that was started last."""
        self._was_quiet = False
        """The last moment that was reported was a quiet one."""
        self._may_connect = False
        """The source was scanned with the ignore rules that a session has to agree on."""
        self._sync_requests = SyncRequests()
        self._ending: Ending | None = None
        self._looked = False
        """A scan of the source that began after the end did is done."""

    def measure_plans(self) -> None:
        """Find out at the start of each session how much there is to do; costs one more comparison of the trees."""
        self._target.measures = True

    @property
    def work(self) -> Work:
        """How far the present sync is."""
        files, size = self._target.planned
        done = self._reporter.progress
        return Work(done.files, files, done.sent_bytes, size)

    def run(self, *, once: bool = False) -> Left | None:
        """Sync until told to end, or, with ``once``, until nothing is left to do.

        Returns:
            What is not at the server, if it was told to end.

        Raises:
            UsageError: the server says that this source and its replica cannot be.
            DirsyncError: ``once`` cannot go on. Without it everything is tried again.
        """
        self._reporter.state(State.STARTING)
        self._activity.begin(Part.SOURCE)
        self._start_scan(both_sides=False)
        try:
            while True:
                quiet = self._step()
                if quiet and once and self._ending is None:
                    return None
                if self._is_over():
                    return self._left()
                if quiet:
                    self._target.rest()
                if self._scan is None:
                    self._sleep()
        finally:
            # How the sync stands is not touched: `once` reads it after this.
            self._target.close()

    def _step(self) -> bool:
        """One round of the circle; true at a quiet moment, when nothing is known that is left to do."""
        target, activity = self._target, self._activity
        activity.begin(Part.CLIENT)
        batch = self.mailbox.take()
        self._take_requests(batch)
        if self._ending is None and self.mailbox.end_by is not None:
            self._begin_ending(Ending(self.mailbox.end_by))
        events: list[Event] = []
        # What the source shows comes first: an answer that ends the session does not lose it.
        activity.begin(Part.SOURCE)
        events += self._look_where_due()
        events += self._advance_scan()
        activity.begin(Part.CLIENT)
        decided = target.advance(events)
        target.take(batch.completions)
        if self._may_connect:
            target.connect_if_due(self._now())
        if target.is_open and target.view.is_changing:
            self._reporter.mark_dirty(self._now())
        quiet = self.mailbox.empty and self._scan is None and target.is_open and not target.view.is_working
        if quiet and self._was_quiet and batch.only_hints and not decided:
            # A file is being written: nothing is new before it is looked at, and that may be due at once.
            return True
        self._was_quiet = quiet
        oldest = self._oldest_change()
        if target.is_open:
            self._reporter.publish(target.view, oldest, quiet=quiet)
            self._sync_requests.advance(target.view, self._now())
        else:
            self._reporter.behind(oldest)
        return quiet

    def _oldest_change(self) -> float | None:
        times = (self._schedule.oldest, self._target.view.oldest_change)
        return min((time for time in times if time is not None), default=None)

    def _sleep(self) -> None:
        now = self._now()
        times = [self._schedule.next_wakeup(now)]
        if self._target.wake_at is not None and self._may_connect:
            times.append(self._target.wake_at - now)
        if self._ending is not None:
            times.append(self._ending.wake_in(now))
        if self._target.is_open and self._reporter.wake_at is not None:
            times.append(self._reporter.wake_at - now)
        seconds = min((time for time in times if time is not None), default=None)
        if seconds is None or seconds > 0:
            self._activity.rest()
            self._source.root.forget_all()  # what is kept open keeps a mount busy
            self.mailbox.wait(seconds)

    # The end.

    def _begin_ending(self, ending: Ending) -> None:
        """Look at everything once more: what a watcher has not told yet would be lost otherwise."""
        self._ending = ending
        self._reporter.state(State.STOPPING)
        self._target.hurry()
        if self.mailbox.end_by is not None and self.mailbox.end_by.send_until > self._now():
            self._start_scan(both_sides=False)

    def _is_over(self) -> bool:
        """Whether the engine was told to end, and may."""
        ending, target = self._ending, self._target
        if ending is None:
            return False
        # Asked before the mailbox: what was committed is posted before it counts as committed.
        committed = target.is_committed
        idle = self.mailbox.empty and self._scan is None and not len(self._schedule)
        # Without a session there is something to wait for only where the replica, as it was last known, differs.
        sending = target.view.is_sending if target.is_open else any(True for _ in target.view.differences)
        working = not idle or sending
        standing = Standing(self._looked, working, committed and self.mailbox.empty, target.refused)
        over = ending.is_over(standing, self._now())
        if not ending.sends:
            target.finish()
        return over

    def _left(self) -> Left:
        paths, number = self._target.differing()
        left = Left(paths, number, self._looked)
        self._reporter.ended(left)
        self._reporter.state(State.STOPPING)
        return left

    # What came in.

    def _take_requests(self, batch: Batch) -> None:
        for hint, when in batch.hints:
            self._schedule.hint(hint, when)
        for hold_id, answer in batch.approvals:
            answer(self._target.approve(hold_id))
        for path, tell in batch.questions:
            self._activity.begin(Part.SOURCE)
            tell(explain(path, self._source, self._target.view, self._reporter.travels))
            self._activity.begin(Part.CLIENT)
        for done in batch.syncs:
            self._reporter.mark_dirty(self._now())
            self._sync_requests.add(done)
            self._start_scan(both_sides=True)

    # Looking at the source.

    def _look_where_due(self) -> list[Event]:
        now = self._now()
        events: list[Event] = []
        due = self._schedule.due(now)
        if due:
            since = now if due.since is None else due.since
            if due.everything:
                self._reporter.mark_dirty(since)
                self._start_scan(both_sides=False)
            else:
                looked = self._look(due)
                if looked.paths or due.directories or not self._source.leaves_out(due.paths):
                    # What is left out begins no cycle: a log of ours there would lead to further lines, for ever.
                    self._reporter.mark_dirty(since)
                events.append(looked)
        if self._ending is None and self._schedule.rescan_due(now):
            self._start_scan(both_sides=True)
        return events

    def _look(self, due: Due) -> SourceChanged:
        changed = self._source.look(due.paths)
        if due.directories:
            changed += [path for step in self._source.scan(due.directories, deep=False) for path in step]
        renamed, self._source.renamed_away = self._source.renamed_away, []
        self._reporter.renamed_away(renamed)
        if self._source.ignore_path in due.paths:
            self._refresh_ignore_rules()
        return SourceChanged(changed, due.since, retried=due.paths)

    def _refresh_ignore_rules(self) -> None:
        """Read the ignore file again. If the rules changed, a new session has to agree on them, after a scan.

        While it cannot be read, the rules stay as they were, and that is a problem.
        """
        try:
            changed = self._source.refresh_ignore_rules()
        except PathFailure as failure:
            self._source.fail(failure.problem())
            return
        if changed:
            self._target.disconnect()
            self._may_connect = False
            self._start_scan(both_sides=False)

    def _start_scan(self, *, both_sides: bool) -> None:
        if self._scan is not None:
            self._scan.both_sides |= both_sides
            self._scan.again = True
            return
        self._schedule.rescan_started()
        self._sync_requests.scan_started()
        if self._source.root.state() is RootState.REPLACED and self._source.reopen():
            # The threads of a session read from the directory that was the source before.
            self._target.disconnect()
            self._may_connect = False
        self._scan = SlicedScan(self._source.scan(), both_sides=both_sides, started=self._now())
        self._scanned_rules = self._source.ignore
        self._scan.is_last = self._ending is not None

    def _advance_scan(self) -> list[Event]:
        scan = self._scan
        if scan is None:
            return []
        events: list[Event] = []
        changed, done = scan.advance(self._now, SCAN_SLICE_SECONDS)
        if changed:
            if self._target.is_open:
                self._reporter.found_by_scan(len(changed) if scan.both_sides else 0)
                self._reporter.mark_dirty(self._now())
            events.append(SourceChanged(changed, retried=changed))
        if done:
            events.append(SourceScanned(scan.both_sides))
            self._finish_scan(scan)
        return events

    def _finish_scan(self, scan: SlicedScan) -> None:
        self._scan = None
        self._sync_requests.scan_finished()
        self._looked = scan.is_last
        self._may_connect |= self._scanned_rules is self._source.ignore
        self.scan_cost = scan.cost
        self._schedule.rescan_finished(self._now(), scan.cost)
        self._reporter.scanned(scan.cost, scan.found, scan.started)
        if scan.again:
            self._start_scan(both_sides=False)
        self._refresh_ignore_rules()
