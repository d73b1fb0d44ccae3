"""The metrics, as values and as text."""

import math
import re
import subprocess
import sys
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dirsync import errors
from dirsync.endpoint.watch.watcher import WatchMode
from dirsync.runtime.metrics.catalogue import (
    CATALOGUE,
    CLIENT_CATALOGUE,
    REJECTIONS,
    SERVER_CATALOGUE,
    WATCH_MODES,
    MetricType,
    rejection,
    replica_metrics,
)
from dirsync.runtime.metrics.exposition import render
from dirsync.runtime.metrics.metrics import Metrics, NoMetrics
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.tree.guards.hold import Guard
from dirsync.tree.path import InvalidPath
from tests.support.outside.manifests import REPOSITORY

CONTRACT = {
    "dirsync_saved_bytes_total": ["reason"],
    "dirsync_cache_lookups_total": ["cache", "result"],
    "dirsync_logical_bytes_total": [],
    "dirsync_literal_bytes_total": [],
    "dirsync_wire_bytes_total": ["direction"],
    "dirsync_files_transferred_total": ["strategy"],
    "dirsync_strategy_choices_total": ["strategy", "reason"],
    "dirsync_changes_applied_total": ["operation", "outcome"],
    "dirsync_in_sync": [],
    "dirsync_ready": [],
    "dirsync_pending_changes": [],
    "dirsync_entries": [],
    "dirsync_problems": ["kind"],
    "dirsync_holds": [],
    "dirsync_stalled": ["part"],
    "dirsync_last_success_timestamp_seconds": [],
    "dirsync_change_lag_seconds": [],
    "dirsync_scan_duration_seconds": [],
    "dirsync_cycle_duration_seconds": [],
    "dirsync_hashed_bytes_total": [],
    "dirsync_watches": [],
    "dirsync_watch_overflows_total": [],
    "dirsync_rescan_found_total": [],
    "dirsync_guard_holds_total": ["guard"],
    "dirsync_conflicts_total": ["resolution"],
    "dirsync_received_changes_total": [],
    "dirsync_received_bytes_total": [],
    "dirsync_received_reused_bytes_total": [],
    "dirsync_received_compression_bytes_total": [],
    "dirsync_reconnects_total": [],
    "dirsync_sessions": [],
    "dirsync_two_way_sessions": [],
    "dirsync_open_namespaces": [],
    "dirsync_takeovers_total": ["cause"],
    "dirsync_content_sent_bytes_total": [],
    "dirsync_reports_total": ["says"],
    "dirsync_replica_edits_total": [],
    "dirsync_rejected_total": ["reason"],
    "dirsync_resumed_bytes_total": [],
    "dirsync_kept_uploads": [],
    "dirsync_kept_upload_bytes": [],
    "dirsync_log_dropped_lines": [],
    "dirsync_hook_runs_total": ["hook", "outcome"],
    "dirsync_certificate_expiry_timestamp_seconds": [],
    "dirsync_lag_seconds": [],
    "dirsync_watch_mode": ["mode"],
    "dirsync_watch_degraded": [],
    **{
        f"dirsync_{name}": ["namespace"]
        for name in (
            *("replica_bytes", "replica_entries", "quota_bytes", "quota_entries"),
            *("disk_bytes", "disk_free_bytes", "disk_reserved_bytes"),
        )
    },
}
OF_REPLICAS = replica_metrics(["default", "photos"])


ON_ONE_SIDE = {
    "client": {
        "dirsync_strategy_choices_total",
        "dirsync_in_sync",
        "dirsync_ready",
        "dirsync_pending_changes",
        "dirsync_problems",
        "dirsync_holds",
        "dirsync_stalled",
        "dirsync_last_success_timestamp_seconds",
        "dirsync_change_lag_seconds",
        "dirsync_cycle_duration_seconds",
        "dirsync_lag_seconds",
        "dirsync_watch_mode",
        "dirsync_watch_degraded",
        "dirsync_guard_holds_total",
        "dirsync_conflicts_total",
        "dirsync_received_bytes_total",
        "dirsync_received_changes_total",
        "dirsync_received_reused_bytes_total",
        "dirsync_received_compression_bytes_total",
        "dirsync_reconnects_total",
    },
    "server": {
        *(
            "dirsync_sessions",
            "dirsync_open_namespaces",
            "dirsync_takeovers_total",
            "dirsync_two_way_sessions",
            "dirsync_kept_uploads",
            "dirsync_kept_upload_bytes",
        ),
        *("dirsync_content_sent_bytes_total", "dirsync_reports_total", "dirsync_replica_edits_total"),
        *(metric.name for metric in OF_REPLICAS),
    },
}
SIDES = {"client": CLIENT_CATALOGUE, "server": (*SERVER_CATALOGUE, *OF_REPLICAS)}
NOT_METRICS = {"dirsync_build_info", "dirsync_from", "dirsync_to", "dirsync_client", "dirsync_server"}
KINDS = (PrometheusMetrics, NoMetrics)
SHARED_COUNTERS = (
    "runtime/metrics/metrics.py",
    "rpc/interceptors/rejections.py",
    "endpoint/finder.py",
    "runtime/hooks/thread.py",
)
"""Modules of ``dirsync`` that count for both."""


