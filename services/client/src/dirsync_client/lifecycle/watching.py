"""Keeps a running client's watcher going. Threads of its own start it, because that may have to wait for the source."""

from collections.abc import Callable
from functools import partial
from threading import Thread

from dirsync.endpoint.source.source import Source
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.watcher import Watcher, WatchMode
from dirsync.errors import DirsyncError
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import ROOT
from dirsync_client.lifecycle.activity import Activity, Part
from dirsync_client.mailbox import Mailbox

POLL_STRETCH = LIMITS.rescan_cost_stretch
"""How many times a scan's cost polling waits at least."""


class Watching:
    """The watcher of one source."""

    def __init__(
        self,
        source: Source,
        open_root: Callable[[], Root],
        mailbox: Mailbox,
        wanted: WatchMode,
        poll_interval: float,
        metrics: Metrics,
        activity: Activity,
    ) -> None:
        """Nothing is watched before :meth:`start`. ``activity`` is told when something is waited for."""
        self._source = source
        self._ignore = source.ignore
        self._mailbox = mailbox
        self._poll_interval = poll_interval
        self._metrics = metrics
        self._activity = activity
        self._log = get_logger()
        self._started = False
        self._restart = Thread()
        self._watcher = Watcher(
            open_root,
            mailbox.hints,
            wanted=wanted,
            poll_interval=poll_interval,
            ignored=lambda path: source.ignore.matches(path, True),
            degraded=self._degraded,
            overflowed=self._overflowed,
        )
        metrics.gauge("dirsync_watches").set_function(lambda: self._watcher.watches)
        for mode in (WatchMode.NATIVE, WatchMode.POLL, WatchMode.OFF):
            metrics.gauge("dirsync_watch_mode", mode=mode.value).set_function(partial(self._is_in_force, mode))
        polls_by_choice = wanted is WatchMode.POLL
        metrics.gauge("dirsync_watch_degraded").set_function(
            lambda: self.mode is WatchMode.POLL and not polls_by_choice
        )

    @property
    def mode(self) -> WatchMode:
        """What is in force."""
        return self._watcher.mode

    def start(self) -> None:
        """Watch. Not for the main thread: the source may not answer.

        Raises:
            UsageError: the root cannot be opened.
        """
        self._start()
        self._started = True

    def keep(self, scan_cost: float) -> None:
        """See that it goes on, with the present ignore rules, and polls no more than a scan's cost (seconds) allows."""
        self._watcher.poll_interval = max(self._poll_interval, POLL_STRETCH * scan_cost)
        lost = not self._watcher.alive or self._source.ignore is not self._ignore
        if self._started and lost and not self._restart.is_alive():
            self._restart = Thread(target=self._start_again, name="dirsync-watch", daemon=True)
            self._restart.start()

    def stop(self) -> None:
        """End its threads."""
        self._watcher.stop()

    def _start(self) -> None:
        self._activity.begin(Part.SOURCE)
        try:
            self._watcher.start()
        finally:
            self._activity.rest()

    def _start_again(self) -> None:
        # Directories that were ignored before have no watch yet.
        self._ignore = self._source.ignore
        try:
            self._start()
        except DirsyncError:
            return
        self._mailbox.hint(Hint(ROOT, HintKind.LOST))

    def _is_in_force(self, mode: WatchMode) -> bool:
        return self.mode is mode

    def _degraded(self, reason: str) -> None:
        self._log.warning(Event.WATCH_DEGRADED, reason=reason)

    def _overflowed(self) -> None:
        self._metrics.inc("dirsync_watch_overflows_total")
        self._log.warning(Event.WATCH_OVERFLOW)
