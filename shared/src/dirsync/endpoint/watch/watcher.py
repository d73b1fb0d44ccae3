"""Noticing changes: hints about where to look, from the kernel or from the clock.

Correctness does not depend on hints: the path itself is looked at, and a periodic rescan looks at everything. So the
watcher may always replace details by ``LOST``. It must not watch less than it reports: where the kernel refuses a
watch, the whole source is polled from then on, and ``degraded`` is called with the reason, in words for people.

Hints come from threads of the watcher's own, so ``sink`` must be safe to call from any; it must also be quick, because
events queue up meanwhile, and must not call the watcher. What was read together, like both halves of a rename, comes in
one call. Directories are watched before :meth:`Watcher.start` returns, so a scan that begins then misses nothing. When
the source directory goes away or is replaced there is one last ``LOST``, and :attr:`Watcher.alive` is False; so it is
when a thread dies. :meth:`Watcher.start` again opens the root anew.

What is not here: content (never read), symbolic links (never followed), and the decision what to do about a hint.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from dirsync.endpoint.watch.hint import Hint, HintKind, WatchRefused
from dirsync.endpoint.watch.mounts import silent_mount
from dirsync.endpoint.watch.poll import Poller
from dirsync.fs.mounts import parse_mount_id, parse_mounts
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT, RelPath, escape

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

if sys.platform == "linux":
    from dirsync.endpoint.watch.inotify_emitter import count_watches, make_observer
elif sys.platform == "darwin":
    from dirsync.endpoint.watch.fsevents import count_watches, make_observer

_HAS_EVENTS = sys.platform in ("linux", "darwin")

__all__ = ["Hint", "HintKind", "WatchMode", "Watcher"]


class WatchMode(StrEnum):
    """Where hints come from."""

    AUTO = "auto"
    """Asked for, never in force: native, or polling where the file system delivers no events."""
    NATIVE = "native"
    """From the kernel, when something happens."""
    POLL = "poll"
    """From the clock, at intervals."""
    OFF = "off"
    """No hints: the periodic rescan finds the changes."""


def _nothing_ignored(_path: RelPath) -> bool:
    return False


class Watcher:
    """Watches one source; see the module for its rules."""

    def __init__(
        self,
        open_root: Callable[[], Root],
        sink: Callable[[Sequence[Hint]], None],
        *,
        wanted: WatchMode = WatchMode.AUTO,
        poll_interval: float,
        ignored: Callable[[RelPath], bool] = _nothing_ignored,
        degraded: Callable[[str], None],
        overflowed: Callable[[], None],
    ) -> None:
        """Nothing happens before :meth:`start`.

        Args:
            open_root: returns a root that the watcher may keep and close, anew at each start.
            sink: gets every hint, those that belong together in one call.
            wanted: the setting WATCH.
            poll_interval: seconds between two ``LOST`` hints when polling.
            ignored: whether a directory, none of whose ancestors is ignored, needs no watch. Hints about an ignored
                entry still come if its directory is not ignored.
            degraded: gets the reason when polling has to take the place of native watching.
            overflowed: called when the kernel dropped events; the ``LOST`` hint follows.
        """
        self._open_root = open_root
        self._sink = sink
        self._wanted = wanted
        self._poll_interval = poll_interval
        self._ignored = ignored
        self._degraded = degraded
        self._overflowed = overflowed
        self._lock = threading.Lock()
        self._native: BaseObserver | None = None
        self._poller: Poller | None = None
        self._started = False

    @property
    def mode(self) -> WatchMode:
        """What is in force: ``NATIVE``, ``POLL`` or ``OFF``."""
        if self._poller is not None:
            return WatchMode.POLL
        return WatchMode.OFF if self._native is None else WatchMode.NATIVE

    @property
    def watches(self) -> int:
        """How many directories the kernel watches for us."""
        native = self._native
        return count_watches(native) if native is not None and self._poller is None else 0

    @property
    def alive(self) -> bool:
        """Whether it was started and all threads of its mode run."""
        native, poller = self._native, self._poller
        if poller is not None:
            return self._started and poller.is_alive()
        threads = (native, *native.emitters) if native is not None else ()
        return self._started and all(thread.is_alive() for thread in threads)

    @property
    def poll_interval(self) -> float:
        """Seconds between two ``LOST`` hints when polling."""
        return self._poll_interval

    @poll_interval.setter
    def poll_interval(self, seconds: float) -> None:
        self._poll_interval = seconds
        poller = self._poller
        if poller is not None:
            poller.interval = seconds

    def start(self) -> None:
        """Watch, from the beginning if it was started before.

        Raises:
            UsageError: the root cannot be opened; then nothing is watched.
        """
        self.stop()
        match self._wanted:
            case WatchMode.OFF:
                self._started = True
            case WatchMode.POLL:
                self._started = True
                self._poll()
            case WatchMode.AUTO | WatchMode.NATIVE:
                root = self._open_root()
                self._started = True
                self._watch(root)

    def stop(self) -> None:
        """End all threads; no hint comes after this. Not to be called by one of them."""
        with self._lock:
            self._started = False
            threads = [thread for thread in (self._native, self._poller) if thread is not None]
            self._native = self._poller = None
        for thread in threads:
            thread.stop()
            thread.join()

    def _watch(self, root: Root) -> None:
        reason = _unsuitable(root) if self._wanted is WatchMode.AUTO or not _HAS_EVENTS else None
        if reason is not None:
            root.close()
            self._fall_back(reason)
            return
        try:
            native = make_observer(
                root, self._sink, ignored=self._ignored, overflowed=self._overflowed, refused=self._fall_back
            )
        except WatchRefused as refusal:
            self._fall_back(str(refusal))
            return
        self._native = native
        native.start()

    def _fall_back(self, reason: str) -> None:
        """Poll from now on, because native watching is not possible."""
        with self._lock:
            if not self._started:
                return
            self._poll()
        self._degraded(reason)
        self._sink([Hint(ROOT, HintKind.LOST)])

    def _poll(self) -> None:
        self._poller = Poller(self._poll_interval, self._sink)
        self._poller.start()


def _unsuitable(root: Root) -> str | None:
    """Why the kernel's events would not tell of every change below ``root``; None when they would."""
    if not _HAS_EVENTS:
        return f"there is no native watching on {sys.platform}"
    if sys.platform != "linux":
        return None  # nothing tells of what file system a directory is
    try:
        with open(f"/proc/self/fdinfo/{root.descriptor}", "rb") as fdinfo:
            mount_id = parse_mount_id(fdinfo.read())
        with open("/proc/self/mountinfo", "rb") as mountinfo:
            mounts = parse_mounts(mountinfo.read())
        path = os.readlink(b"/proc/self/fd/%d" % root.descriptor)
    except OSError as error:
        return f"/proc does not show the file system of the source ({error.strerror})"
    mount = silent_mount(mounts, mount_id, path)
    if mount is None:
        return None
    return f"{escape(mount.point)} is of type {escape(mount.type)}, which delivers no events of what others write there"
