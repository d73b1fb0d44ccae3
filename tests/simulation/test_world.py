"""Worlds in which everything goes wrong, and in which every promise is kept all the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dirsync.endpoint.source.source import Source
from dirsync.fs.read.stable import StableFile
from dirsync.fs.write import durable
from dirsync.tree.guards.hold import Verdict
from dirsync.tree.path import RelPath
from dirsync_client.reconcile import deletes
from tests.simulation.fan_out import FanOutWorld
from tests.simulation.machine.patching import simulated
from tests.simulation.scenario import scenario
from tests.simulation.shrink import Failure, first_failure, run
from tests.simulation.world import World

SEEDS = 2000
CHUNK = 50
FIRST = 40
"""Seeds that are worth running every time."""


@pytest.fixture
def simulation() -> Iterator[None]:
    """No machine but the simulated one."""
    with simulated():
        yield


def test_some_worlds() -> None:
    """A few seeds for every day."""
    assert first_failure(range(FIRST)) is None


@pytest.mark.worlds
@pytest.mark.parametrize("first", range(FIRST, SEEDS, CHUNK))
def test_many_worlds(first: int) -> None:
    """All seeds."""
    failure = first_failure(range(first, min(first + CHUNK, SEEDS)))

    assert failure is None, str(failure)


@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("seed", [3, 11, 19])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    """What happens is decided by the seed and by nothing else."""
    assert World(scenario(seed)).run() == World(scenario(seed)).run()


@pytest.mark.usefixtures("simulation")
def test_other_seeds_give_other_traces() -> None:
    """No two of them are the same."""
    assert World(scenario(3)).run() != World(scenario(4)).run()


@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("seed", range(12))
def test_two_servers(seed: int) -> None:
    """With a second server that is far away and is cut off, both are equal at the end, whatever befalls the first."""
    assert FanOutWorld(scenario(seed)).run()


@pytest.mark.worlds
@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("first", range(12, 212, 20))
def test_many_two_servers(first: int) -> None:
    """More seeds."""
    for seed in range(first, first + 20):
        assert FanOutWorld(scenario(seed)).run(), seed


WEATHERS = [
    pytest.param("twice", 1.0, id="every call twice", marks=pytest.mark.case("C12")),
    pytest.param("cut_before_answer", 0.4, id="answers lost", marks=pytest.mark.case("C13")),
    pytest.param("cut_call", 0.5, id="flapping", marks=pytest.mark.case("C14")),
    pytest.param("slowest", 5.0, id="far away", marks=pytest.mark.case("C06")),
    pytest.param("silent_for", 60.0, id="cuts that are noticed late", marks=pytest.mark.case("C03")),
]
"""One kind of bad weather, and how bad."""


@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("kind, value", WEATHERS)
def test_bad_weather(kind: str, value: float) -> None:
    """A network that is bad in one way all the time costs time and nothing else."""
    for seed in range(12):
        world = World(scenario(seed))
        setattr(world.network.weather, kind, value)

        assert world.run()


def nothing(*_arguments: object, **_named: object) -> None:
    """What a program does that forgets to do something."""


def first_look(file: StableFile) -> Any:
    """A reader that does not notice a change."""
    return file.status


def no_scan(*_arguments: object, **_named: object) -> Iterator[list[RelPath]]:
    """A client that believes its watcher."""
    return iter(())


def release_all(steps: Any, *_arguments: object, **_named: object) -> Verdict:
    """A guard that holds nothing."""
    return Verdict(list(steps), None)


BROKEN: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "P1": (StableFile, "look", first_look),
    "P2": (durable.Durability, "entries", nothing),
    "P4": (Source, "scan", no_scan),
    "P8": (deletes, "judge", release_all),
}
"""By the promise: what a program would have to get wrong to break it."""


@pytest.mark.usefixtures("simulation")
@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_program_is_found(promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The invariants see what they are there for: a program that is broken on purpose does not get through."""
    holder, name, broken = BROKEN[promise]
    monkeypatch.setattr(holder, name, broken)

    assert any(failure.message.split()[1].rstrip(":") == promise for failure in found_in(range(100)))


def found_in(seeds: range) -> Iterator[Failure]:
    """The failures of these seeds."""
    for seed in seeds:
        failure = run(scenario(seed))
        if failure is not None:
            yield failure
