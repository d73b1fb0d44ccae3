"""Medians of measurements as a table, with each figure as a ratio to a program that is measured beside the others."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from dirsync.limits import MIB
from tests.bench.measure import Row
from tests.bench.workloads import TITLES


class Figures(NamedTuple):
    """The medians of one program in one workload."""

    workload: str
    peer: str
    rounds: int
    seconds: float
    least: float
    most: float
    cpu_seconds: float
    sent_bytes: float
    peak_bytes: float
    p95_seconds: float
    wrong: str


def summed_up(rows: Iterable[Row]) -> list[Figures]:
    """The medians, in the order of the workloads. Rows with a wrong result are told and not counted."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.workload, row.peer].append(row)
    order = list(TITLES)
    return [
        _figures(workload, peer, those)
        for (workload, peer), those in sorted(found.items(), key=lambda item: order.index(item[0][0]))
    ]


def _figures(workload: str, peer: str, rows: Sequence[Row]) -> Figures:
    good = [row for row in rows if not row.wrong] or rows
    seconds = [row.seconds for row in good]
    wrong = [row.wrong for row in rows if row.wrong]
    return Figures(
        workload,
        peer,
        len(good),
        median(seconds),
        min(seconds),
        max(seconds),
        median(row.cpu_client + row.cpu_server for row in good),
        median(row.sent_bytes for row in good),
        median(max(row.peak_client, row.peak_server) for row in good),
        median(row.p95_seconds for row in good),
        f"{len(wrong)} of {len(rows)} wrong: {wrong[0]}" if wrong else "",
    )


def table(figures: Sequence[Figures], beside: str) -> str:
    """A Markdown table; ``beside`` is the program whose wall time the others are compared with."""
    base = {one.workload: one.seconds for one in figures if one.peer == beside}
    lines = [
        f"| workload | program | seconds (least to most) | times {beside} | CPU s, both ends | MiB sent | MiB memory |",
        "|---|---|---|---|---|---|---|",
    ]
    before = ""
    for one in figures:
        title = f"{one.workload}: {TITLES[one.workload]}" if one.workload != before else ""
        before = one.workload
        ratio = f"{one.seconds / base[one.workload]:.2f}" if one.workload in base else ""
        spread = f"p95 {one.p95_seconds:.4f}" if one.p95_seconds else f"{one.least:.2f} to {one.most:.2f}"
        shown = f"{one.seconds:.4f} ({spread})" if one.p95_seconds else f"{one.seconds:.2f} ({spread})"
        cells = (shown, ratio, f"{one.cpu_seconds:.2f}", f"{one.sent_bytes / MIB:.2f}", f"{one.peak_bytes / MIB:.0f}")
        name = f"{one.peer} ({one.wrong})" if one.wrong else one.peer
        lines.append(f"| {' | '.join((title, name, *cells))} |")
    return "\n".join(lines)
