"""What is going to happen to a world, decided by its seed before it begins.

Each step has a seed of its own, so a step can be left out without changing what the others do: that is how a failure is
made small (:mod:`tests.simulation.shrink`).
"""

from random import Random
from typing import Final, NamedTuple

DEEDS: Final = {
    "create": 8,
    "rewrite": 4,
    "append": 3,
    "edit": 5,
    "truncate": 2,
    "save": 4,
    "make_directory": 4,
    "make_link": 2,
    "make_fifo": 1,
    "link": 1,
    "rename": 6,
    "rename_over": 2,
    "swap": 2,
    "exchange": 2,
    "delete": 4,
    "delete_all": 1,
    "retype": 3,
    "chmod": 2,
    "touch": 2,
}
"""What users do, and how often."""
HANDS: Final = (
    "create",
    "rewrite",
    "edit",
    "delete",
    "rename",
    "retype",
    "chmod",
    "touch",
    "make_directory",
    "make_fifo",
)
"""What hands do at the replica."""
FAULTS: Final = {
    "cut": 4,
    "partition": 3,
    "server dies": 2,
    "power cut": 3,
    "server dies within": 3,
    "power cut within": 4,
    "client dies": 2,
    "client loses its state": 1,
    "client dies within": 2,
    "disk full": 2,
    "fsync fails": 1,
    "write fails": 1,
    "race": 6,
    "torn read": 6,
    "hands": 4,
    "hands race": 2,
    "approve": 2,
    "another client": 1,
}


class Step(NamedTuple):
    """Something that happens at a moment; ``deed`` is what a person does."""

    at: float
    kind: str
    deed: str
    seed: int

    def __str__(self) -> str:
        return f"Step({self.at!r}, {self.kind!r}, {self.deed!r}, {self.seed})"


class Scenario(NamedTuple):
    """One seed's world."""

    seed: int
    seconds: float
    steps: tuple[Step, ...]


def scenario(seed: int) -> Scenario:
    """The world of a seed."""
    random = Random(f"scenario {seed}")
    seconds = random.choice((3.0, 15.0, 90.0))
    steps = [_step(random, -1.0, "user", random.choice(("create", "create", "make_directory"))) for _ in range(6)]
    if random.random() < 0.2:
        steps += [_step(random, -1.0, "hands", "create") for _ in range(random.randint(1, 3))]
    for _ in range(random.randint(2, 25)):
        steps.append(_step(random, random.random() * seconds, "user", _weighted(random, DEEDS)))
    for _ in range(random.choice((0, 1, 3, 6))):
        kind = _weighted(random, FAULTS)
        deed = random.choice(HANDS) if kind.startswith("hands") else _weighted(random, DEEDS)
        steps.append(_step(random, random.random() * seconds, kind, deed))
    return Scenario(seed, seconds, tuple(sorted(steps)))


def _step(random: Random, at: float, kind: str, deed: str) -> Step:
    return Step(round(at, 3), kind, deed, random.getrandbits(32))


def _weighted(random: Random, choices: dict[str, int]) -> str:
    return random.choices(list(choices), list(choices.values()))[0]
