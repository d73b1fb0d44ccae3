"""One answer of several targets."""

from dirsync.tree.guards.approvals import Released
from dirsync_client.targets.answers import for_all, join_released


def test_the_last_one_answers() -> None:
    """A request that goes to several is answered when all have answered, once."""
    answered: list[str] = []
    answer = for_all(3, lambda: answered.append("now"))

    seen = []
    for _ in range(3):
        answer()
        seen.append(len(answered))

    assert [0, 0, 1] == seen


def test_released() -> None:
    """What was released counts together; that some did not hold it does not matter."""
    nothing = Released(0, "there is no such hold")

    assert Released(5, "") == join_released([nothing, Released(2), Released(3)])
    assert nothing == join_released([nothing, Released(0, "nor here")])
