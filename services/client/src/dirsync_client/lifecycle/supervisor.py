"""Says what stands still: to the status, the metrics, the log, and by them to readiness. Waits for nothing itself."""

from collections.abc import Callable, Iterable, Mapping

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync_client.lifecycle.activity import Activities, Part, Stall
from dirsync_client.report.status import StatusBoard


class Supervisor:
    """The main thread's look at all others."""

    def __init__(
        self,
        activities: Activities,
        patience: float,
        boards: Mapping[str, StatusBoard],
        metrics: Callable[[str], Metrics],
        resumed: Callable[[], None],
        targets: Mapping[str, Activities] | None = None,
    ) -> None:
        """Watch the threads that all targets share, and those of each.

        Args:
            activities: the threads that all share.
            patience: see :func:`~.activity.patience_for`.
            boards: the status of each target, by its name.
            metrics: those of the target of a name.
            resumed: called when all goes on again.
            targets: the threads of each target, where they are apart.
        """
        self._activities = activities
        self._patience = patience
        self._boards = boards
        self._metrics = {name: metrics(name) for name in boards}
        self._targets = targets or {}
        self._resumed = resumed
        self._log = get_logger()
        self._part: Part | None = None
        """What stood still at the last look."""

    def check(self) -> Stall | None:
        """Look at all threads, and tell what has changed; returns the worst of what stands still."""
        shared = self._activities.stall(self._patience)
        stalls: dict[str, Stall | None] = dict.fromkeys(self._boards, shared)
        for name, activities in self._targets.items():
            stalls[name] = _worst((shared, activities.stall(self._patience)))
        for name, found in stalls.items():
            self._boards[name].stall(found.reason if found else "", found.since if found else None)
        stall = _worst(stalls.values())
        part = stall.part if stall else None
        if part is not self._part:
            self._part = part
            for each in Part:
                next(iter(self._metrics.values())).set("dirsync_stalled", each is part, part=each)
            if stall is not None:
                self._log.warning(Event.SYNC_STALLED, part=stall.part.value, problem=stall.reason)
            else:
                self._log.info(Event.SYNC_RESUMED)
                self._resumed()
        for name, board in self._boards.items():
            self._metrics[name].set("dirsync_in_sync", board.status.in_sync)
        return stall


def _worst(stalls: Iterable[Stall | None]) -> Stall | None:
    """What needs a restart first, then what has taken longest."""
    found = [stall for stall in stalls if stall is not None]
    return min(found, key=lambda one: (not one.fatal, one.since), default=None)
