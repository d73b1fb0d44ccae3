"""What came to the source, and what became of conflicts: counted for the metrics and the status, told in the log."""

from collections import deque

from dirsync.clock import Monotonic, monotonic
from dirsync.runtime.log.events import Event
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.merge.decision import Conflict
from dirsync.tree.plan import OPERATION_NAMES, PutFile
from dirsync_client.reconcile.two_way.commands import ReportReceived
from dirsync_client.report.status import KeptConflict, TwoWayTotals
from dirsync_client.report.target_log import TargetLog

LATEST_CONFLICTS = 20
"""Conflicts that the status names."""


class ReceivedMetrics:
    """Of a two-way client. The engine's thread only."""

    def __init__(self, metrics: Metrics, log: TargetLog, now: Monotonic = monotonic) -> None:
        self._log = log
        self._metrics = metrics
        self._now = now
        self._latest: deque[KeptConflict] = deque(maxlen=LATEST_CONFLICTS)
        self._totals = TwoWayTotals()

    @property
    def totals(self) -> TwoWayTotals:
        """Sums since the start, and the latest conflicts."""
        return self._totals

    def received(self, report: ReportReceived) -> None:
        """Something was applied at the source."""
        step = report.receive.operation
        received, reused, compressed = report.received_bytes, report.reused_bytes, report.compressed_bytes
        self._metrics.inc("dirsync_received_changes_total")
        self._metrics.counter("dirsync_received_bytes_total").inc(received)
        self._metrics.counter("dirsync_received_reused_bytes_total").inc(reused)
        self._metrics.counter("dirsync_received_compression_bytes_total").inc(compressed)
        self._metrics.counter("dirsync_resumed_bytes_total").inc(report.resumed_bytes)
        totals = self._totals
        self._totals = totals._replace(
            received_changes=totals.received_changes + 1,
            received_bytes=totals.received_bytes + received,
            saved_bytes=totals.saved_bytes + reused + compressed,
        )
        self._log.info(
            Event.FILE_RECEIVED,
            path=step.path,
            operation=OPERATION_NAMES[type(step)],
            size=step.entry.size if isinstance(step, PutFile) else 0,
            received_bytes=received,
            reused_bytes=reused,
            saved_bytes=reused + compressed,
        )

    def conflict(self, conflict: Conflict) -> None:
        """Both sides had changed a path."""
        winner, resolution = conflict.winner.value, conflict.resolution.value
        self._metrics.counter("dirsync_conflicts_total", resolution=resolution).inc()
        self._latest.appendleft(KeptConflict(conflict.path, winner, resolution, conflict.kept_as, self._now()))
        self._totals = self._totals._replace(conflicts=self._totals.conflicts + 1, latest=tuple(self._latest))
        kept = {} if conflict.kept_as is None else {"kept_as": conflict.kept_as}
        self._log.warning(Event.CONFLICT_KEPT, path=conflict.path, winner=winner, resolution=resolution, **kept)
