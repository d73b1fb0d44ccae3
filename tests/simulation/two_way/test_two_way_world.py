"""Worlds with clients that carry changes both ways: all ends equal, and nothing is lost that nobody took away."""

from collections.abc import Iterator
from typing import Any

import pytest

from dirsync.fs.write import durable
from dirsync.tree.merge.policy import Conflicts
from tests.simulation.machine.patching import simulated
from tests.simulation.shrink import Failure, first_failure, run
from tests.simulation.two_way import world
from tests.simulation.two_way.scenario import scenario
from tests.simulation.two_way.world import TwoWayWorld

SEEDS = 2000
CHUNK = 50
FIRST = 4
"""Seeds that are worth running every time."""


@pytest.fixture
def simulation() -> Iterator[None]:
    """No machine but the simulated one."""
    with simulated():
        yield


def test_some_worlds() -> None:
    """A few seeds for every day."""
    assert first_failure(range(FIRST), scenario, TwoWayWorld) is None


@pytest.mark.worlds
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, SEEDS, CHUNK))
def test_many_worlds(first: int) -> None:
    """All seeds."""
    failure = first_failure(range(first, min(first + CHUNK, SEEDS)), scenario, TwoWayWorld)

    assert failure is None, str(failure)


@pytest.mark.usefixtures("simulation")
def test_the_same_seed_gives_the_same_trace() -> None:
    """What happens is decided by the seed and by nothing else."""
    assert TwoWayWorld(scenario(3)).run() == TwoWayWorld(scenario(3)).run()


def nothing(*_arguments: object, **_named: object) -> None:
    """What a program does that forgets to do something."""


def found_in(seeds: range) -> Iterator[Failure]:
    """The failures of these seeds."""
    for seed in seeds:
        failure = run(scenario(seed), TwoWayWorld)
        if failure is not None:
            yield failure


BROKEN: dict[str, tuple[object, str, Any, set[str]]] = {
    "nothing is durable": (durable.Durability, "entries", nothing, {"P13", "P14"}),
    "a version is dropped": (world, "CONFLICTS", Conflicts.NEWEST, {"P13"}),
}
"""What a program would have to get wrong, and the promises of which one is broken then."""


@pytest.mark.worlds
@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_program_is_found(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The invariants see what they are there for: a program that is broken on purpose does not get through."""
    holder, name, instead, promises = BROKEN[broken]
    monkeypatch.setattr(holder, name, instead)

    assert any(failure.message.split()[1].rstrip(":") in promises for failure in found_in(range(150)))
