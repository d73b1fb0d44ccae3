"""What came to a source is counted, told and remembered for the status, within bounds."""

from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.tree.entry import file_entry
from dirsync.tree.merge.decision import Conflict
from dirsync.tree.merge.policy import Conflicts, Side
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync_client.reconcile.two_way.commands import Receive, ReportReceived
from dirsync_client.report.received import LATEST_CONFLICTS, ReceivedMetrics
from dirsync_client.report.target_log import TargetLog

ENTRY = file_entry(mode=0o644, size=10, mtime_ns=0)


def test_sums() -> None:
    """Metrics and status say the same: what came, what the source had, and what compression saved."""
    metrics = PrometheusMetrics((), CLIENT_CATALOGUE)
    received = ReceivedMetrics(metrics, TargetLog())
    for number in range(3):
        received.received(ReportReceived(Receive(PutFile(RelPath(b"%d" % number), None, ENTRY)), 100, 20, 3))
    names = ("changes_total", "bytes_total", "reused_bytes_total", "compression_bytes_total")
    values = [metrics.values(f"dirsync_received_{name}")[f"dirsync_received_{name}"][()] for name in names]

    assert [3, 300, 60, 9] == values
    assert (3, 300, 69) == received.totals[:3]


def test_conflicts() -> None:
    """All are counted, by how they were resolved; the latest are named, the newest first."""
    metrics = PrometheusMetrics((), CLIENT_CATALOGUE)
    received = ReceivedMetrics(metrics, TargetLog(), now=lambda: 7.0)
    for number in range(LATEST_CONFLICTS + 5):
        path = RelPath(b"%d" % number)
        resolution = Conflicts.KEEP_BOTH if number % 2 else Conflicts.SOURCE
        received.conflict(Conflict(path, ENTRY, ENTRY, Side.SOURCE, resolution, path if number % 2 else None))
    counted = metrics.values("dirsync_conflicts_total")["dirsync_conflicts_total"]
    latest = received.totals.latest

    assert (13, 12) == (counted["source",], counted["keep-both",])
    assert LATEST_CONFLICTS + 5 == received.totals.conflicts
    assert [b"%d" % number for number in range(LATEST_CONFLICTS + 4, 4, -1)] == [found.path for found in latest]
    assert (b"24", "source", "source", None, 7.0) == latest[0]
