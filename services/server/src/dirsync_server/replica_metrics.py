"""Tells the metrics and the hooks what a replica's endpoint reports, and measures how full it is."""

from collections.abc import Callable, Sequence

from dirsync.endpoint.observer import Lookup, Observer
from dirsync.endpoint.replica import Replica
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.runtime.hooks.hooks import NO_HOOKS, Hooks
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.plan import Operation


class ReplicaMetrics(Observer):
    """The metrics and hooks of all replicas of a server."""

    def __init__(self, metrics: Metrics, hooks: Hooks = NO_HOOKS) -> None:
        lookups = metrics.family("dirsync_cache_lookups_total")
        self._metrics = metrics
        self._hooks = hooks
        self._content = {result: lookups["content", result.value] for result in Lookup}
        self._hashed = metrics.counter("dirsync_hashed_bytes_total")
        self._differences = metrics.counter("dirsync_rescan_found_total")

    def directory_scanned(self, scan: DirectoryScan) -> None:
        """Count what the index proved."""
        self._metrics.count_lookup("index", hits=scan.proved, misses=scan.unknown, stale=scan.stale)

    def bytes_hashed(self, count: int) -> None:
        """Count bytes that were read for digests."""
        self._hashed.inc(count)

    def differences_found(self, count: int) -> None:
        """Count what only a scan found."""
        self._differences.inc(count)

    def content_looked_up(self, result: Lookup) -> None:
        """Count searches for content."""
        self._content[result].inc()

    def committed(self, namespace: str, operations: Sequence[Operation], root_digest: Callable[[], bytes]) -> None:
        """Tell the hooks what was changed."""
        feed = self._hooks.feed(namespace)
        feed.applied(operations)
        feed.reached(root_digest)

    def forget(self, namespace: str) -> None:
        """A replica is not open here any more."""
        for name in ("dirsync_replica_bytes", "dirsync_replica_entries"):
            self._metrics.set(name, 0, namespace=namespace)

    def measure(self, replica: Replica) -> None:
        """Show how much a replica holds, may hold, and has room for. Not for a scrape: its disk may not answer."""
        quota, disk = replica.policy.quota, replica.root.disk()
        namespace = replica.namespace
        self._metrics.set("dirsync_replica_bytes", replica.state.total_bytes, namespace=namespace)
        self._metrics.set("dirsync_replica_entries", replica.totals().entries, namespace=namespace)
        self._metrics.set("dirsync_quota_bytes", quota.max_bytes, namespace=namespace)
        self._metrics.set("dirsync_quota_entries", quota.max_entries, namespace=namespace)
        self._metrics.set("dirsync_disk_bytes", disk.size, namespace=namespace)
        self._metrics.set("dirsync_disk_free_bytes", disk.free, namespace=namespace)
        self._metrics.set("dirsync_disk_reserved_bytes", quota.min_free_bytes, namespace=namespace)
