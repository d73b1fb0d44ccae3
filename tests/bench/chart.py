"""A bar chart of the figures as SVG, which documents show without any further program."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from tests.bench.report import Figures
from tests.bench.workloads import TITLES

_WIDTH, _BAR, _GAP, _LEFT, _RIGHT = 900, 16, 10, 190, 120
_COLOURS = ("#2f6fdb", "#7aa5ea", "#b3cdf5", "#d9822b", "#efc18d", "#6b8f71", "#a98fc9", "#c0c0c0")


def chart(figures: Sequence[Figures]) -> str:
    """Wall time of each program, workload by workload; the longest of a workload takes the whole width."""
    colours = dict(zip(dict.fromkeys(one.peer for one in figures), _COLOURS, strict=False))
    parts: list[str] = []
    y = 10
    for workload, group in groupby(figures, key=lambda one: one.workload):
        those = [one for one in group if not one.wrong]
        if not those:
            continue
        parts.append(_text(10, y + 12, f"{workload}: {TITLES[workload]}", "bold"))
        y += 22
        longest = max(one.seconds for one in those)
        for one in those:
            width = max(2.0, (_WIDTH - _LEFT - _RIGHT) * one.seconds / longest)
            parts.append(_text(_LEFT - 8, y + 12, one.peer, "normal", "end"))
            fill = colours.get(one.peer, "#999")
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{fill}"/>')
            parts.append(_text(int(_LEFT + width) + 6, y + 12, _shown(one.seconds), "normal"))
            y += _BAR + 3
        y += _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}" '
        f'font-family="sans-serif" font-size="12"><rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _text(x: int, y: int, text: str, weight: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
