"""When a file that was sent may be sent again."""

from itertools import pairwise

import pytest

from dirsync.limits import KIB, LIMITS, MIB
from dirsync.tree.path import RelPath
from dirsync_client.reconcile.pacing.pace import NOTHING, Cost, Pace
from dirsync_client.reconcile.pacing.pacing import Pacing

F = RelPath(b"f")
STEP = 0.01
"""Seconds between two looks at a file that is written all the time."""


def written(seconds: float, cost: float, *, size: int = 1000, grows: int = 0, sends: float = 1.0) -> list[float]:
    """When a file is sent that is written all the time, at one look after another.

    ``cost``: seconds that sending takes; ``grows``: bytes a look; ``sends``: the part of it that is sent.
    """
    pace, times, now = Pace(), list[float](), 100.0
    while now < 100.0 + seconds:
        pace.changed(now)
        if pace.due(size) <= now:
            times.append(now)
            now += cost
            pace.published(size, Cost(cost, round(size * sends)), now)
        now += STEP
        size += grows
    return times


@pytest.mark.parametrize("cost", [0.001, 0.05, 0.5, 3.0])
def test_a_bounded_part_of_a_core(cost: float) -> None:
    """A file that is written all the time costs a fifth of the time, whatever one sending costs, but for the burst."""
    times = written(300, cost)
    paced = max(cost, LIMITS.pace_least_seconds) * (1 + LIMITS.pace_stretch)
    burst = LIMITS.pace_burst_seconds / ((1 + LIMITS.pace_stretch) * LIMITS.pace_least_seconds)

    assert len(times) <= 300 / paced + burst + 2


@pytest.mark.parametrize("cost", [0.001, 0.05, 0.5, 3.0])
def test_a_bounded_age(cost: float) -> None:
    """And it is sent again and again, after a pause in proportion to its cost."""
    times = written(300, cost)
    pauses = [after - before for before, after in pairwise(times)]

    assert len(times) > 10
    assert max(pauses) <= (1 + LIMITS.pace_stretch) * max(cost, LIMITS.pace_least_seconds) + cost + 3 * STEP


@pytest.mark.parametrize("cost", [0.05, 0.2, 3.0])
def test_edits_of_a_large_file_are_held_back_less(cost: float) -> None:
    """If little of it is sent, it may take half of the time: what the replica has is younger."""
    times = written(300, cost, size=100 * MIB, sends=0.0001)
    pauses = [after - before for before, after in pairwise(times)]

    assert max(pauses) <= (1 + LIMITS.pace_least_stretch) * cost * 1.01 + 3 * STEP
    assert len(times) * cost <= 300 / 2 + LIMITS.pace_burst_seconds + 2 * cost


def test_an_edit_now_and_then_waits_for_nothing() -> None:
    """A person who edits a large file twice in a second, for minutes, never waits."""
    pace, now = Pace(), 100.0
    for _ in range(500):
        pace.changed(now)

        assert pace.due(100 * MIB) <= now

        now += 0.2
        pace.published(100 * MIB, Cost(0.2, 4 * KIB), now)
        now += 0.3


def test_a_few_saves_wait_for_nothing() -> None:
    """A small file that is saved twenty times within two seconds is sent each time."""
    pace, now = Pace(), 100.0
    for _ in range(20):
        pace.changed(now)

        assert pace.due(100) <= now

        pace.published(100, Cost(0.0, 100), now)
        now += 0.1


@pytest.mark.parametrize("cost, rest", [(0.01, 0.25), (2.0, 2.0), (100.0, 5.0)])
def test_a_rest_ends_the_pause(cost: float, rest: float) -> None:
    """A file that was not written for as long as it took to send is sent at once, and after 5 s in any case."""
    pace = Pace()
    for _ in range(100):
        pace.published(1000, Cost(cost, 1000), 100.0)
    pace.changed(103.0)

    assert 103.0 + rest == pace.due(1000)


