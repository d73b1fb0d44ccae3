"""The client's status page: what it says at one moment, and what is remembered for it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from dirsync.clock import monotonic
from dirsync.runtime.http.server import Answer
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.page.document import common, time_of
from dirsync.runtime.page.history import History
from dirsync.runtime.page.page import page_routes
from dirsync.runtime.page.readings import Readings
from dirsync.runtime.page.recent_events import LastEvents
from dirsync.runtime.page.shorten import PATH_BYTES, quote_path, shorten, shorten_path
from dirsync.tree.guards.hold import Hold
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.report.document import (
    ClientDocument,
    Conflicts,
    ConflictShown,
    Held,
    Problems,
    ProblemShown,
    ProblemsOfKind,
    Sync,
    Targets,
    TargetShown,
    TwoWay,
    UntrackedPaths,
    UntrackedShown,
    Watch,
)
from dirsync_client.report.status import Status, TwoWayTotals
from dirsync_client.report.verdict import ADVICE, approve, hold_reason, verdict
from dirsync_client.targets.boards import Boards
from dirsync_client.targets.place import TargetPlace

SHOWN = 10
"""Paths of a hold, problems, and untracked paths that are shown of each."""
SHOWN_TARGETS = 16
"""Servers that are shown."""
SETTINGS = (
    "mode",
    "conflicts",
    "watch",
    "settle",
    "rescan_interval",
    "poll_interval",
    "delete",
    "delete_settle",
    "guard_max_delete_percent",
    "guard_max_delete_count",
    "block_size",
    "compression",
    "bandwidth_limit",
    "symlinks",
    "preserve_mtime",
)
"""Settings that are shown: none that is a path or a secret."""


class StatusPage:
    """Listens to the log and remembers the last hour, from its making to :meth:`close`."""

    def __init__(
        self,
        boards: Boards,
        metrics: PrometheusMetrics,
        settings: Mapping[str, str | None],
        targets: Sequence[TargetPlace],
    ) -> None:
        """``settings``: all of them, as they would be written."""
        self._boards = boards
        self._targets = targets
        self._readings = Readings(metrics)
        self._settings = settings
        self._names = settings["agent_token_file"] is None
        self._events = LastEvents(names=self._names)
        self._history = History(("sent_bytes", "saved_bytes", "changes"), ("lag_seconds",))
        self._started = monotonic()
        self.look()

    @property
    def routes(self) -> Mapping[str, Callable[[], Answer]]:
        """What answers over HTTP."""
        return page_routes(lambda: self.document)

    def look(self) -> None:
        """Remember what is now; called every half a second."""
        lag = self._boards.lag()
        self._history.observe(monotonic(), lambda: self._readings.totals, {"lag_seconds": lag})

    def close(self) -> None:
        """Listen no more."""
        self._events.close()

    @property
    def document(self) -> ClientDocument:
        """What is shown now."""
        status, settings = self._boards.status, self._settings
        return ClientDocument(
            **common(self._started, self._history),
            service="client",
            ready=not status.not_ready_reason,
            verdict=verdict(status, names=self._names),
            traffic=self._readings.traffic,
            events=self._events.events,
            settings={name.upper(): settings[name] or "" for name in SETTINGS},
            server=shorten(settings["server"] or ""),
            namespace=shorten(settings["namespace"] or ""),
            names_shown=self._names,
            sync=self._sync(status),
            targets=self._each(),
            hold=self._hold(status.hold),
            problems=self._problems(status),
            untracked=UntrackedPaths(
                count=status.untracked,
                shown=[
                    UntrackedShown(path=shorten_path(path), reason=kind.sentence)
                    for path, kind in status.untracked_named[: self._shown]
                ],
            ),
            two_way=None if status.two_way is None else self._two_way(status.two_way),
            watch=Watch(
                mode=status.watch,
                watches=self._readings.number("dirsync_watches"),
                overflows=self._readings.number("dirsync_watch_overflows_total"),
            ),
        )

    @property
    def _shown(self) -> int:
        return SHOWN if self._names else 0

    def _sync(self, status: Status) -> Sync:
        success = status.last_success
        return Sync(
            state=status.state.value,
            in_sync=status.in_sync,
            first_sync_done=status.first_sync_done,
            pending=status.pending,
            lag_seconds=round(self._boards.lag(), 3),
            entries=status.entries,
            last_success=None if success is None else time_of(success),
            source_digest=status.source_digest.hex(),
            replica_digest=status.replica_digest.hex(),
        )

    def _each(self) -> Targets:
        if not self._boards.are_named:
            return Targets(count=0, in_sync=0, shown=[], more=0)
        statuses = self._boards.statuses()
        equal = sum(status.in_sync for status in statuses.values())
        # What needs a look comes first.
        targets = sorted(self._targets, key=lambda target: statuses[target.name].in_sync)
        shown = [self._target(target, statuses[target.name]) for target in targets[:SHOWN_TARGETS]]
        return Targets(count=len(targets), in_sync=equal, shown=shown, more=len(targets) - len(shown))

    def _target(self, target: TargetPlace, status: Status) -> TargetShown:
        found = verdict(status, names=self._names)
        return TargetShown(
            target=shorten(target.name),
            server=shorten(str(target.address)),
            namespace=target.namespace,
            state=found.state,
            text=found.text,
            in_sync=status.in_sync,
            pending=status.pending,
            lag_seconds=round(self._boards.by_name[target.name].lag(), 3),
            command="" if status.hold is None else f"{approve(status.hold.id)} --target {shorten(target.name)}",
        )

    def _hold(self, hold: Hold | None) -> Held | None:
        if hold is None:
            return None
        # Deletes stand in the order in which they would be sent, what is in a directory first.
        shown = [shorten_path(operation.path) for operation in hold.operations[: -self._shown - 1 : -1]]
        return Held(
            id=hold.id,
            guard=hold.guard.value,
            paths=len(hold.operations),
            message=shorten(hold_reason(hold, names=self._names)),
            shown=shown,
            more=len(hold.operations) - len(shown),
            command=approve(hold.id),
        )

    def _two_way(self, totals: TwoWayTotals) -> TwoWay:
        shown = [
            ConflictShown(
                path=shorten_path(found.path),
                winner=found.winner,
                resolution=found.resolution,
                kept_as="" if found.kept_as is None else shorten_path(found.kept_as),
                time=time_of(found.at),
            )
            for found in totals.latest[: self._shown]
        ]
        return TwoWay(
            received_changes=totals.received_changes,
            received_bytes=totals.received_bytes,
            saved_bytes=totals.saved_bytes,
            conflicts=Conflicts(count=totals.conflicts, shown=shown, more=totals.conflicts - len(shown)),
        )

    def _problems(self, status: Status) -> Problems:
        counts = self._readings.by_label("dirsync_problems")
        shown = [_problem(problem) for problem in islice(status.problems, self._shown)]
        return Problems(
            count=status.problem_count,
            kinds=[
                ProblemsOfKind(kind=kind.value, count=counts[kind], advice=ADVICE[kind])
                for kind in ProblemKind
                if counts[kind]
            ],
            shown=shown,
            more=status.problem_count - len(shown),
        )


def _problem(problem: Problem) -> ProblemShown:
    command = f"dirsync-client explain {quote_path(problem.path)}" if len(problem.path) <= PATH_BYTES else ""
    return ProblemShown(
        path=shorten_path(problem.path), kind=problem.kind.value, message=shorten(problem.message), command=command
    )
