"""One answer of several targets. Pure."""

from collections.abc import Callable, Sequence

from dirsync.tree.guards.approvals import Released


class _Together:
    """Calls an answer when as many have answered as it was made for."""

    def __init__(self, number: int, answer: Callable[[], None]) -> None:
        self._left = number
        self._answer = answer

    def one(self) -> None:
        """One has answered."""
        self._left -= 1
        if not self._left:
            self._answer()


def for_all(number: int, answer: Callable[[], None]) -> Callable[[], None]:
    """What each of so many calls once; the last one gives the answer."""
    return answer if number == 1 else _Together(number, answer).one


def join_released(answers: Sequence[Released]) -> Released:
    """What an approval released at several targets: all paths, and what one of those says that released any."""
    told = [answer for answer in answers if answer.paths] or answers
    return Released(sum(answer.paths for answer in answers), told[0].message)
