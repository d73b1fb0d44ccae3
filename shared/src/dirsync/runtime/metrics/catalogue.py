"""Every metric as data: name, type, help, label values. A contract that dashboards rely on; it changes only by adding.

Label values are closed sets, so the number of time series is known before the first request: no path, no peer, nothing
from outside is ever a label. What a server measures of each replica has the namespaces of its settings as a label. A
service shows only what it measures: a gauge that nothing sets would claim that nothing is pending where that is not
known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from dirsync.errors import DirsyncError
from dirsync.tree.merge.policy import Conflicts
from dirsync.tree.plan import OPERATION_NAMES
from dirsync.tree.problem import ProblemKind
from dirsync.tree.strategy import CHOICES, Strategy

FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations of milliseconds: calls, changes on their way."""
SLOW_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Buckets for durations that grow with the tree: scans, cycles."""


class MetricType(StrEnum):
    """How a value changes over time."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; ``series`` are all combinations of label values that exist, in the order of ``labels``."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    buckets: tuple[float, ...] = ()

    def by(self, label: str, values: tuple[str, ...]) -> "Metric":
        """This metric with one more label, which has these values."""
        series = tuple((*known, value) for known in self.series for value in values)
        return replace(self, labels=(*self.labels, label), series=series)


TARGET = "target"
"""The label by which a client with several servers tells them apart."""
REASONS_SAVED = ("delta", "dedup", "rename", "unchanged", "compression")
STRATEGIES = tuple(strategy.value for strategy in Strategy)
OPERATIONS = tuple(OPERATION_NAMES.values())
OUTCOMES = ("applied", "changed", "mismatch", "storage", "refused", "limit", "unsupported")
HOOKS = ("command", "webhook")
TAKEOVERS = ("released", "gone", "slow")
HOOK_OUTCOMES = ("succeeded", "failed", "timed_out")
GUARDS = ("delete_percent", "delete_count", "root_emptied", "root_changed", "mount_changed", "foreign")
WATCH_MODES = ("native", "poll", "off")
CONFLICTS = tuple(policy.value for policy in Conflicts)
REPORTS = ("changes", "everything", "digest")
REJECTIONS = (
    "invalid_message",
    "invalid_path",
    "out_of_turn",
    "limit",
    "session_unknown",
    "replica_busy",
    "session_superseded",
    "options_differ",
    "unauthenticated",
    "permission_denied",
    "rate_limited",
    "not_found",
    "storage",
    "unavailable",
    "other",
)


def rejection(error: DirsyncError) -> str:
    """The ``reason`` label of ``dirsync_rejected_total`` for an error."""
    words = [error.reason, *(getattr(kind, "default_reason", "") for kind in type(error).__mro__)]
    return next((word.lower() for word in words if word.lower() in REJECTIONS), "other")


def _counter(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, MetricType.COUNTER, text, tuple(labels), tuple(product(*labels.values())))


def _gauge(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, MetricType.GAUGE, text, tuple(labels), tuple(product(*labels.values())))


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, MetricType.HISTOGRAM, text, buckets=buckets)


