"""The client's engine: one thread that looks, decides and hands out work, for as long as the client lives.

Facts go round in one circle. The mailbox gives hints, requests and results; the source is looked at where hints say so;
the reconcilers of the targets decide; their executors act, and what they did comes back through the mailbox. There is
one engine for a source, and a :class:`~dirsync_client.targets.target_engine.TargetEngine` for each server.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.scan.sliced_scan import SlicedScan
from dirsync.endpoint.source.source import Source
from dirsync.endpoint.watch.hint import HintKind
from dirsync.endpoint.watch.schedule import Due, Schedule
from dirsync.fs.failure import PathFailure
from dirsync.fs.root import RootState
from dirsync.tree.path import RelPath
from dirsync_client.lifecycle.activity import Activity, Part
from dirsync_client.lifecycle.ending import Deadlines, Left
from dirsync_client.mailbox import Batch, Mailbox
from dirsync_client.reconcile.events import Event, SourceChanged, SourceScanned
from dirsync_client.report.source_reporter import SourceReporter
from dirsync_client.report.status import State
from dirsync_client.targets.answers import for_all, join_released
from dirsync_client.targets.target_engine import Moment, TargetEngine

SCAN_SLICE_SECONDS = 0.02
"""How long a scan goes on before hints have a turn."""


class Work(NamedTuple):
    """How far a sync is; planned is 0 if it was not measured."""

    files_done: int
    files_planned: int
    bytes_done: int
    bytes_planned: int


class Engine:
    """Keeps the replicas equal to the source. :meth:`run` belongs to one thread; others talk to :attr:`mailbox`."""

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        mailbox: Mailbox,
        targets: Sequence[TargetEngine],
        reporter: SourceReporter,
        activity: Activity | None = None,
        now: Monotonic = monotonic,
    ) -> None:
        """``activity`` is told what the engine's thread does.

        The place of a target in ``targets`` is the number that its completions have in the mailbox.
        """
        self.mailbox = mailbox
        self.targets = tuple(targets)
        self._activity = activity or Activity("the engine", now)
        self.scan_cost = 0.0
        """Seconds that the last scan of the source took."""
        self._source = source
        self._schedule = schedule
        self._reporter = reporter
        self._now = now
        self._scan: SlicedScan | None = None
        self._scanned_rules = source.ignore
        """The ignore rules of the scan that was started last."""
        self._may_connect = False
        """The source was scanned with the ignore rules that a session has to agree on."""
        self._is_ending = False
        self._looked = False
        """A scan of the source that began after the end did is done."""

    def is_idle(self, place: int = 0) -> bool:
        """Whether nothing has come in that concerns the target of this place, and no scan is under way."""
        return self._scan is None and self.mailbox.is_empty_for(place)

    def measure_plans(self) -> None:
        """Find out at the start of each session how much there is to do; costs one more comparison of the trees."""
        for each in self.targets:
            each.target.measures = True

    @property
    def work(self) -> Work:
        """How far the present sync is, of all targets together."""
        done = [each.reporter.progress for each in self.targets]
        planned = [each.target.planned for each in self.targets]
        return Work(
            sum(one.files for one in done),
            sum(one.files for one in planned),
            sum(one.sent_bytes for one in done),
            sum(one.bytes for one in planned),
        )

    def run(self, *, once: bool = False) -> Mapping[str, Left]:
        """Sync until told to end, or, with ``once``, until nothing is left to do.

        Returns:
            If it was told to end: what is not at each server, by the names of the targets.

        Raises:
            UsageError: the server says that this source and its replica cannot be; of several, all do.
            DirsyncError: ``once`` cannot go on with the only target. Without it everything is tried again.
        """
        for each in self.targets:
            each.reporter.state(State.STARTING)
        self._activity.begin(Part.SOURCE)
        self._start_scan(both_sides=False)
        try:
            for each in self.targets if once else ():
                each.connect_early()
            while True:
                quiet = self._step(once=once)
                if once and not self._is_ending and all(each.is_over for each in self.targets):
                    return {}
                self._require_one()
                if self._is_over():
                    return {each.name: each.left(looked=self._looked) for each in self.targets}
                if quiet:
                    for each in self.targets:
                        each.target.rest()
                if self._scan is None:
                    self._sleep()
        finally:
            # How the sync stands is not touched: `once` reads it after this.
            for each in self.targets:
                each.target.begin_close()
            for each in self.targets:
                each.target.close()

    def _require_one(self) -> None:
        """Go on as long as one target does.

        Raises:
            DirsyncError: the first one's, if all have failed.
        """
        errors = [each.error for each in self.targets]
        if errors[0] is not None and all(errors):
            raise errors[0]

    def _step(self, *, once: bool = False) -> bool:
        """One round of the circle; true at a quiet moment, when nothing is known that is left to do.

        With ``once`` a target is over at its first quiet moment.
        """
        activity = self._activity
        activity.begin(Part.CLIENT)
        batch = self.mailbox.take()
        self._take_requests(batch)
        if not self._is_ending and self.mailbox.end_by is not None:
            self._begin_ending(self.mailbox.end_by)
        events: list[Event] = []
        # What the source shows comes first: an answer that ends the session does not lose it.
        activity.begin(Part.SOURCE)
        events += self._look_where_due()
        events += self._advance_scan()
        activity.begin(Part.CLIENT)
        for event in events:
            if isinstance(event, SourceChanged):
                self._reread(event.paths)
        moment = Moment(events, batch.only_hints, self._may_connect, self._schedule.oldest)
        all_quiet = True
        for place, each in enumerate(self.targets):
            completions = [one for one in batch.completions if one.target == place]
            quiet = each.step(moment, completions)
            all_quiet &= quiet
            if quiet and once and not self._is_ending and not each.is_over and not each.has_unseen:
                each.complete()
        return not self._spread() and all_quiet

    def _reread(self, paths: Iterable[RelPath]) -> None:
        """These may have changed: what was read of them for one target is not for another any more."""
        reads = self._source.root.reads
        if reads is not None:
            reads.forget(paths)

    def _spread(self) -> bool:
        """Have each target see what others found out about the source; whether there was anything."""
        if len(self.targets) == 1:
            self.targets[0].target.take_looked()
            return False
        for each in self.targets:
            looked = each.target.take_looked()
            self._reread(looked)
            for other in self.targets if looked else ():
                if other is not each:
                    other.see(looked)
        return any(each.has_unseen for each in self.targets)

    def _sleep(self) -> None:
        now = self._now()
        times = [self._schedule.next_wakeup(now)]
        for each in self.targets:
            target_at, reporter_at = each.wake_at
            if target_at is not None and self._may_connect:
                times.append(target_at - now)
            if reporter_at is not None:
                times.append(reporter_at - now)
            times.append(0.0 if each.has_unseen else each.wake_in(now))
        seconds = min((time for time in times if time is not None), default=None)
        if seconds is None or seconds > 0:
            self._activity.rest()
            self._source.root.forget_all()  # what is kept open keeps a mount busy
            self.mailbox.wait(seconds)

    # The end.

    def _begin_ending(self, deadlines: Deadlines) -> None:
        """Look at everything once more: what a watcher has not told yet would be lost otherwise."""
        self._is_ending = True
        for each in self.targets:
            each.begin_ending(deadlines)
        if deadlines.send_until > self._now():
            self._start_scan(both_sides=False)

    def _is_over(self) -> bool:
        """Whether the engine was told to end, and may."""
        if not self._is_ending:
            return False
        idle = self._scan is None and not len(self._schedule)
        ended = [
            each.is_ended(looked=self._looked, idle=idle, mailbox_empty=partial(self.mailbox.is_empty_for, place))
            for place, each in enumerate(self.targets)
        ]
        return all(ended)

    # What came in.

    def _take_requests(self, batch: Batch) -> None:
        for hint, when in batch.hints:
            self._schedule.hint(hint, when)
        reads = self._source.root.reads
        if reads is not None and any(hint.kind is HintKind.LOST for hint, _ in batch.hints):
            reads.forget_all()
        self._reread(hint.path for hint, _ in batch.hints)
        for approval in batch.approvals:
            answers = [each.approve(approval.hold_id) for each in self._chosen(approval.target)]
            approval.answer(join_released(answers))
        for question in batch.questions:
            self._activity.begin(Part.SOURCE)
            question.answer(self._chosen(question.target)[0].explain(question.path, self._source))
            self._activity.begin(Part.CLIENT)
        for request in batch.syncs:
            chosen = self._chosen(request.target)
            answer = for_all(len(chosen), request.answer)
            for each in chosen:
                each.request_sync(answer)
            self._start_scan(both_sides=True)

    def _chosen(self, name: str) -> Sequence[TargetEngine]:
        """The target of this name; all without a name, or if there is none."""
        return [each for each in self.targets if each.name == name] or self.targets

    # Looking at the source.

    def _look_where_due(self) -> list[Event]:
        now = self._now()
        events: list[Event] = []
        due = self._schedule.due(now)
        if due:
            since = now if due.since is None else due.since
            if due.everything:
                self._mark_dirty(since)
                self._start_scan(both_sides=False)
            else:
                looked = self._look(due)
                if looked.paths or due.directories or not self._source.leaves_out(due.paths):
                    # What is left out begins no cycle: a log of ours there would lead to further lines, for ever.
                    self._mark_dirty(since)
                events.append(looked)
        if not self._is_ending and self._schedule.rescan_due(now):
            self._start_scan(both_sides=True)
        return events

    def _mark_dirty(self, since: float) -> None:
        for each in self.targets:
            each.mark_dirty(since)

    def _disconnect(self) -> None:
        """The sessions have to agree on something else; they are opened after the next scan."""
        for each in self.targets:
            each.disconnect()
        self._may_connect = False

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
            self._disconnect()
            self._start_scan(both_sides=False)

    def _start_scan(self, *, both_sides: bool) -> None:
        if self._scan is not None:
            self._scan.both_sides |= both_sides
            self._scan.again = True
            return
        self._schedule.rescan_started()
        for each in self.targets:
            each.syncs.scan_started()
        if self._source.root.state() is RootState.REPLACED and self._source.reopen():
            # The threads of a session read from the directory that was the source before.
            self._disconnect()
        self._scan = SlicedScan(self._source.scan(), both_sides=both_sides, started=self._now())
        self._scanned_rules = self._source.ignore
        self._scan.is_last = self._is_ending

    def _advance_scan(self) -> list[Event]:
        scan = self._scan
        if scan is None:
            return []
        events: list[Event] = []
        changed, done = scan.advance(self._now, SCAN_SLICE_SECONDS)
        if changed:
            live = [each for each in self.targets if each.target.is_open]
            for each in live:
                each.mark_dirty(self._now())
            self._reporter.found_by_scan(len(changed) if scan.both_sides and live else 0)
            events.append(SourceChanged(changed, retried=changed))
        if done:
            events.append(SourceScanned(scan.both_sides))
            self._finish_scan(scan)
        return events

    def _finish_scan(self, scan: SlicedScan) -> None:
        self._scan = None
        for each in self.targets:
            each.syncs.scan_finished()
        self._looked = scan.is_last
        self._may_connect |= self._scanned_rules is self._source.ignore
        self.scan_cost = scan.cost
        self._schedule.rescan_finished(self._now(), scan.cost)
        self._reporter.scanned(scan.cost, scan.found, scan.started)
        if scan.again:
            self._start_scan(both_sides=False)
        self._refresh_ignore_rules()
