"""Tells the metrics and the hooks what a replica's endpoint reports."""

from collections.abc import Callable, Sequence

from dirsync.endpoint.observer import Lookup, Observer
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
