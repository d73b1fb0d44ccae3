"""What the client decides in 400 random histories, held against what was recorded of the code before the reconciler.

An equally good plan leads to the same tree, sends no more bytes, and takes no more operations. Where the sync always
gets to its end before something else happens, that holds for the bytes of each history. In the others it is chance
which of two equal files is sent and which is copied, so there it holds over many histories.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.characterise.histories import History
from tests.characterise.play import Result
from tests.characterise.record import SEEDS, play_seed, recorded

GROUPS = 16
ATTEMPTS = 3
CHANCE = 1.05
"""Bytes that the interleaved histories of one group may come to, as a multiple of what they came to before."""
MORE_OPERATIONS = 1.01
"""Operations of all histories of a group, likewise."""
RECORDED = recorded()


@pytest.mark.parametrize("group", range(GROUPS))
def test_plans(group: int, tmp_path: Path) -> None:
    """The histories of a group lead to the same trees, at no higher cost."""
    worse = [""]
    for attempt in range(ATTEMPTS):
        if worse:
            place = tmp_path / str(attempt)
            place.mkdir()
            worse = _worse_of({seed: _best(seed, place) for seed in range(group, SEEDS, GROUPS)})

    assert [] == worse


def _worse_of(results: Mapping[int, Result]) -> list[str]:
    """What is worse than it was recorded, in these histories and in all of them together."""
    others = {seed: result for seed, result in results.items() if not History.draw_shape(seed).calm}
    before = {seed: RECORDED[seed] for seed in results}
    worse = [line for seed, result in results.items() for line in _worse(seed, result)]
    literal = sum(result.literal_bytes for result in others.values())
    literal_before = sum(before[seed].literal_bytes for seed in others)
    if literal > literal_before * CHANCE:
        worse.append(f"{literal} bytes instead of {literal_before}")
    operations, operations_before = _operations(results.values()), _operations(before.values())
    if operations > operations_before * MORE_OPERATIONS:
        worse.append(f"{operations} operations instead of {operations_before}")
    return worse


def _best(seed: int, place: Path) -> Result:
    """The history, played again if it was worse: on a busy machine changes fall into one tick of the clock.

    What is made and changed within one tick is not told from what was there before by its times, so it is sent.
    """
    result = _play(seed, place, 0)
    for attempt in range(1, ATTEMPTS):
        if not _worse(seed, result):
            break
        result = _play(seed, place, attempt)
    return result


def _play(seed: int, place: Path, attempt: int) -> Result:
    history = place / f"{seed}-{attempt}"
    history.mkdir()
    return play_seed(seed, history)


def _worse(seed: int, result: Result) -> list[str]:
    """What is worse than it was recorded, in one history."""
    before = RECORDED[seed]
    complaints = []
    if (result.root, result.equal) != (before.root, before.equal):
        complaints.append(f"seed {seed}: the replica is {result.root}, and was {before.root}")
    if History.draw_shape(seed).calm and result.literal_bytes > before.literal_bytes:
        complaints.append(f"seed {seed}: {result.literal_bytes} bytes are sent, and {before.literal_bytes} were")
    return complaints


def _operations(results: Iterable[Result]) -> int:
    return sum(sum(result.operations.values()) for result in results)
