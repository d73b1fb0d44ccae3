"""What came to the source, and what became of conflicts: counted for the metrics, told in the log."""

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.merge.decision import Conflict
from dirsync.tree.plan import OPERATION_NAMES, PutFile
from dirsync_client.reconcile.two_way.commands import ReportReceived


class ReceivedMetrics:
    """Of a two-way client. The engine's thread only."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = get_logger()
        self._metrics = metrics

    def received(self, report: ReportReceived) -> None:
        """Something was applied at the source."""
        step = report.receive.operation
        self._metrics.inc("dirsync_received_changes_total")
        self._metrics.counter("dirsync_received_bytes_total").inc(report.received_bytes)
        self._metrics.counter("dirsync_received_reused_bytes_total").inc(report.reused_bytes)
        self._log.info(
            Event.FILE_RECEIVED,
            path=step.path,
            operation=OPERATION_NAMES[type(step)],
            size=step.entry.size if isinstance(step, PutFile) else 0,
            received_bytes=report.received_bytes,
            reused_bytes=report.reused_bytes,
        )

    def conflict(self, conflict: Conflict) -> None:
        """Both sides had changed a path."""
        self._metrics.counter("dirsync_conflicts_total", resolution=conflict.resolution.value).inc()
        self._log.warning(
            Event.CONFLICT_KEPT,
            path=conflict.path,
            winner=conflict.winner.value,
            resolution=conflict.resolution.value,
            kept_as=conflict.kept_as,
        )
