"""What the dashboard shows: rows of panels, and the expressions that they ask Prometheus for."""

from typing import NamedTuple


class Target(NamedTuple):
    """One expression, and how its series are called."""

    expr: str
    legend: str = "{{instance}}"


class Panel(NamedTuple):
    """One panel; ``unit`` is a word of Grafana's."""

    title: str
    description: str
    targets: tuple[Target, ...]
    unit: str = "short"
    stat: bool = False
    """The last value in large letters, and not a line."""
    bad_from: float | None = None
    """Of a stat: from here on it is red; below that, green."""
    good_from: float | None = None
    """Of a stat: from here on it is green; below that, red."""
    words: tuple[tuple[str, str], ...] = ()
    """Of a stat: values and what is shown for them."""
    stacked: bool = False


C = '{instance=~"$client"}'
S = '{instance=~"$server"}'
BOTH = '{instance=~"$client|$server"}'
EACH = "{{instance}} {{target}}"
"""A client whose servers have names has a series for each."""
YES_NO = (("0", "no"), ("1", "yes"))


def rate(metric: str, selector: str, by: str = "instance") -> str:
    """The rate of a counter, summed."""
    return f"sum by ({by}) (rate({metric}{selector}[$__rate_interval]))"


def quantile(share: float, metric: str, selector: str, by: str = "instance") -> str:
    """The value below which a share of a histogram lies."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', selector, f'{by}, le')})"


def mean(metric: str, selector: str) -> str:
    """The mean of a histogram since the program started."""
    return f"{metric}_sum{selector} / {metric}_count{selector}"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it in sync, and if not, why?": (
        Panel(
            "In sync",
            "The root digests of source and replica are known to be equal.",
            (Target(f"dirsync_in_sync{C}", EACH),),
            stat=True,
            good_from=1,
            words=YES_NO,
        ),
        Panel("Ready", "As at /readyz.", (Target(f"dirsync_ready{C}"),), stat=True, good_from=1, words=YES_NO),
        Panel(
            "Lag",
            "Age of the oldest change that is not acknowledged.",
            (Target(f"dirsync_lag_seconds{C}", EACH),),
            unit="s",
            stat=True,
            bad_from=1,
        ),
        Panel(
            "Since both sides were equal",
            "Time since the last proof of equality.",
            (Target(f"time() - dirsync_last_success_timestamp_seconds{C}", EACH),),
            unit="s",
            stat=True,
            bad_from=900,
        ),
        Panel("Held", "Guards that wait for approval.", (Target(f"dirsync_holds{C}", EACH),), stat=True, bad_from=1),
        Panel(
            "Problems",
            "Paths that cannot be synced.",
            (Target(f"sum by (instance, target) (dirsync_problems{C})", EACH),),
            stat=True,
            bad_from=1,
        ),
        Panel(
            "Stands still",
            "The source, the server or the client itself.",
            (Target(f"max by (instance) (dirsync_stalled{C})"),),
            stat=True,
            bad_from=1,
            words=YES_NO,
        ),
        Panel(
            "Watching",
            "How changes are noticed.",
            (Target(f"dirsync_watch_mode{C} == 1", "{{instance}}: {{mode}}"),),
            stat=True,
        ),
        Panel("Pending changes", "Paths known to differ.", (Target(f"dirsync_pending_changes{C}", EACH),)),
        Panel(
            "Problems by kind", "Paths that cannot be synced.", (Target(f"dirsync_problems{C}", "{{kind}} {{target}}"),)
        ),
        Panel("Lag over time", "Age of the oldest change.", (Target(f"dirsync_lag_seconds{C}", EACH),), unit="s"),
    ),
    "Objective: 99 % of changes visible within a second": (
        Panel(
            "Changes visible within a second",
            "Of those acknowledged lately. The objective is 99 %.",
            (
                Target(
                    'sum by (instance) (rate(dirsync_change_lag_seconds_bucket{instance=~"$client", le="1.0"}'
                    "[$__rate_interval]))"
                    f" / {rate('dirsync_change_lag_seconds_count', C)}"
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Change to visible",
            "From the event of a change to the acknowledgement of its commit.",
            tuple(
                Target(quantile(share, "dirsync_change_lag_seconds", C), f"{{{{instance}}}} {share:.0%}")
                for share in (0.5, 0.9, 0.99)
            ),
            unit="s",
        ),
        Panel(
            "Budget burnt",
            "1: as fast as the objective allows. The alert fires at 14.4 (an hour) and 6 (six hours).",
            (
                Target(f"dirsync:slow_changes:ratio_rate5m{C} / 0.01", "{{instance}} 5m"),
                Target(f"dirsync:slow_changes:ratio_rate1h{C} / 0.01", "{{instance}} 1h"),
                Target(f"dirsync:slow_changes:ratio_rate6h{C} / 0.01", "{{instance}} 6h"),
            ),
        ),
    ),
    "What it moves, and what it saves": (
        Panel(
            "Content",
            "logical: content of the files; literal: what the replica did not have; sent: bytes of messages.",
            (
                Target(rate("dirsync_logical_bytes_total", C), "logical {{instance}}"),
                Target(rate("dirsync_literal_bytes_total", C), "literal {{instance}}"),
                Target(
                    rate("dirsync_wire_bytes_total", '{instance=~"$client", direction="sent"}'), "sent {{instance}}"
                ),
            ),
            unit="Bps",
        ),
        Panel(
            "Saved",
            "Bytes that did not have to be sent, by reason.",
            (Target(rate("dirsync_saved_bytes_total", C, "reason"), "{{reason}}"),),
            unit="Bps",
            stacked=True,
        ),
        Panel(
            "Files by strategy",
            "How content got to the replica.",
            (Target(rate("dirsync_files_transferred_total", C, "strategy"), "{{strategy}}"),),
            unit="cps",
            stacked=True,
        ),
        Panel(
            "Strategies by reason",
            "Why a strategy was chosen.",
            (Target(rate("dirsync_strategy_choices_total", C, "strategy, reason"), "{{strategy}}: {{reason}}"),),
            unit="cps",
        ),
        Panel(
            "Operations",
            "Those that were applied, by kind; those that were not, by what became of them.",
            (
                Target(
                    rate("dirsync_changes_applied_total", '{instance=~"$client", outcome="applied"}', "operation"),
                    "{{operation}}",
                ),
                Target(
                    rate("dirsync_changes_applied_total", '{instance=~"$client", outcome!="applied"}', "outcome"),
                    "not applied: {{outcome}}",
                ),
            ),
            unit="cps",
        ),
        Panel(
            "Received",
            "By two-way clients: content that came, that the source had, and that compression saved.",
            (
                Target(rate("dirsync_received_bytes_total", C), "came {{instance}}"),
                Target(rate("dirsync_received_reused_bytes_total", C), "had {{instance}}"),
                Target(rate("dirsync_received_compression_bytes_total", C), "compression {{instance}}"),
            ),
            unit="Bps",
        ),
        Panel(
            "Changes received, and conflicts",
            "Of two-way clients: changes of the replica applied at the source, and paths that both sides had changed.",
            (
                Target(rate("dirsync_received_changes_total", C), "received {{instance}}"),
                Target(rate("dirsync_conflicts_total", C, "resolution"), "conflict: {{resolution}}"),
            ),
            unit="cps",
        ),
    ),
    "Client": (
        Panel("Entries", "Of the source.", (Target(f"dirsync_entries{C}"),)),
        Panel("Watched directories", "By the kernel.", (Target(f"dirsync_watches{C}"),)),
        Panel(
            "Found by scans",
            "Changes that only a rescan found, and times that events were lost.",
            (
                Target(rate("dirsync_rescan_found_total", C), "found {{instance}}"),
                Target(rate("dirsync_watch_overflows_total", C), "overflows {{instance}}"),
            ),
            unit="cps",
        ),
        Panel(
            "Scans and cycles",
            "Mean since the start.",
            (
                Target(mean("dirsync_scan_duration_seconds", C), "scan {{instance}}"),
                Target(mean("dirsync_cycle_duration_seconds", C), "cycle {{instance}}"),
            ),
            unit="s",
        ),
        Panel(
            "Caches",
            "Share of lookups that found something.",
            (
                Target(
                    'sum by (cache) (dirsync_cache_lookups_total{instance=~"$client", result="hit"})'
                    f" / sum by (cache) (dirsync_cache_lookups_total{C})",
                    "{{cache}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel("Read and hashed", "Of the source.", (Target(rate("dirsync_hashed_bytes_total", C)),), unit="Bps"),
        Panel(
            "Connections and holds",
            "Since the start.",
            (
                Target(f"dirsync_reconnects_total{C}", "reconnections {{instance}}"),
                Target(f"sum by (instance) (dirsync_guard_holds_total{C})", "holds {{instance}}"),
            ),
        ),
    ),
    "Server": (
        Panel(
            "Replicas",
            "Bytes of each.",
            (Target(f"dirsync_replica_bytes{S}", "{{namespace}}"),),
            unit="bytes",
        ),
        Panel(
            "Quota used",
            "The alert fires at 90 %.",
            (
                Target(f"dirsync_replica_bytes{S} / dirsync_quota_bytes{S}", "{{namespace}} bytes"),
                Target(f"dirsync_replica_entries{S} / dirsync_quota_entries{S}", "{{namespace}} entries"),
            ),
            unit="percentunit",
        ),
        Panel(
            "Disk left",
            "What may still be written. The alert fires at 10 %.",
            (
                Target(
                    f"(dirsync_disk_free_bytes{S} - dirsync_disk_reserved_bytes{S}) / dirsync_disk_bytes{S}",
                    "{{namespace}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Sessions and interrupted uploads",
            "Those that are open, and those that are kept to be continued.",
            (
                Target(f"dirsync_sessions{S}", "sessions {{instance}}"),
                Target(f"dirsync_two_way_sessions{S}", "two-way {{instance}}"),
                Target(f"dirsync_kept_uploads{S}", "uploads {{instance}}"),
            ),
        ),
        Panel(
            "Content for two-way clients",
            "What they have read.",
            (Target(rate("dirsync_content_sent_bytes_total", S)),),
            unit="Bps",
        ),
        Panel(
            "Changes told to two-way clients",
            "Reports by what they say, and edits of replicas by hand.",
            (
                Target(rate("dirsync_reports_total", S, "says"), "{{says}}"),
                Target(rate("dirsync_replica_edits_total", S), "edits {{instance}}"),
            ),
            unit="cps",
        ),
        Panel(
            "Calls",
            "Those that have ended, by method; those that failed, by status. Of server and client.",
            (
                Target(rate("grpc_server_handled_total", BOTH, "grpc_method"), "{{grpc_method}}"),
                Target(
                    rate("grpc_server_handled_total", '{instance=~"$client|$server", grpc_code!="OK"}', "grpc_code"),
                    "failed: {{grpc_code}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Requests refused",
            "By reason; of server and client.",
            (Target(rate("dirsync_rejected_total", BOTH, "reason"), "{{reason}}"),),
            unit="cps",
        ),
    ),
    "Programs": (
        Panel("Memory", "Resident.", (Target(f"process_resident_memory_bytes{BOTH}"),), unit="bytes"),
        Panel("CPU", "Cores.", (Target(f"rate(process_cpu_seconds_total{BOTH}[$__rate_interval])"),)),
        Panel("File descriptors", "Open.", (Target(f"process_open_fds{BOTH}"),)),
        Panel(
            "Certificates end in",
            "The alert fires at 14 days.",
            (Target(f"(dirsync_certificate_expiry_timestamp_seconds{BOTH} > 0) - time()"),),
            unit="s",
        ),
        Panel(
            "Hooks",
            "Runs by outcome. None has run where no hook is set.",
            (Target(rate("dirsync_hook_runs_total", BOTH, "hook, outcome"), "{{hook}} {{outcome}}"),),
            unit="cps",
        ),
        Panel(
            "Lines of the log dropped",
            "Because nobody read stderr.",
            (Target(f"dirsync_log_dropped_lines{BOTH}"),),
        ),
        Panel(
            "Versions",
            "What runs.",
            (Target(f"dirsync_build_info{BOTH}", "{{instance}}: {{version}}"),),
            stat=True,
        ),
    ),
}
