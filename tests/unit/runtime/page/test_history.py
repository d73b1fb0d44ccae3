"""The last hour in steps."""

from collections.abc import Callable, Mapping

import pytest

from dirsync.runtime.page.history import History


def totals(sent: float) -> Callable[[], Mapping[str, float]]:
    """A reading of the only sum."""
    return lambda: {"sent": sent}


def observed(*looks: tuple[float, float, float], steps: int = 4) -> History:
    """A history with steps of ten seconds after looks: when, the sum so far, and the lag."""
    history = History(("sent",), ("lag",), steps, 10.0)
    for now, sent, lag in looks:
        history.observe(now, totals(sent), {"lag": lag})
    return history


@pytest.mark.parametrize(
    "looks, sent, lag",
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([(3, 7, 1)], [], [], id="step-not-over"),
        pytest.param([(3, 7, 1), (9, 9, 5), (11, 12, 0)], [5], [5], id="one-step"),
        pytest.param([(3, 0, 0.12345), (12, 1, 0), (22, 4, 0)], [1, 3], [0.123, 0], id="two-steps"),
        pytest.param([(3, 0, 1), (41, 8, 0)], [8, None, None, None], [1, None, None, None], id="gap"),
        pytest.param([(s * 10, s * s, s) for s in range(7)], [5, 7, 9, 11], [2, 3, 4, 5], id="only-the-last-are-kept"),
    ],
)
def test_steps(looks: list[tuple[float, float, float]], sent: list[int | None], lag: list[float | None]) -> None:
    """Amounts are what came in a step, peaks the largest that was seen in it; nobody looked: no value."""
    assert {"sent": sent, "lag": lag} == observed(*looks).series


def test_a_long_gap_is_bounded() -> None:
    """A machine that slept for a month has an empty hour, at the cost of one."""
    history = observed((3, 0, 0), (30 * 24 * 3600.0, 5, 0))

    assert [None] * 4 == history.series["sent"]


def test_sums_are_asked_for_once_in_a_step() -> None:
    """Looking often costs little."""
    asked = []

    def sums() -> Mapping[str, float]:
        asked.append(1)
        return {"sent": 0}

    history = History(("sent",), (), 4, 10.0)
    for now in range(1, 25):
        history.observe(now, sums, {})

    assert 3 == len(asked)


def test_end() -> None:
    """The end of the last step that is over is known by how long ago it was."""
    assert 0.0 == observed().seconds_since_end(55.0)
    assert 2.5 == observed((3, 0, 0), (51, 0, 0)).seconds_since_end(52.5)
