"""Says what stands still: to the status, the metrics, the log, and by them to readiness. Waits for nothing itself."""

from collections.abc import Callable

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
        board: StatusBoard,
        metrics: Metrics,
        resumed: Callable[[], None],
    ) -> None:
        """``patience``: see :func:`~.activity.patience_for`; ``resumed`` is called when all goes on again."""
        self._activities = activities
        self._patience = patience
        self._board = board
        self._metrics = metrics
        self._resumed = resumed
        self._log = get_logger()
        self._part: Part | None = None
        """What stood still at the last look."""

    def check(self) -> Stall | None:
        """Look at all threads, and tell what has changed; returns what stands still."""
        stall = self._activities.stall(self._patience)
        self._board.stall(stall.reason if stall else "", stall.since if stall else None)
        part = stall.part if stall else None
        if part is not self._part:
            self._part = part
            for each in Part:
                self._metrics.set("dirsync_stalled", each is part, part=each)
            if stall is not None:
                self._log.warning(Event.SYNC_STALLED, part=stall.part.value, problem=stall.reason)
            else:
                self._log.info(Event.SYNC_RESUMED)
                self._resumed()
        self._metrics.set("dirsync_in_sync", self._board.status.in_sync)
        return stall
