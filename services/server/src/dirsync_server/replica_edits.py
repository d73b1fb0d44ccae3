"""Edits of a replica's files by others than its clients, as the log and the metrics tell of them."""

from collections.abc import Sequence

from dirsync.endpoint.changes.hand_edits import HandEdits
from dirsync.endpoint.replica import Replica
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import RelPath, escape


def watch_edits(replica: Replica, metrics: Metrics) -> HandEdits:
    """The watch of a replica's files: it begins when a two-way client wants to know of changes."""
    log = get_logger()
    edits, overflows = metrics.counter("dirsync_replica_edits_total"), metrics.counter("dirsync_watch_overflows_total")

    def found(paths: Sequence[RelPath]) -> None:
        edits.inc(len(paths))
        log.info(Event.REPLICA_EDITED, namespace=replica.namespace, paths=len(paths), path=escape(paths[0]))

    def degraded(reason: str) -> None:
        log.warning(Event.WATCH_DEGRADED, namespace=replica.namespace, reason=reason)

    def overflowed() -> None:
        overflows.inc()
        log.warning(Event.WATCH_OVERFLOW, namespace=replica.namespace)

    return HandEdits(replica, found=found, degraded=degraded, overflowed=overflowed)
