"""The status boards of all targets, and how they stand together. Thread-safe."""

from collections.abc import Mapping
from typing import Any

from dirsync_client.report.status import MAX_SHOWN_PROBLEMS, Status, StatusBoard
from dirsync_client.targets.aggregate import aggregate


class Boards:
    """One board for each target, by its name; the only target may have none."""

    def __init__(self, boards: Mapping[str, StatusBoard]) -> None:
        self.by_name = dict(boards)
        self._first = next(iter(self.by_name.values()))
        self.now = self._first.now
        """The clock of the boards."""

    @property
    def are_named(self) -> bool:
        """Whether the targets have names, so that what is said of one is said with its name."""
        return "" not in self.by_name

    @property
    def status(self) -> Status:
        """The status of all together."""
        return self.together(self.statuses())

    def together(self, statuses: Mapping[str, Status]) -> Status:
        """How these statuses stand together, those of all targets or of a chosen one."""
        if len(statuses) == 1:
            return next(iter(statuses.values()))
        return aggregate(statuses, MAX_SHOWN_PROBLEMS)

    def statuses(self, target: str = "") -> dict[str, Status]:
        """The status of each target, or of the one of this name.

        Raises:
            KeyError: there is none.
        """
        names = [target] if target else [*self.by_name]
        return {name: self.by_name[name].status for name in names}

    def update(self, **changes: Any) -> None:
        """Replace some fields of all."""
        for board in self.by_name.values():
            board.update(**changes)

    def lag(self) -> float:
        """Seconds since the oldest change that is not acknowledged by some server; 0 when none is."""
        return max(board.lag() for board in self.by_name.values())
