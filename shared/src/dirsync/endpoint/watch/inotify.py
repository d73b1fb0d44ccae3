"""Linux's events as hints, through watchdog's inotify reader.

watchdog's own emitter is left out, its reader (:class:`InotifyFD`) is not. Measured with 7.1.0: of 50,000 files created
at full speed the emitter loses 40,000 without telling its handler (the queue overflows, and what was pending is thrown
away too), it walks a new directory twice, warns once per nested directory, holds one half of a move back for 0.5 s, and
leaves directories unwatched in silence when the kernel refuses. Each of these comes from its efforts to tell what
happened. We need only where to look, so an event becomes a hint at once, in the reader's own thread, with no queue
between.

The reader owns its :class:`Watches` and its root: once started, only its thread touches them. It ends by itself when
the root goes away and when watches are refused; both are told. An event never makes us open a file: a created name is
stat'ed (a link is complete when it appears, a file is not), a directory listed.
"""

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.watches import Ignored, WatchedDirectory, Watches, WatchRefused
from dirsync.fs.failure import PathFailure
from dirsync.fs.root import Root, RootState
from dirsync.tree.path import ROOT, RelPath, join

_ROOT_LEFT = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED
_COMPLETE = In.IN_CLOSE_WRITE | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_DELETE | In.IN_ATTRIB
_REPLACED = In.IN_DELETE | In.IN_MOVED_FROM | In.IN_MOVED_TO
_ARRIVED = In.IN_CREATE | In.IN_MOVED_TO | In.IN_ATTRIB


class InotifyHints(InotifyFD):
    """One inotify instance that reads the events below one root, as a thread."""

    def __init__(
        self,
        root: Root,
        sink: Callable[[Hint], None],
        *,
        ignored: Ignored,
        overflowed: Callable[[], None],
        refused: Callable[[str], None],
        gathering: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Watches everything below ``root``, which it closes in the end; :meth:`start` begins to deliver.

        ``gathering`` gives a context in which the hints of events that were read together are delivered.
        ``refused`` is called from the thread with the reason when watches run out later.

        Raises:
            WatchRefused: there are more directories than may be watched, or no further inotify instance.
        """
        try:
            super().__init__()
        except OSError as error:
            root.close()
            reason = (
                f"the kernel gives no inotify instance ({error.strerror}): "
                f"raise fs.inotify.max_user_instances, or the limit of open files"
            )
            raise WatchRefused(reason) from error
        self.name = "dirsync-watch"
        self._root = root
        self._sink = sink
        self._overflowed = overflowed
        self._refused = refused
        self._gathering = gathering
        self._unsure = False
        self._watches = Watches(self._inotify_fd, root, ignored)
        try:
            self._watches.rebuild()
            self._watches.watch_name()
            root.forget_all()
        except BaseException:
            self._release()
            raise

    @property
    def watches(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def run(self) -> None:
        """Read events until :meth:`stop`, the end of the root, or a refused watch."""
        try:
            while self.should_keep_running():
                events = self.read_events()
                with self._gathering():
                    for event in events:
                        self.handle_event(event)
                if self._unsure:
                    self._begin_again()
                self._root.forget_all()  # a descriptor kept while idle would hold deleted directories and mounts
        except WatchRefused as refusal:
            self._release()
            self._refused(str(refusal))
        finally:
            self._release()

    def on_thread_stop(self) -> None:
        """Wake the thread, which closes what it holds (the base class would close it under the thread)."""
        with self._lock:
            if not self._closed:
                os.write(self._kill_w, b"!")

    def handle_event(self, event: InotifyEvent) -> None:
        """Turn one event into hints."""
        mask = event.mask
        if mask & In.IN_Q_OVERFLOW:
            self._overflowed()
            self._unsure = True
            return
        directory = self._watches.find(event.wd)
        if directory is None:
            self._unsure |= self._watches.is_own_name(event.wd, event.name)
            return
        if not event.name:
            self._on_itself(directory, mask)
        elif mask & In.IN_ISDIR:
            self._on_directory(directory, event.name, mask)
        else:
            self._on_file(join(directory.path, event.name), mask)

    def _on_file(self, path: RelPath, mask: int) -> None:
        complete = mask & _COMPLETE or (mask & In.IN_CREATE and self._is_born_complete(path))
        self._sink(Hint(path, HintKind.CHANGED if complete else HintKind.WRITING))

    def _is_born_complete(self, path: RelPath) -> bool:
        """Whether no close will follow: a link of either kind, a device, or what is gone or replaced already."""
        try:
            found = self._root.lstat(path)
        except PathFailure:
            return True
        return found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1

    def _on_directory(self, parent: WatchedDirectory, name: bytes, mask: int) -> None:
        self._sink(Hint(join(parent.path, name), HintKind.CHANGED))
        known = parent.children.get(name)
        if known is not None and mask & _REPLACED:
            self._watches.drop(known)
            known = None
        if known is None and mask & _ARRIVED:
            for path in self._watches.arm(parent, name):
                self._sink(Hint(path, HintKind.DIRECTORY))

    def _on_itself(self, directory: WatchedDirectory, mask: int) -> None:
        if directory.parent is None:
            self._on_root(mask)
        elif mask & In.IN_UNMOUNT:
            self._unsure = True
        elif mask & In.IN_IGNORED:
            self._watches.removed(directory)

    def _on_root(self, mask: int) -> None:
        if mask & _ROOT_LEFT:
            self._end()
        else:
            self._sink(Hint(ROOT, HintKind.DIRECTORY))

    def _begin_again(self) -> None:
        self._unsure = False
        if self._root.state() is not RootState.SAME:
            self._end()
            return
        self._watches.rebuild()
        self._sink(Hint(ROOT, HintKind.LOST))

    def _end(self) -> None:
        if self.should_keep_running():
            self.stopped_event.set()
            self._sink(Hint(ROOT, HintKind.LOST))

    def _release(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._close_resources()
                self._root.close()