_BOTH: tuple[Metric, ...] = (
    _counter("dirsync_saved_bytes_total", "Bytes that did not have to be sent, by reason.", reason=REASONS_SAVED),
    _counter(
        "dirsync_cache_lookups_total",
        "Lookups in caches, by cache and result.",
        cache=("content", "index", "signature"),
        result=("hit", "miss", "stale"),
    ),
    _counter("dirsync_logical_bytes_total", "Content of transferred files, before any saving."),
    _counter("dirsync_literal_bytes_total", "Content that the replica did not have, before compression."),
    _counter("dirsync_wire_bytes_total", "Bytes of messages, by direction.", direction=("sent", "received")),
    _counter("dirsync_files_transferred_total", "Files transferred, by strategy.", strategy=STRATEGIES),
    _counter(
        "dirsync_changes_applied_total",
        "Operations on the replica, by kind and outcome.",
        operation=OPERATIONS,
        outcome=OUTCOMES,
    ),
    _gauge("dirsync_entries", "Entries in the tree."),
    _histogram("dirsync_scan_duration_seconds", "Full scans of a tree.", SLOW_SECONDS),
    _counter("dirsync_hashed_bytes_total", "File content read and hashed."),
    _counter(
        "dirsync_resumed_bytes_total",
        "Content of interrupted uploads and downloads that did not have to be sent again.",
    ),
    _counter("dirsync_rescan_found_total", "Changes that only a rescan found."),
    _gauge("dirsync_watches", "Directories watched for changes."),
    _counter("dirsync_watch_overflows_total", "Times that change events were lost."),
    _gauge("dirsync_log_dropped_lines", "Lines of the log that were dropped because nobody read stderr."),
    _counter("dirsync_rejected_total", "Requests refused, by reason.", reason=REJECTIONS),
    _counter(
        "dirsync_hook_runs_total",
        "Runs of hooks, by hook and outcome.",
        hook=HOOKS,
        outcome=HOOK_OUTCOMES,
    ),
    _gauge(
        "dirsync_certificate_expiry_timestamp_seconds",
        "When the certificate that is in force ends, Unix time; 0 without one.",
    ),
)
_CLIENT: tuple[Metric, ...] = (
    Metric(
        "dirsync_strategy_choices_total",
        MetricType.COUNTER,
        "Choices of a strategy, by strategy and reason.",
        ("strategy", "reason"),
        tuple((choice.strategy.value, choice.reason.value) for choice in CHOICES),
    ),
    _gauge("dirsync_in_sync", "1 while the root digests of source and replica are known to be equal, else 0."),
    _gauge("dirsync_ready", "1 while the client is ready, as at /readyz, else 0."),
    _gauge("dirsync_pending_changes", "Paths known to differ."),
    _gauge("dirsync_problems", "Paths that cannot be synced at present, by reason.", kind=tuple(ProblemKind)),
    _gauge(
        "dirsync_stalled",
        "1 while the source or the server does not answer, or the client makes no progress.",
        part=("source", "server", "client"),
    ),
    _gauge("dirsync_holds", "Guards that hold operations until they are approved."),
    _gauge(
        "dirsync_last_success_timestamp_seconds", "When both trees were last proved equal, Unix time; 0 before that."
    ),
    _gauge("dirsync_lag_seconds", "Age of the oldest change that is not acknowledged; 0 if there is none."),
    _histogram(
        "dirsync_change_lag_seconds",
        "Time from the event of a change in the source to the acknowledgement of its commit, after the first sync.",
        FAST_SECONDS,
    ),
    _histogram("dirsync_cycle_duration_seconds", "Sync cycles.", SLOW_SECONDS),
    _gauge("dirsync_watch_mode", "1 for the way in which changes are noticed at present, else 0.", mode=WATCH_MODES),
    _gauge("dirsync_watch_degraded", "1 while the source is polled because it cannot be watched, else 0."),
    _counter("dirsync_guard_holds_total", "Times that a guard held operations.", guard=GUARDS),
    _counter(
        "dirsync_conflicts_total", "Paths that both sides had changed, by how that was resolved.", resolution=CONFLICTS
    ),
    _counter("dirsync_received_changes_total", "Changes of the replica that were applied at the source."),
    _counter("dirsync_received_bytes_total", "Content that came from the replica, before compression."),
    _counter("dirsync_received_reused_bytes_total", "Content of received files that the source had."),
    _counter("dirsync_received_compression_bytes_total", "Bytes that compression saved of content that came."),
    _counter("dirsync_reconnects_total", "Reconnections to the server."),
)
_SERVER: tuple[Metric, ...] = (
    _gauge("dirsync_sessions", "Open sessions."),
    _gauge("dirsync_open_namespaces", "Namespaces that are open."),
    _counter("dirsync_takeovers_total", "Namespaces taken over from other servers, by cause.", cause=TAKEOVERS),
    _gauge("dirsync_two_way_sessions", "Those of them that carry changes in both directions."),
    _counter("dirsync_content_sent_bytes_total", "Content read for two-way clients, before compression."),
    _counter("dirsync_reports_total", "Reports of changes to two-way clients, by what they say.", says=REPORTS),
    _counter("dirsync_replica_edits_total", "Paths of watched replicas that others than clients changed."),
    _gauge("dirsync_kept_uploads", "Interrupted uploads that are kept to be continued."),
    _gauge("dirsync_kept_upload_bytes", "Bytes of those."),
)

_REPLICA = (
    ("dirsync_replica_bytes", "Bytes of all files of a replica."),
    ("dirsync_replica_entries", "Entries of a replica."),
    ("dirsync_quota_bytes", "Bytes that a replica may hold (QUOTA_BYTES)."),
    ("dirsync_quota_entries", "Entries that a replica may hold (QUOTA_ENTRIES)."),
    ("dirsync_disk_bytes", "Size of the file system of a replica."),
    ("dirsync_disk_free_bytes", "Bytes of it that are free."),
    ("dirsync_disk_reserved_bytes", "Bytes of it that stay free (MIN_FREE_BYTES)."),
)


def replica_metrics(namespaces: Iterable[str]) -> tuple[Metric, ...]:
    """What a server measures of each replica. Its settings name the namespaces, so these too are a closed set."""
    names = tuple(namespaces)
    return tuple(_gauge(name, text, namespace=names) for name, text in _REPLICA)


PER_TARGET = frozenset(
    (
        "dirsync_saved_bytes_total",
        "dirsync_logical_bytes_total",
        "dirsync_literal_bytes_total",
        "dirsync_wire_bytes_total",
        "dirsync_files_transferred_total",
        "dirsync_changes_applied_total",
        "dirsync_resumed_bytes_total",
        "dirsync_strategy_choices_total",
        "dirsync_in_sync",
        "dirsync_pending_changes",
        "dirsync_problems",
        "dirsync_holds",
        "dirsync_last_success_timestamp_seconds",
        "dirsync_lag_seconds",
        "dirsync_change_lag_seconds",
        "dirsync_cycle_duration_seconds",
        "dirsync_guard_holds_total",
        "dirsync_reconnects_total",
    )
)
"""What a client measures of each server, if its servers have names. The rest is about the source, or the process."""


def client_metrics(targets: Iterable[str]) -> tuple[Metric, ...]:
    """What a client measures of servers with these names, which its settings give; none for one without a name."""
    names = tuple(targets)
    return tuple(one.by(TARGET, names) if names and one.name in PER_TARGET else one for one in CLIENT_CATALOGUE)


CLIENT_CATALOGUE = (*_BOTH, *_CLIENT)
"""What a client measures."""
SERVER_CATALOGUE = (*_BOTH, *_SERVER)
"""What a server measures."""
CATALOGUE = (*_BOTH, *_CLIENT, *_SERVER)
"""All there is."""
