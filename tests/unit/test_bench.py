"""What the benchmark makes of its measurements."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from dirsync.limits import MIB
from tests.bench.compare import difference
from tests.bench.measure import Row
from tests.bench.report.chart import Line, chart, lines
from tests.bench.report.table import summed_up, table
from tests.bench.scaling import FIRST, UNCHANGED, Point
from tests.bench.scaling import table as table_of_sizes
from tests.bench.strategies import Result
from tests.bench.strategies import table as table_of_strategies
from tests.support.trees.trees import build


def row(workload: str, peer: str, seconds: float, wrong: str = "") -> Row:
    """A measurement."""
    return Row(workload, peer, 0, seconds, 1.0, 0.5, 2 * MIB, 30 * MIB, 20 * MIB, wrong)


def test_medians_in_order() -> None:
    """Each program has one row in each workload, and the workloads keep their order: W10 is after W2."""
    rows = [row("W10", "a", 1.0), *(row("W2", "a", seconds) for seconds in (3.0, 1.0, 8.0)), row("W2", "b", 2.0)]
    figures = summed_up(rows)

    assert [("W2", "a", 3.0), ("W2", "b", 2.0), ("W10", "a", 1.0)] == [(f.workload, f.peer, f.seconds) for f in figures]
    assert (3, 1.0, 8.0, 1.5) == (figures[0].rounds, figures[0].least, figures[0].most, figures[0].cpu_seconds)


def test_a_wrong_result_is_told_and_not_counted() -> None:
    """A program that is quick and wrong is not quick."""
    (figures,) = summed_up([row("W1", "a", 0.1, "f has other content"), row("W1", "a", 5.0)])

    assert (1, 5.0) == (figures.rounds, figures.seconds)
    assert "1 of 2 wrong: f has other content" == figures.wrong


def test_table() -> None:
    """The wall time of each program stands beside that of the one that it is compared with."""
    lines = table(summed_up([row("W1", "dirsync", 3.0), row("W1", "rsync", 2.0)]), "rsync").splitlines()

    assert 4 == len(lines)
    assert "| dirsync | 3.00 (3.00 to 3.00) | 1.50 | 1.50 | 2.00 | 30 |" in lines[2]
    assert "| rsync | 2.00 (2.00 to 2.00) | 1.00 |" in lines[3]


def test_chart() -> None:
    """Bars are as long as times are; what is wrong has none."""
    drawn = chart(summed_up([row("W1", "a", 2.0), row("W1", "b", 1.0), row("W1", "c", 1.0, "wrong")]))
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="13"', drawn)]

    assert 2 == len(widths)
    assert pytest.approx(2 * widths[1]) == widths[0]


def test_lines() -> None:
    """What grows by one decade for each decade is straight, and both axes show whole decades."""
    drawn = lines([Line("a", [(100, 0.5), (1_000, 5), (10_000, 50)])], "files", "seconds")
    (path,) = re.findall(r'points="([^"]+)"', drawn)
    places = [tuple(map(float, place.split(","))) for place in path.split()]
    steps = [(x - before[0], y - before[1]) for before, (x, y) in pairwise(places)]

    assert pytest.approx(steps[0], abs=0.2) == steps[1]
    assert steps[0][0] > 0 > steps[0][1]
    assert {"100", "1,000", "10,000", "0.1", "1", "10"} <= set(re.findall(r">([\d.,]+)<", drawn))


def test_cost_of_each_unit() -> None:
    """The scaling table divides the processor time of both ends by the size."""
    points = [Point(1_000, FIRST, row("entries", "dirsync", 2.0)), Point(10_000, UNCHANGED, row("entries", "d", 2.0))]
    lines = table_of_sizes(points, "files", 1_000, "CPU s for 1,000").splitlines()

    assert "| 1,000 | first sync | 2.00 | 1.50 | 1.50 | 2.00 | 30 | 20 |" == lines[2]
    assert "| 10,000 | nothing changed | 2.00 | 1.50 | 0.15 | 2.00 | 30 | 20 |" == lines[3]


def test_difference(tmp_path: Path) -> None:
    """Names, kinds, sizes and content are compared; what syncthing keeps for itself is not."""
    build(tmp_path / "a", {"d/f": "1234", "e/": None})
    build(tmp_path / "b", {"d/f": "1234", "e/": None, ".stfolder/x": ""})

    assert not difference(tmp_path / "a", tmp_path / "b")
    build(tmp_path / "b", {"d/f": "1235"})
    assert "d/f has other content" == difference(tmp_path / "a", tmp_path / "b")
    build(tmp_path / "b", {"d/f": "12"})
    assert "1 names or sizes differ, the first is d/f" == difference(tmp_path / "a", tmp_path / "b")


def test_regret() -> None:
    """The choice is compared with the fixed way that was the fastest, by the medians."""
    seconds = {"auto": (3.0, 1.0, 2.0), "whole": (4.0, 4.0, 9.0), "delta": (1.5, 1.6, 1.7)}
    results = [Result("w", "known", "", row("w", name, each)) for name, those in seconds.items() for each in those]

    assert "| a fast line | w | known | 2.00 (2.0) | 4.00 (2.0) | 1.60 (2.0) | 1.25 |" in table_of_strategies(
        results, ("auto", "whole", "delta")
    )
