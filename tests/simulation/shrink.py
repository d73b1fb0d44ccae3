"""Running worlds, and making a failing one small: steps are left out for as long as the same promise stays broken."""

import traceback
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from tests.simulation.machine.patching import simulated
from tests.simulation.scenario import Scenario, Step, scenario
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import World

ATTEMPTS: Final = 150
"""Worlds that are tried while one is made smaller."""
SHOWN: Final = 80
"""Lines of a trace that are printed."""


class Failure(NamedTuple):
    """A world that broke a promise, or a program."""

    scenario: Scenario
    kind: str
    """By which two failures are the same one."""
    message: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        steps = "\n".join(f"    {step}," for step in self.scenario.steps)
        shown = "\n".join(f"    {line}" for line in self.trace[-SHOWN:])
        return (
            f"seed {self.scenario.seed}: {self.message}\n"
            f"  what happens, with {self.scenario.seconds} s for it:\n{steps}\n"
            f"  the end of the trace:\n{shown}"
        )


class Runs(Protocol):
    """A world that can be run."""

    scheduler: Scheduler

    def run(self) -> str:
        """Let everything happen; raises what went wrong."""
        ...


def run(world: Scenario, make: Callable[[Scenario], Runs] = World) -> Failure | None:
    """Run one world; gives what went wrong, if anything did. Inside of :func:`simulated`."""
    running = make(world)
    try:
        running.run()
    except Exception as error:  # noqa: BLE001  whatever a program raises is what is looked for
        text = str(error)
        kind = f"{type(error).__name__} {text.partition(':')[0] if isinstance(error, AssertionError) else ''}"
        where = "" if isinstance(error, AssertionError) else "\n" + "".join(traceback.format_exception(error)[-3:])
        return Failure(world, kind, f"{type(error).__name__}: {text}{where}", tuple(running.scheduler.trace))
    return None


def shrink(failure: Failure, make: Callable[[Scenario], Runs] = World) -> Failure:
    """The same failure with fewer steps."""
    attempts, size = ATTEMPTS, max(1, len(failure.scenario.steps) // 2)
    while size and attempts > 0:
        start, smaller = 0, False
        while start < len(failure.scenario.steps) and attempts > 0:
            attempts -= 1
            steps = failure.scenario.steps
            found = run(failure.scenario._replace(steps=_without(steps, start, size)), make)
            if found is not None and found.kind == failure.kind:
                failure, smaller = found, True
            else:
                start += size
        if not smaller:
            size //= 2
    return failure


def first_failure(
    seeds: Iterable[int], of: Callable[[int], Scenario] = scenario, make: Callable[[Scenario], Runs] = World
) -> Failure | None:
    """The first of these worlds that fails, made small; ``None`` if none does."""
    with simulated():
        for seed in seeds:
            failure = run(of(seed), make)
            if failure is not None:
                return shrink(failure, make)
    return None


def _without(steps: tuple[Step, ...], start: int, size: int) -> tuple[Step, ...]:
    return steps[:start] + steps[start + size :]
