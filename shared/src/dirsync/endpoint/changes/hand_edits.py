"""Notices edits of a replica's files by others than its clients, as long as somebody wants to know of them.

The kernel says where something may have changed, and the scanner looks there. What the clients themselves have done
shows no difference then, because the tree has it already. A scan of everything begins when the watch does, and repairs
what was changed before; after that one comes where events were lost, and now and then.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.errors import DirsyncError
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath

if TYPE_CHECKING:
    from dirsync.endpoint.watch.watcher import Watcher

SETTLE_SECONDS = 0.05
"""Quiet time that is asked of a file that is still open for writing; a closed one is looked at at once."""
POLL_SECONDS = 2.0
"""How often to look for changes where the kernel reports none."""
PAUSE_SECONDS = 2.0
"""The pause after a failure. Also: how often it is seen to that the watch goes on."""
END_SECONDS = 2.0
"""How long the end waits for a look at the files."""


def _tell_nobody(_reason: str) -> None:
    """Nobody is told."""


def _count_nothing(_paths: Sequence[RelPath]) -> None:
    """Nothing is counted."""


class HandEdits:
    """Watches one replica from the first subscription to its changes until some time after the last one."""

    def __init__(
        self,
        replica: Replica,
        *,
        found: Callable[[Sequence[RelPath]], object] = _count_nothing,
        degraded: Callable[[str], None] = _tell_nobody,
        overflowed: Callable[[], None] = lambda: None,
        linger: float = LIMITS.session_idle_seconds,
        now: Monotonic = monotonic,
    ) -> None:
        """Nothing is watched before somebody subscribes.

        Args:
            replica: whose files are watched.
            found: told the paths where an edit was found.
            degraded: told why the files are polled instead.
            overflowed: called when the kernel dropped events.
            linger: seconds for which the watch outlives the last subscription, so that one that returns finds it.
            now: the clock.
        """
        self._replica = replica
        self._found = found
        self._linger = linger
        self._now = now
        self._changed = threading.Condition()
        self._schedule = Schedule(SETTLE_SECONDS, LIMITS.replica_rescan_seconds)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._rules = replica.session_options.ignore
        self._degraded = degraded
        self._overflowed = overflowed
        replica.changes.on_subscribed = self._subscribed

    @property
    def watches(self) -> int:
        """How many directories the kernel watches for us."""
        return self._watcher.watches if self.is_active else 0

    @cached_property
    def _watcher(self) -> "Watcher":
        from dirsync.endpoint.watch.watcher import Watcher  # noqa: PLC0415 - a server of mirrors need not load it

        return Watcher(
            self._replica.root.clone,
            self._hint,
            poll_interval=POLL_SECONDS,
            ignored=self._is_ignored,
            degraded=self._degraded,
            overflowed=self._overflowed,
        )

    @property
    def is_active(self) -> bool:
        """Whether the files are watched, or are about to be."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def close(self) -> None:
        """End its threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(END_SECONDS)

    def _subscribed(self) -> None:
        with self._changed:
            self._changed.notify_all()
            self._start()

    def _start(self) -> None:
        if self._thread is None and self._replica.changes.subscribers and not self._stopping:
            self._thread = threading.Thread(target=self._run, name="dirsync-edits", daemon=True)
            self._thread.start()

    def _hint(self, hints: Sequence[Hint]) -> None:
        with self._changed:
            for hint in hints:
                # Our own staging comes and goes with commits, where it is in the root.
                if not self._is_reserved(hint.path):
                    self._schedule.hint(hint, self._now())
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._is_wanted():
                try:
                    self._keep_watching()
                    self._look()
                except (DirsyncError, OSError):
                    # The replica cannot be read at present; the server's readiness tells why.
                    self._hint([Hint(ROOT, HintKind.LOST)])
                    self._pause(PAUSE_SECONDS)
        finally:
            self._watcher.stop()
            with self._changed:
                self._thread = None
        with self._changed:
            self._start()  # somebody may have subscribed meanwhile

    def _is_wanted(self) -> bool:
        with self._changed:
            if not self._stopping and not self._replica.changes.subscribers:
                self._changed.wait_for(lambda: self._stopping or self._replica.changes.subscribers, self._linger)
            return self._replica.changes.subscribers > 0 and not self._stopping

    def _keep_watching(self) -> None:
        rules = self._replica.session_options.ignore
        if self._watcher.alive and rules is self._rules:
            return
        # Directories that were ignored before have no watch yet.
        self._rules = rules
        self._watcher.start()
        self._hint([Hint(ROOT, HintKind.LOST)])

    def _look(self) -> None:
        """Wait until something is due or nobody wants to know any more, and look."""
        with self._changed:
            now = self._now()
            pause = self._schedule.next_wakeup(now)
            if pause != 0:
                self._changed.wait(PAUSE_SECONDS if pause is None else min(pause, PAUSE_SECONDS))
                now = self._now()
            due = self._schedule.due(now)
            everything = due.everything or self._schedule.rescan_due(now)
            if everything:
                self._schedule.rescan_started()
        scanner = self._replica.scanner
        if everything:
            try:
                found = scanner.rescan()
            finally:
                with self._changed:
                    cost = self._now() - now
                    self._schedule.rescan_finished(self._now(), cost)
                self._watcher.poll_interval = max(POLL_SECONDS, cost * LIMITS.rescan_cost_stretch)
        elif due:
            found = scanner.look(due.paths, due.directories)
        else:
            return
        if found:
            self._found(found)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    def _is_ignored(self, path: RelPath) -> bool:
        return self._is_reserved(path) or self._rules.matches(path, True)

    def _is_reserved(self, path: RelPath) -> bool:
        return path.partition(b"/")[0] in self._replica.session_options.reserved
