"""What a load showed, as a Markdown table and as a chart."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.report.chart import Line, lines
from tests.load.fleet import Figures

MIB = 1 << 20


class Run(NamedTuple):
    """One load."""

    clients: int
    servers: int
    seconds: float
    visible_ms: list[float]
    """From a change to its being visible in the replica, for each."""
    late: int
    written: int
    in_sync: float | None
    """How long after the load, or after the loss of a server, the last client was in sync; ``None``: not in time."""
    before: Sequence[Figures | None]
    after: Sequence[Figures | None]
    clients_cpu_seconds: float
    polling: int
    """Clients that look at intervals, because the kernel gives them no inotify instance."""

    def percentile(self, percent: float) -> float:
        """In milliseconds; that many percent of the changes were visible sooner."""
        found = sorted(self.visible_ms)
        return found[min(len(found) - 1, int(len(found) * percent / 100))] if found else float("nan")


def table(runs: Sequence[Run]) -> str:
    """A row for each run, and one for each of its servers."""
    rows = [
        "| servers | clients | polling | changes/s | MiB/s | p50 ms | p99 ms | longest | late | in sync s | CPU % |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        in_sync = "not in time" if run.in_sync is None else f"{run.in_sync:.1f}"
        rows.append(
            f"| {run.servers} | {run.clients} | {run.polling} | {len(run.visible_ms) / run.seconds:.0f} "
            f"| {run.written / run.seconds / MIB:.2f} | {run.percentile(50):.0f} | {run.percentile(99):.0f} "
            f"| {run.percentile(100):.0f} "
            f"| {run.late} | {in_sync} | {100 * run.clients_cpu_seconds / run.seconds:.0f} |"
        )
    rows += [
        "",
        "| servers | server | sessions | CPU % | memory MiB | threads | descriptors |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        for number, (before, after) in enumerate(zip(run.before, run.after, strict=True)):
            if before is None or after is None:
                rows.append(f"| {run.servers} | {number} | killed | | | | |")
                continue
            cpu = 100 * (after.cpu_seconds - before.cpu_seconds) / run.seconds
            rows.append(
                f"| {run.servers} | {number} | {after.sessions} | {cpu:.1f} | {after.resident_kib / 1024:.0f} "
                f"| {after.threads} | {after.descriptors} |"
            )
    return "\n".join(rows) + "\n"


def chart(runs: Sequence[Run]) -> str:
    """Over the number of servers if that differs; otherwise how many changes took longer than how long."""
    if len(runs) > 1:
        curves = [Line(f"p{percent}", [(run.servers, run.percentile(percent)) for run in runs]) for percent in (50, 99)]
        return lines(curves, "servers", "ms until visible")
    (run,) = runs
    slower = [50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1]
    return lines(
        [Line(f"{run.servers} servers", [(percent, run.percentile(100 - percent)) for percent in slower])],
        "percent of changes that took longer",
        "ms until visible",
    )