def samples(metrics: PrometheusMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape sees of ours, by name and labels; the process's own figures left out."""
    families = text_string_to_metric_families(render(metrics.registry).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def use(metrics: Metrics) -> None:
    """Touch every series."""
    for metric in metrics.catalogue:
        for labels in metric.series:
            pairs = dict(zip(metric.labels, labels, strict=True))
            if metric.type is MetricType.COUNTER:
                metrics.inc(metric.name, 2, **pairs)
            elif metric.type is MetricType.GAUGE:
                metrics.set(metric.name, 2, **pairs)
            else:
                metrics.observe(metric.name, 0.02, **pairs)


def test_contract() -> None:
    """The catalogue has the contract's names and labels."""
    assert CONTRACT == {metric.name: list(metric.labels) for metric in (*CATALOGUE, *OF_REPLICAS)}


def test_namespaces() -> None:
    """Each namespace of the settings has its series from the start, and no other can be measured."""
    metrics = PrometheusMetrics(OF_REPLICAS)
    named = {labels for name, labels in samples(metrics) if name == "dirsync_quota_bytes"}

    assert {(("namespace", "default"),), (("namespace", "photos"),)} == named
    with pytest.raises(KeyError):
        metrics.set("dirsync_quota_bytes", 1, namespace="mail")


def test_watch_modes_are_labels() -> None:
    """The modes that can be in force and the label values are the same words; ``auto`` is only asked for."""
    assert {mode.value for mode in WatchMode} - {"auto"} == set(WATCH_MODES)


def test_objective_has_its_bucket() -> None:
    """How many changes were acknowledged within a second can be told exactly."""
    (metric,) = [metric for metric in CATALOGUE if metric.name == "dirsync_change_lag_seconds"]

    assert 1.0 in metric.buckets


@pytest.mark.parametrize("service", SIDES)
def test_sides(service: str) -> None:
    """A service shows what its code counts and nothing else: a metric that is never set would be wrong, not zero."""
    shared = REPOSITORY / "shared" / "src" / "dirsync"
    modules = [
        *(REPOSITORY / "services" / service / "src").rglob("*.py"),
        *(shared / name for name in SHARED_COUNTERS),
    ]
    counted = {name for module in modules for name in re.findall(r'"(dirsync_\w+)"', module.read_text())}
    others = set().union(*(names for side, names in ON_ONE_SIDE.items() if side != service))
    shown = {metric.name for metric in SIDES[service]}

    assert shown == counted - NOT_METRICS
    assert shown == CONTRACT.keys() - others


@pytest.mark.case("L08")
def test_series_are_constant() -> None:
    """Every label set exists from the start, and use makes no new one."""
    metrics = PrometheusMetrics()
    before = samples(metrics)
    use(metrics)
    after = samples(metrics)

    assert before.keys() == after.keys()
    assert {0.0} == {value for (name, _), value in before.items() if name != "dirsync_build_info"}
    assert 0.0 not in {
        value for (name, labels), value in after.items() if ("le", "0.001") not in labels and "_bucket" not in name
    }


def test_text_is_as_prometheus_wants_it() -> None:
    """Each metric has help and a type, counters end in _total, nothing ends in _created, durations are in seconds."""
    text = render(PrometheusMetrics().registry).decode()
    families = [f for f in text_string_to_metric_families(text) if not f.name.startswith("process_")]

    assert len(CATALOGUE) + 1 == len(families)
    assert all(family.documentation.endswith(".") for family in families)
    assert "_created" not in text
    for family in families:
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert {f"{family.name}_total"} == names
        assert not any(name.endswith(("_ms", "_milliseconds")) for name in names)


def test_build_info() -> None:
    """The version is a label of a series that is always one."""
    assert 1.0 == samples(PrometheusMetrics())["dirsync_build_info", (("version", "0.1.0"),)]


def test_values_arrive() -> None:
    """What is counted is what is scraped."""
    metrics = PrometheusMetrics()
    metrics.inc("dirsync_saved_bytes_total", 5, reason="delta")
    metrics.inc("dirsync_saved_bytes_total", reason="delta")
    metrics.set("dirsync_pending_changes", 3)
    metrics.observe("dirsync_change_lag_seconds", 0.01)
    metrics.observe("dirsync_change_lag_seconds", 99.0)

    seen = samples(metrics)
    assert 6.0 == seen["dirsync_saved_bytes_total", (("reason", "delta"),)]
    assert 3.0 == seen["dirsync_pending_changes", ()]
    assert 0.0 == seen["dirsync_change_lag_seconds_bucket", (("le", "0.005"),)]
    assert 1.0 == seen["dirsync_change_lag_seconds_bucket", (("le", "0.01"),)]
    assert 2.0 == seen["dirsync_change_lag_seconds_bucket", (("le", "+Inf"),)]
    assert 2.0 == seen["dirsync_change_lag_seconds_count", ()]
    assert 99.01 == seen["dirsync_change_lag_seconds_sum", ()]


def test_asked_gauge() -> None:
    """A gauge can ask for its value when it is scraped; if that fails the others are still scraped."""
    metrics = PrometheusMetrics()
    metrics.gauge("dirsync_entries").set_function(lambda: 7)
    metrics.gauge("dirsync_watches").set_function(lambda: 1 // 0)

    seen = samples(metrics)
    assert 7.0 == seen["dirsync_entries", ()]
    assert math.isnan(seen["dirsync_watches", ()])


@pytest.mark.parametrize(
    "name, labels",
    [
        ("dirsync_saved_byte_total", {"reason": "delta"}),
        ("dirsync_saved_bytes_total", {}),
        ("dirsync_saved_bytes_total", {"reason": "luck"}),
        ("dirsync_saved_bytes_total", {"why": "delta"}),
        ("dirsync_saved_bytes_total", {"reason": "delta", "path": "a"}),
        ("dirsync_sessions", {"peer": "a"}),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_unknown_series(kind: type[Metrics], name: str, labels: dict[str, str]) -> None:
    """A wrong name, label or value is an error at once."""
    with pytest.raises(KeyError):
        kind().inc(name, **labels)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_type(kind: type[Metrics]) -> None:
    """A gauge is not counted, a counter not set, and neither observed."""
    metrics = kind()
    with pytest.raises(TypeError):
        metrics.inc("dirsync_sessions")
    with pytest.raises(TypeError):
        metrics.set("dirsync_reconnects_total", 1)
    with pytest.raises(TypeError):
        metrics.observe("dirsync_sessions", 1)
    with pytest.raises(TypeError):
        metrics.family("dirsync_sessions")


def test_counter_never_falls() -> None:
    """A counter cannot be decreased."""
    with pytest.raises(ValueError, match="non-negative"):
        PrometheusMetrics().inc("dirsync_reconnects_total", -1)


def test_no_count_is_lost() -> None:
    """Threads that count at the same time lose nothing."""
    metrics = PrometheusMetrics()
    counter = metrics.counter("dirsync_reconnects_total")

    def work() -> None:
        for _ in range(20_000):
            counter.inc()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80_000 == samples(metrics)["dirsync_reconnects_total", ()]


def test_guards_are_labels() -> None:
    """The guards of the core and the label values are the same words."""
    (metric,) = [metric for metric in CATALOGUE if metric.name == "dirsync_guard_holds_total"]

    assert {(guard.value,) for guard in Guard} == set(metric.series)


@pytest.mark.parametrize(
    "error, label",
    [
        (errors.InvalidMessage("x"), "invalid_message"),
        (InvalidPath("x"), "invalid_path"),
        (errors.OutOfTurn("x"), "out_of_turn"),
        (errors.LimitExceeded("max_sessions", "x"), "limit"),
        (errors.SessionBusy("x"), "replica_busy"),
        (errors.Unauthenticated("x", reason="EXPIRED"), "unauthenticated"),
        (errors.Unavailable("x", reason="SCANNING"), "unavailable"),
        (errors.DirsyncError("x"), "other"),
    ],
)
def test_rejection(error: errors.DirsyncError, label: str) -> None:
    """Every error of ours has a label out of the closed set."""
    assert label == rejection(error)
    assert label in REJECTIONS


def test_short_runs_do_not_pay() -> None:
    """A process that is never scraped does not import the library, and may count all the same."""
    use(NoMetrics())
    used = "import sys; from dirsync.runtime.metrics.metrics import NoMetrics; NoMetrics()"
    code = f"{used}; print('prometheus_client' in sys.modules)"

    assert b"False\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
