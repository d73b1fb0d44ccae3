"""Worlds in which large files travel in many frames, and connections are cut and servers die on the way."""

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from dirsync.endpoint.uploads.kept_uploads import KeptUploads
from dirsync.endpoint.uploads.open_upload import OpenUpload
from dirsync_client.transfer.uploads.resumption import Resumption
from tests.simulation import users
from tests.simulation.patching import simulated
from tests.simulation.scenario import Scenario, Step
from tests.simulation.transport import Network
from tests.simulation.world import World

SEEDS = 60
SIZES = (100, 70_000, 150_000, 400_000)
FRAME_BYTES = 8 * 1024
MESSAGES = 60
"""A call is cut before it has had so many."""
CLEAR = 0.001
"""Seconds that a message takes at most once the weather is clear."""
DEEDS = ("create", "create", "create", "rewrite", "append", "edit", "save", "rename", "delete")
FAULTS = ("cut",) * 12 + ("partition", "server dies", "power cut", "server dies within", "client dies", "disk full")


@pytest.fixture
def simulation() -> Iterator[None]:
    """No machine but the simulated one."""
    with simulated():
        yield


def scenario(seed: int) -> Scenario:
    """A few files are made and changed, and much goes wrong while they are sent."""
    random = Random(f"uploads {seed}")
    seconds = random.choice((5.0, 30.0))
    chosen = [("user", random.choice(DEEDS)) for _ in range(20)] + [
        (random.choice(FAULTS), "create") for _ in range(20)
    ]
    steps = [Step(round(random.random() * seconds, 3), kind, deed, random.getrandbits(32)) for kind, deed in chosen]
    return Scenario(seed, seconds, tuple(sorted(steps)))


def messages_before_cut(network: Network) -> int | None:
    """A line that is cut every few frames, until all is well."""
    return None if network.weather.slowest <= CLEAR else Random(network.next_number()).randrange(MESSAGES)


@pytest.mark.usefixtures("simulation")
@pytest.mark.case("A11", "C01", "C13")
def test_interrupted_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise is kept, nothing is left behind, and uploads go on, also after a restart of the server."""
    counted: Counter[bool] = Counter()
    opened: Callable[..., OpenUpload] = KeptUploads._continue

    def count(*arguments: object) -> OpenUpload:
        upload = opened(*arguments)
        counted[upload.is_read] += 1
        return upload

    monkeypatch.setattr(KeptUploads, "_continue", count)
    monkeypatch.setattr(Resumption, "frame_bytes", lambda *_: FRAME_BYTES)
    monkeypatch.setattr(users, "SIZES", SIZES)
    monkeypatch.setattr(Network, "messages_before_cut", messages_before_cut)
    for seed in range(SEEDS):
        World(scenario(seed)).run()

    assert counted[True] > 0
    assert counted[False] > 0
