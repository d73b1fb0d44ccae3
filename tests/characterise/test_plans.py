"""What the client decides in 400 random histories, held against what it decided when they were recorded.

An equally good plan leads to the same tree, sends no more bytes, and, over many histories, no more operations.
"""

from pathlib import Path

import pytest

from tests.characterise.play import Result
from tests.characterise.record import SEEDS, play_seed, recorded

GROUPS = 16
RECORDED = recorded()


def _worse(seed: int, result: Result) -> list[str]:
    """What is worse than it was recorded, in one history."""
    before = RECORDED[seed]
    complaints = []
    if (result.root, result.equal) != (before.root, before.equal):
        complaints.append(f"seed {seed}: the replica is {result.root}, and was {before.root}")
    if result.literal_bytes > before.literal_bytes:
        complaints.append(f"seed {seed}: {result.literal_bytes} bytes are sent, and {before.literal_bytes} were")
    return complaints


@pytest.mark.parametrize("group", range(GROUPS))
def test_plans(group: int, tmp_path: Path) -> None:
    """Each history leads to the same tree with no more bytes; a group takes at most one percent more operations."""
    complaints: list[str] = []
    operations = before = 0
    for seed in range(group, SEEDS, GROUPS):
        place = tmp_path / str(seed)
        place.mkdir()
        result = play_seed(seed, place)
        complaints += _worse(seed, result)
        operations += sum(result.operations.values())
        before += sum(RECORDED[seed].operations.values())

    assert [] == complaints
    assert operations <= before * 1.01