@pytest.mark.parametrize("rate", [MIB // 100, MIB])
def test_a_growing_file_costs_three_times_its_size(rate: int) -> None:
    """A file that is copied in and always sent whole costs at most twice its size before it rests."""
    pace, now, size, sent = Pace(), 100.0, MIB, 0
    for _ in range(5_000):
        pace.changed(now)
        if pace.due(size) <= now:
            sent += size
            pace.published(size, Cost(0.001, size), now)
        now += STEP
        size += rate

        assert sent <= 2 * size

    assert sent >= size / 2


def test_a_log_without_deltas_is_of_a_bounded_age() -> None:
    """A file that grows slowly and is always sent whole is sent at least once a minute."""
    times = written(400, 0.001, size=10 * MIB, grows=1)
    pauses = [after - before for before, after in pairwise(times)]

    assert max(pauses) <= LIMITS.pace_longest_seconds + 2 * STEP


@pytest.mark.parametrize("size, age", [(20, 0.2), (10 * KIB, 0.6), (60 * KIB, 2.1)])
def test_a_small_log_is_never_old(size: int, age: float) -> None:
    """One that fits into a batch is sent as often as its size allows, however long it has grown already."""
    times = written(60, 0.001, size=size, grows=1)
    pauses = [after - before for before, after in pairwise(times)]

    assert max(pauses) <= age
    assert len(times) * size <= 60 * max(LIMITS.pace_small_bytes_per_second, 10 * size) + 2 * size


def test_a_log_with_deltas_is_not_held_back() -> None:
    """One of which only the new lines are sent is not slowed down by its size."""
    pace, now, size = Pace(), 100.0, 10 * MIB
    pace.published(size, Cost(0.01, size), now)
    for _ in range(1000):
        now += 1
        size += 10_000
        pace.changed(now)

        assert pace.due(size) <= now

        pace.published(size, Cost(0.01, 10_000), now)


def test_tries_for_nothing_are_rare() -> None:
    """Of a file that is rewritten each time, the pauses double up to a minute."""
    pace, now, pauses = Pace(), 100.0, []
    for _ in range(8):
        pace.given_up(NOTHING, now)
        ended = now
        while pace.due(1000) > now:
            now += 0.25
            pace.changed(now)
        pauses.append(now - ended)

    assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses
    assert 8 == pace.torn


@pytest.mark.parametrize(
    "cost, torn, rest",
    [(0.1, 1, 0.25), (0.4, 1, 0.4), (0.4, 2, 0.8), (0.4, 3, 1.6), (0.4, 4, 3.2), (0.4, 5, 5.0), (9.0, 9, 5.0)],
)
def test_a_rest_is_longer_after_tries_for_nothing(cost: float, torn: int, rest: float) -> None:
    """A file that was rewritten while it was read has to rest for longer each time, up to 5 s."""
    pace = Pace()
    for _ in range(torn):
        pace.given_up(Cost(cost, 0), 100.0)
    pace.changed(100.2)

    assert min(100.2 + rest, 100.0 + 2 ** (torn - 1)) == pytest.approx(pace.due(1000))


@pytest.mark.parametrize("torn", [1, 2, 5, 20])
def test_a_small_file_is_tried_soon(torn: int) -> None:
    """One that is read in no time is sent soon after its last write, however often it was torn before."""
    pace = Pace()
    for _ in range(torn):
        pace.given_up(NOTHING, 100.0)
    pace.changed(160.0)

    assert 160.0 + LIMITS.pace_rest_seconds >= pace.due(1000)


def test_what_rests_is_forgotten() -> None:
    """The memory is bounded: what nobody writes any more is dropped."""
    pacing = Pacing()
    for number in range(10_000):
        pacing.published(RelPath(b"%d" % number), 10, NOTHING, number / 10)

    assert len(pacing) < 1000
    assert F not in pacing
    assert pacing.wait_until(F, 10, 1000.0) is None


def test_what_is_written_is_not_forgotten() -> None:
    """But a file that is still written keeps what was spent on it."""
    pacing, now = Pacing(), 100.0
    pacing.published(F, 100 * KIB, Cost(0.1, 100 * KIB), now)
    pacing.published(F, 110 * KIB, Cost(0.1, 110 * KIB), now)
    while now < 150:
        now += 1
        pacing.changed(F, now)
    pacing.published(F, 111 * KIB, Cost(0.1, 111 * KIB), now)
    pacing.changed(F, now)

    assert pacing.wait_until(F, 112 * KIB, now + LIMITS.pace_rest_seconds - 0.1) is not None
