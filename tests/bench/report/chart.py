"""Charts of the figures as SVG, which documents show without any further program."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from tests.bench.report.table import Figures
from tests.bench.workloads import TITLES

_COLUMN, _BAR, _GAP, _LEFT, _RIGHT = 460, 13, 9, 128, 62
_COLUMNS = 2
_COLOURS = ("#2f6fdb", "#7aa5ea", "#b3cdf5", "#d9822b", "#efc18d", "#6b8f71", "#a98fc9", "#c0c0c0")
_FIRST_COLOUR, _OTHER_COLOUR = "#2f6fdb", "#c3c8d1"


def chart(figures: Sequence[Figures]) -> str:
    """Wall time of each program, workload by workload, in two columns.

    The longest time of a workload takes the whole width. The program that comes first stands out.
    """
    first = figures[0].peer if figures else ""
    parts: list[str] = []
    heights = [10] * _COLUMNS
    for workload, group in groupby(figures, key=lambda one: one.workload):
        those = [one for one in group if not one.wrong]
        if not those:
            continue
        column = heights.index(min(heights))
        left, y = column * _COLUMN, heights[column]
        parts.append(_text(left + 10, y + 11, f"{workload}: {TITLES[workload]}", "bold"))
        y += 18
        longest = max(one.seconds for one in those)
        for one in those:
            width = max(2.0, (_COLUMN - _LEFT - _RIGHT) * one.seconds / longest)
            fill = _FIRST_COLOUR if one.peer == first else _OTHER_COLOUR
            parts.append(_text(left + _LEFT - 6, y + 10, one.peer, "normal", "end"))
            parts.append(f'<rect x="{left + _LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{fill}"/>')
            parts.append(_text(int(left + _LEFT + width) + 5, y + 10, _shown(one.seconds), "normal"))
            y += _BAR + 2
        heights[column] = y + _GAP
    return _picture(_COLUMNS * _COLUMN, max(heights), parts)


class Line(NamedTuple):
    """A line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    """Both coordinates are above 0."""


_PLOT_WIDTH, _PLOT_HEIGHT, _MARGIN, _LEGEND = 620, 320, 60, 180


def lines(drawn: Sequence[Line], across: str, up: str) -> str:
    """Lines over two logarithmic axes: what is linear is straight, with one decade up for each decade across."""
    xs = _decades(x for line in drawn for x, _ in line.points)
    ys = _decades(y for line in drawn for _, y in line.points)
    right, bottom = _MARGIN + _PLOT_WIDTH, 20 + _PLOT_HEIGHT

    def at(x: float, y: float) -> tuple[float, float]:
        over = (math.log10(x) - xs[0]) / (xs[-1] - xs[0])
        above = (math.log10(y) - ys[0]) / (ys[-1] - ys[0])
        return _MARGIN + over * _PLOT_WIDTH, bottom - above * _PLOT_HEIGHT

    parts = [_text(_MARGIN, 14, up, "bold", "end"), _text(right, bottom + 34, across, "bold", "end")]
    for x in xs:
        place, _ = at(10.0**x, 10.0 ** ys[0])
        parts.append(f'<line x1="{place:.1f}" y1="20" x2="{place:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(_text(int(place), bottom + 16, f"{10.0**x:,.10g}", "normal", "middle"))
    for y in ys:
        _, place = at(10.0 ** xs[0], 10.0**y)
        parts.append(f'<line x1="{_MARGIN}" y1="{place:.1f}" x2="{right}" y2="{place:.1f}" stroke="#ddd"/>')
        parts.append(_text(_MARGIN - 6, int(place) + 4, f"{10.0**y:.10g}", "normal", "end"))
    for index, (line, colour) in enumerate(zip(drawn, _COLOURS[::3], strict=False)):
        places = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<rect x="{right + 16}" y="{24 + 20 * index}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(right + 34, 34 + 20 * index, line.name, "normal"))
    return _picture(right + _LEGEND, bottom + 46, parts)


def _decades(values: Iterable[float]) -> range:
    """The powers of ten around some values, at least two."""
    known = [math.log10(value) for value in values]
    first = math.floor(min(known))
    return range(first, max(first + 1, math.ceil(max(known))) + 1)


def _picture(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11"><rect width="{width}" height="{height}" fill="#ffffff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _text(x: int, y: int, text: str, weight: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
