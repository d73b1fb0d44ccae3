"""The kernel's events as hints.

Only where to look is wanted, so an event becomes a hint at once and nothing tries to tell what happened. The halves of
a move are not paired: each hints its own path, and a directory that moved is listed again at its new place, because
ignore rules depend on the path. An event never makes us open a file: a created name is stat'ed (a link is complete when
it appears, a file is not), a directory listed.

Not thread-safe: the thread that reads the events owns it.
"""

import stat
from collections.abc import Iterable
from typing import NamedTuple

from dirsync.endpoint.watch import inotify_queue as inotify
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.inotify_queue import InotifyEvent
from dirsync.endpoint.watch.watches import WatchedDirectory, Watches
from dirsync.fs.failure import PathFailure
from dirsync.fs.root import Root, RootState
from dirsync.tree.path import ROOT, RelPath, join

_ROOT_LEFT = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED
_COMPLETE = inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.DELETE | inotify.ATTRIB
_REPLACED = inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO
_ARRIVED = inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB


class Translation(NamedTuple):
    """What the events of one read mean."""

    hints: list[Hint]
    overflowed: bool
    """The kernel dropped events; a ``LOST`` hint is among the hints."""
    ended: bool
    """The root left its place; nothing is watched any more."""


class InotifyHints:
    """Turns the events below one root into hints, and keeps the watches up with them."""

    def __init__(self, root: Root, watches: Watches) -> None:
        self._root = root
        self._watches = watches
        self._hints: list[Hint] = []
        self._unsure = False
        self._ended = False

    def translate(self, events: Iterable[InotifyEvent]) -> Translation:
        """The hints of events that were read together, in their order.

        Raises:
            WatchRefused: a new directory cannot be watched; everything may be different.
        """
        self._hints = []
        overflowed = False
        for event in events:
            if event.mask & inotify.OVERFLOW:
                overflowed = self._unsure = True
            elif event.mask & inotify.REMOUNTED:
                self._on_mounts()
            else:
                self._handle(event)
            if self._ended:
                break
        if self._unsure and not self._ended:
            self._begin_again()
        self._root.forget_all()  # a descriptor kept while idle would hold deleted directories and mounts
        return Translation(self._hints, overflowed, self._ended)

    def _handle(self, event: InotifyEvent) -> None:
        directory = self._watches.find(event.wd)
        mounted_files = self._watches.mounted_files(event.wd)
        if mounted_files:
            for path in mounted_files:
                self._on_file(path, event.mask)
        elif directory is None:
            self._unsure |= self._watches.is_own_path(event.wd, event.name)
        elif not event.name:
            self._on_itself(directory, event.mask)
        elif event.mask & inotify.IS_DIRECTORY:
            self._on_directory(directory, event.name, event.mask)
        else:
            self._on_file(join(directory.path, event.name), event.mask)

    def _on_file(self, path: RelPath, mask: int) -> None:
        complete = mask & _COMPLETE or (mask & inotify.CREATE and self._is_born_complete(path))
        self._hint(path, HintKind.CHANGED if complete else HintKind.WRITING)

    def _is_born_complete(self, path: RelPath) -> bool:
        """Whether no close will follow: a link of either kind, a device, or what is gone or replaced already."""
        try:
            found = self._root.lstat(path)
        except PathFailure:
            return True
        return found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1

    def _on_directory(self, parent: WatchedDirectory, name: bytes, mask: int) -> None:
        self._hint(join(parent.path, name), HintKind.CHANGED)
        known = parent.children.get(name)
        if known is not None and mask & _REPLACED:
            self._watches.drop(known)
            known = None
        if known is None and mask & _ARRIVED:
            for path in self._watches.arm(parent, name):
                self._hint(path, HintKind.DIRECTORY)

    def _on_itself(self, directory: WatchedDirectory, mask: int) -> None:
        if directory.parent is None:
            self._on_root(mask)
        elif mask & inotify.UNMOUNT:
            self._unsure = True
        elif mask & inotify.IGNORED:
            self._watches.removed(directory)

    def _on_mounts(self) -> None:
        """Something was mounted or unmounted: what a mount hides makes no more events, and what it shows makes none."""
        if self._root.state() is not RootState.SAME:
            self._end()
            return
        for point in self._root.refresh_mounts():
            self._hint(point, HintKind.CHANGED)
            for path in self._watches.arm_again(point):
                self._hint(path, HintKind.DIRECTORY)
        self._watches.watch_mounted_files()

    def _on_root(self, mask: int) -> None:
        if mask & _ROOT_LEFT:
            self._end()
        else:
            self._hint(ROOT, HintKind.DIRECTORY)

    def _begin_again(self) -> None:
        self._unsure = False
        if self._root.state() is not RootState.SAME:
            self._end()
            return
        self._watches.rebuild()
        self._hint(ROOT, HintKind.LOST)

    def _end(self) -> None:
        self._ended = True
        self._hint(ROOT, HintKind.LOST)

    def _hint(self, path: RelPath, kind: HintKind) -> None:
        self._hints.append(Hint(path, kind))
