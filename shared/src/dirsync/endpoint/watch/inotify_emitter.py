"""Linux's events as hints: a watchdog emitter that reads inotify itself.

The stock emitter for Linux is not used. Measured with watchdog 7.1.0: of 50,000 files created at full speed it loses
40,000 without telling its handler, it walks a new directory twice, warns once per nested directory, holds one half of a
move back for 0.5 s, and leaves directories unwatched in silence when the kernel refuses.

Hints go straight from the emitter's thread to their taker, not through the observer's queue. That saves a switch of
threads for each event, and it keeps the kernel's queue the only one: it is bounded and says when it overflowed.

The emitter owns its watches and its root: once started, only its thread touches them. It ends by itself when the root
goes away and when watches are refused; both are told.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from watchdog.events import FileSystemEventHandler
from watchdog.observers.api import BaseObserver, EventEmitter, EventQueue, ObservedWatch

from dirsync.endpoint.watch.hint import Hint, WatchRefused
from dirsync.endpoint.watch.inotify_hints import InotifyHints
from dirsync.endpoint.watch.inotify_queue import InotifyQueue
from dirsync.endpoint.watch.watches import Ignored, Watches
from dirsync.fs.root import Root


class InotifyEmitter(EventEmitter):
    """Reads the events below one root."""

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        root: Root,
        sink: Callable[[Sequence[Hint]], None],
        ignored: Ignored,
        overflowed: Callable[[], None],
        refused: Callable[[str], None],
        **options: Any,  # watchdog's own
    ) -> None:
        """Watch everything below ``root``, which it closes in the end; :meth:`start` begins to deliver.

        Raises:
            WatchRefused: there are more directories than may be watched, or no further inotify instance.
        """
        super().__init__(event_queue, watch, **options)
        self.name = "dirsync-watch"
        self._root = root
        self._sink = sink
        self._overflowed = overflowed
        self._refused = refused
        try:
            self._queue = InotifyQueue()
        except OSError as error:
            root.close()
            reason = (
                f"the kernel refused an inotify instance ({error.strerror}): "
                f"raise fs.inotify.max_user_instances, or the limit of open files"
            )
            raise WatchRefused(reason) from error
        self._watches = Watches(self._queue, root, ignored)
        self._hints = InotifyHints(root, self._watches)
        try:
            self._watches.rebuild()
            root.forget_all()
        except BaseException:
            self._release()
            raise

    @property
    def watches(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def run(self) -> None:
        """Deliver hints until :meth:`stop`, the end of the root, or a refused watch."""
        try:
            super().run()
        except WatchRefused as refusal:
            self._release()
            self._refused(str(refusal))
        finally:
            self._release()

    def queue_events(self, _timeout: float) -> None:
        """Wait for events and hand over their hints, those of one read together."""
        hints, overflowed, ended = self._hints.translate(self._queue.read())
        if ended:
            self.stopped_event.set()
        if overflowed:
            self._overflowed()
        if hints:
            self._sink(hints)

    def on_thread_stop(self) -> None:
        """Wake the thread, which closes what it holds."""
        self._queue.wake()

    def _release(self) -> None:
        self._queue.close()
        self._root.close()


def make_observer(
    root: Root,
    sink: Callable[[Sequence[Hint]], None],
    *,
    ignored: Ignored,
    overflowed: Callable[[], None],
    refused: Callable[[str], None],
) -> BaseObserver:
    """An observer of everything below ``root``, which it closes in the end; not yet started.

    Args:
        root: the directory to watch.
        sink: gets the hints of each read of the kernel's queue.
        ignored: which directories need no watch.
        overflowed: called when the kernel dropped events, before the ``LOST`` hint.
        refused: called with the reason when watches run out later; no hint comes after that.

    Raises:
        WatchRefused: there are more directories than may be watched, or no further inotify instance.
    """
    observer = BaseObserver(
        InotifyEmitter, root=root, sink=sink, ignored=ignored, overflowed=overflowed, refused=refused
    )
    observer.schedule(FileSystemEventHandler(), os.fsdecode(root.path), recursive=True)
    return observer


def count_watches(observer: BaseObserver) -> int:
    """How many directories are watched."""
    return sum(emitter.watches for emitter in observer.emitters if isinstance(emitter, InotifyEmitter))
