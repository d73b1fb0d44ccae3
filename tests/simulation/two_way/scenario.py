"""What is going to happen to a world with clients that carry changes both ways, decided by its seed."""

from random import Random
from typing import Final

from tests.simulation.scenario import DEEDS, Scenario, Step

DEEDS_BOTH_WAYS: Final = {
    name: share for name, share in DEEDS.items() if name not in ("link", "make_fifo", "delete_all")
}
"""What people do: what leaves each content with one name, so that one can tell what somebody took away."""
FAULTS: Final = {
    "cut": 4,
    "partition": 3,
    "server dies": 2,
    "server dies within": 4,
    "power cut": 2,
    "power cut within": 3,
    "client dies": 4,
    "client dies within": 8,
    "client loses power within": 4,
    "client loses its state": 1,
    "race": 6,
    "hands race": 3,
    "fsync fails": 1,
    "client's fsync fails": 1,
}


def scenario(seed: int) -> Scenario:
    """The world of a seed. ``kind`` of a step has the name of the side at which it happens, as ``user 1``."""
    random = Random(f"two-way scenario {seed}")
    seconds = random.choice((3.0, 15.0, 60.0))
    sides = clients_of(seed)
    people = [*(f"user {number}" for number in range(sides)), "hands"]
    steps = [_step(random, -1.0, random.choice(people), random.choice(("create", "make_directory"))) for _ in range(6)]
    for _ in range(random.randint(2, 25)):
        deed = _weighted(random, DEEDS_BOTH_WAYS)
        steps.append(_step(random, random.random() * 2 * seconds, random.choice(people), deed))
    for _ in range(random.choice((0, 1, 3, 6))):
        kind = _weighted(random, FAULTS)
        at = f" {random.randrange(sides)}" if kind.startswith(("client", "race")) else ""
        steps.append(_step(random, random.random() * 2 * seconds, kind + at, _weighted(random, DEEDS_BOTH_WAYS)))
    return Scenario(seed, seconds, tuple(sorted(steps)))


def clients_of(seed: int) -> int:
    """How many clients there are."""
    return 1 + seed % 2


def _step(random: Random, at: float, kind: str, deed: str) -> Step:
    return Step(round(at, 3), kind, deed, random.getrandbits(32))


def _weighted(random: Random, choices: dict[str, int]) -> str:
    return random.choices(list(choices), list(choices.values()))[0]
