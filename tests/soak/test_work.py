"""Real programs at work in the source: both sides are equal two seconds after they rest, by events alone.

``make soak MINUTES=30 ARGS=tests/soak/test_work.py`` has them work for half an hour.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.running.programs import Pair
from tests.support.trees.trees import equal
from tests.support.trees.work import Worker, make_workers

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
TURN_SECONDS = 6.0
"""How long they work before they rest."""
EQUAL_WITHIN = 2.0
"""Seconds from when the last one rests, on a machine that does nothing else."""
EQUAL_BESIDE_OTHERS = 15.0
"""The same while other tests run."""


def work(worker: Worker, until: float) -> int:
    """Step after step, the last one to its end; how many."""
    steps = 0
    while not steps or time.monotonic() < until:
        worker.step()
        steps += 1
    return steps


def seconds_until_equal(pair: Pair) -> float:
    """How long it takes; a pair that does not get there shows what differs."""
    begin = time.monotonic()
    while not equal(pair.source, pair.replica):
        assert time.monotonic() - begin < 60, pair.command("status", "--json").json
        time.sleep(0.05)
    return time.monotonic() - begin


def turns(pair: Pair, seconds: float) -> list[float]:
    """Have all work and rest in turns; how many seconds it took each time until both sides were equal."""
    workers = make_workers(pair.source, pair.place / "elsewhere", seed=1)
    steps = dict.fromkeys(workers, 0)
    took: list[float] = []
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(workers)) as pool:
        while not took or time.monotonic() < end:
            rest = time.monotonic() + TURN_SECONDS
            done = {name: pool.submit(work, worker, rest) for name, worker in workers.items()}
            steps = {name: steps[name] + future.result() for name, future in done.items()}
            took.append(seconds_until_equal(pair))
    print(f"\nsteps: {steps}; seconds until equal: {sorted(took)[len(took) // 2]:.2f} median, {max(took):.2f} at most")
    return took


def check(pair: Pair, seconds: float, within: float) -> None:
    """Equal in time after each turn, nothing held, no problem, and equal by content at the end."""
    pair.server()
    client = pair.client(rescan_interval="1h")
    took = turns(pair, seconds)
    client.wait_until_in_sync()
    status = client.status()
    deep = client.command("verify", "--deep").code

    assert [] == [seconds for seconds in took if seconds > within]
    assert (0, [], 0) == (len(status["problems"]), status["holds"], deep)


@pytest.mark.soak
def test_for_long(pair: Pair) -> None:
    """For as long as the command says."""
    check(pair, 60 * MINUTES, EQUAL_WITHIN)


@pytest.mark.programs
def test_one_turn(pair: Pair) -> None:
    """Once."""
    check(pair, 0, EQUAL_BESIDE_OTHERS)
