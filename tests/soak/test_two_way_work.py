"""Real programs at work on both sides: all are equal two seconds after they rest, and nothing is in conflict.

Each of two people has a directory of his own that only he works in, and so has somebody at the server.

``make soak MINUTES=30 ARGS=tests/soak/test_two_way_work.py`` has them work for half an hour.
"""

import os
import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from pathlib import Path

import pytest

from tests.integration.two_way.three import Laptops
from tests.support.running.programs import Pair
from tests.support.trees.trees import equal
from tests.support.trees.work import Worker, make_workers

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
TURN_SECONDS = 4.0
"""How long they work before they rest."""
EQUAL_WITHIN = 2.0
"""Seconds from when the last one rests, on a machine that does nothing else."""
EQUAL_BESIDE_OTHERS = 15.0
"""The same while other tests run."""
WORK = {
    "anna": ("git", "npm", "editors", "copies"),
    "ben": ("git", "database", "logs", "archives", "editors"),
    "server": ("editors", "copies"),
}
"""Who does what; somebody works in the replica itself."""


class Copies:
    """Copies of a database that is written elsewhere: renamed over the last copy, or written into it."""

    def __init__(self, place: Path, elsewhere: Path, dice: random.Random) -> None:
        self._place, self._dice = place, dice
        place.mkdir()
        elsewhere.mkdir(parents=True)
        self._database = elsewhere / "live.sqlite"
        with closing(sqlite3.connect(self._database)) as database:
            database.execute("create table t (id integer primary key, body blob)")

    def step(self) -> None:
        """Some rows, and a copy of it all."""
        target = self._place / f"{self._dice.randrange(3)}.sqlite"
        beside = self._dice.random() < 0.5
        copy = target.with_name("copy.new") if beside else target
        with closing(sqlite3.connect(self._database)) as database, closing(sqlite3.connect(copy)) as other:
            for _ in range(self._dice.randint(1, 30)):
                body = self._dice.randbytes(self._dice.randint(1, 9000))
                database.execute("insert into t (body) values (?)", (body,))
            database.commit()
            database.backup(other)
        if beside:
            copy.rename(target)


def people(laptops: Laptops) -> list[Worker]:
    """All who work, each in a directory of his own."""
    found: list[Worker] = []
    for name, work in WORK.items():
        top = (laptops.pair.replica if name == "server" else laptops.at(name)) / f"by-{name}"
        top.mkdir()
        elsewhere = laptops.pair.place / "elsewhere" / name
        found += make_workers(top, elsewhere, seed=len(found), names=work).values()
        if "copies" in work:
            found.append(Copies(top / "copies", elsewhere / "copies", random.Random(name)))
    return found


def step_until(worker: Worker, end: float) -> int:
    """Step after step, the last one to its end; how many."""
    steps = 0
    while not steps or time.monotonic() < end:
        worker.step()
        steps += 1
    return steps


def seconds_until_equal(laptops: Laptops) -> float:
    """How long it takes until all have the same; fails if they do not get there."""
    begin = time.monotonic()
    first, *others = laptops.places
    while not all(equal(first, other) for other in others):
        assert time.monotonic() - begin < 60, [client.status() for client in laptops.clients.values()]
        time.sleep(0.05)
    return time.monotonic() - begin


def check(pair: Pair, seconds: float, within: float) -> None:
    """Equal in time after each turn, by events alone; no conflict, hold or problem at anybody's."""
    laptops = Laptops(pair, 2)
    laptops.start(rescan_interval="1h")
    workers = people(laptops)
    took: list[float] = []
    steps = 0
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(workers)) as pool:
        while not took or time.monotonic() < end:
            rest = time.monotonic() + TURN_SECONDS
            steps += sum(pool.map(step_until, workers, repeat(rest)))
            took.append(seconds_until_equal(laptops))
    print(f"\n{steps} steps; seconds until equal: {sorted(took)[len(took) // 2]:.2f} median, {max(took):.2f} at most")
    seen = [client.status() for client in laptops.clients.values()]
    conflicts = [path for place in laptops.places for path in place.rglob("*") if ".conflict-" in path.name]

    assert [] == conflicts
    assert [([], [], [])] * 2 == [
        (status["problems"], status["holds"], status["two_way"]["latest_conflicts"]) for status in seen
    ]
    assert set() == {f"by-{name}" for name in WORK} - {path.name for path in pair.replica.iterdir()}
    assert [] == [seconds for seconds in took if seconds > within]


@pytest.mark.soak
def test_for_long(pair: Pair) -> None:
    """For as long as the command says."""
    check(pair, 60 * MINUTES, EQUAL_WITHIN)


@pytest.mark.programs
def test_one_turn(pair: Pair) -> None:
    """Once."""
    check(pair, 0, EQUAL_BESIDE_OTHERS)
