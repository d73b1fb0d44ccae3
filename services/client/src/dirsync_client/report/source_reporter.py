"""Reports what was found of the source: once, however many targets there are."""

from collections.abc import Iterable

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.source.source import RenamedAway, Source
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import escape


class SourceReporter:
    """The engine's thread only."""

    def __init__(self, source: Source, metrics: Metrics, now: Monotonic = monotonic) -> None:
        self._source = source
        self._metrics = metrics
        self._now = now
        self._log = get_logger()

    def renamed_away(self, renamed: Iterable[RenamedAway]) -> None:
        """What was renamed to a name that is left out leaves the replica: say so, and why."""
        for path, left_out in renamed:
            problem = f"{escape(path)} is called {escape(left_out.path)} now: {left_out.sentence(left_out.path)}"
            self._log.warning(Event.FILE_LEFT_OUT, path=path, name=left_out.path, problem=problem)

    def found_by_scan(self, paths: int) -> None:
        """A periodic scan found changes at so many paths of which no event told."""
        if paths:
            self._metrics.inc("dirsync_rescan_found_total", paths)

    def scanned(self, cost: float, found: int, started: float) -> None:
        """The whole source was looked at: ``cost`` seconds of work, since ``started``."""
        elapsed = self._now() - started
        self._metrics.observe("dirsync_scan_duration_seconds", elapsed)
        self._log.info(
            Event.RESCAN_COMPLETED,
            entries=len(self._source.tree),
            found=found,
            duration_ms=round(elapsed * 1000, 1),
            cost_ms=round(cost * 1000, 1),
        )
