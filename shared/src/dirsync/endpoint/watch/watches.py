"""The directories that the kernel watches for us, as a tree.

inotify names a directory by a watch descriptor and an entry of it by its name, so this is what turns an event into a
path. The rules:

- A watch comes before a listing: whatever appears in a directory after its watch makes an event, and whatever was there
  before is seen by who lists it now. So each newly watched directory is told (:meth:`Watches.arm` yields it), and
  nothing falls between ``mkdir -p a/b/c`` and ``touch a/b/c/f``.
- A directory that moves is dropped with all below it and armed anew at its new place. There is no pairing of both
  halves of a move, so nothing waits for a half that never comes. The price is a listing of what moved.
- A watch is refused or it is there. A directory that is gone or may not be read needs none (its absence is an event of
  its parent, its unreadability a Problem of the scan); any other refusal is :class:`WatchRefused`, never a silence.
- Directories are opened by descriptor below the root and handed to the kernel as ``/proc/self/fd/N``, so no path is
  resolved, no symbolic link followed, and no depth too deep.

RACE: an event is handled later than it happened, so the directory that has a name now need not be the one that the
event was about. Then a watch may be filed under another path for a moment. The events of those moves are still in the
queue; handling them drops and arms both places again.

Not thread-safe: whoever reads the events owns it.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import Mask, WatchDescriptor, inotify_add_watch, inotify_rm_watch

from dirsync.fs.failure import PathFailure, shown
from dirsync.fs.root import OPEN_DIRECTORY, Root
from dirsync.tree.path import ROOT, RelPath, join

Ignored = Callable[[RelPath], bool]
"""Whether a directory, none of whose ancestors is ignored, is ignored."""

_EVENTS = (
    In.IN_CREATE | In.IN_MODIFY | In.IN_CLOSE_WRITE | In.IN_ATTRIB | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_DELETE
)
_DIRECTORY = Mask(_EVENTS | In.IN_ONLYDIR | In.IN_EXCL_UNLINK)
_NAME = Mask(In.IN_DELETE | In.IN_MOVED_FROM | In.IN_ONLYDIR)
_TOP = Mask(_DIRECTORY | In.IN_DELETE_SELF | In.IN_MOVE_SELF)

_NO_WATCH_NEEDED = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG}
)


class WatchRefused(Exception):
    """A directory that should be watched cannot be: a limit of the kernel or of this process."""


class WatchedDirectory:
    """A directory with a watch, and the watched directories in it."""

    __slots__ = ("children", "name", "parent", "wd")

    def __init__(self, wd: WatchDescriptor, parent: "WatchedDirectory | None", name: bytes) -> None:
        self.wd = wd
        self.parent = parent
        self.name = name
        self.children: dict[bytes, WatchedDirectory] = {}

    @property
    def path(self) -> RelPath:
        """Where it is, as far as the events that were handled tell."""
        names = []
        directory = self
        while directory.parent is not None:
            names.append(directory.name)
            directory = directory.parent
        return RelPath(b"/".join(reversed(names)))


class Watches:
    """The watches of one inotify instance below one root."""

    def __init__(self, inotify: int, root: Root, ignored: Ignored) -> None:
        self._inotify = inotify
        self._root = root
        self._ignored = ignored
        self._by_wd: dict[int, WatchedDirectory] = {}
        self._above = -1
        self._name = b""

    def __len__(self) -> int:
        return len(self._by_wd)

    def watch_name(self) -> None:
        """Watch the root's name in the directory above it.

        A directory that is removed while somebody, like us, has it open tells that to its parent only. Where we may not
        read the parent, the next rescan has to notice.
        """
        above, self._name = os.path.split(self._root.path)
        if not self._name:
            return
        try:
            opened = os.open(above, OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        except OSError:
            return
        self._above = inotify_add_watch(self._inotify, b"/proc/self/fd/%d" % opened, _NAME)
        os.close(opened)

    def is_own_name(self, wd: int, name: bytes) -> bool:
        """Whether an event is about the root's name, which something else may have now."""
        return wd == self._above and name == self._name

    def find(self, wd: int) -> WatchedDirectory | None:
        """The directory that an event is about; None when its watch was dropped since."""
        return self._by_wd.get(wd)

    def arm(self, parent: WatchedDirectory | None, name: bytes) -> Iterator[RelPath]:
        """Watch the directory ``name`` in ``parent`` (the root: None) and all below it; yields each once it is watched.

        Raises:
            WatchRefused: and what was armed so far stays.
        """
        found = [(parent, name)]
        while found:
            above, name = found.pop()
            path = join(above.path, name) if above is not None else ROOT
            if above is not None and self._ignored(path):
                continue
            directory = self._watch(above, name, path)
            if directory is not None:
                yield path
                found.extend((directory, child) for child in self._subdirectories(path))

    def drop(self, directory: WatchedDirectory) -> None:
        """Stop watching a directory that left its place, and all below it."""
        _detach(directory)
        self._root.forget(directory.path)
        leaving = [directory]
        while leaving:
            directory = leaving.pop()
            leaving.extend(directory.children.values())
            if self._by_wd.get(directory.wd) is directory:
                del self._by_wd[directory.wd]
                inotify_rm_watch(self._inotify, directory.wd)

    def removed(self, directory: WatchedDirectory) -> None:
        """The kernel removed the watch, because the directory was deleted or unmounted."""
        _detach(directory)
        self._root.forget(directory.path)
        del self._by_wd[directory.wd]

    def rebuild(self) -> None:
        """Arm everything as it is now: we do not know what changed.

        Raises:
            WatchRefused: as :meth:`arm`.
        """
        before = self._by_wd
        self._by_wd = {}
        self._root.forget_all()
        for _ in self.arm(None, b""):
            pass
        for wd in before.keys() - self._by_wd.keys():
            inotify_rm_watch(self._inotify, WatchDescriptor(wd))

    def _watch(self, parent: WatchedDirectory | None, name: bytes, path: RelPath) -> WatchedDirectory | None:
        try:
            wd = self._add(path, _DIRECTORY if parent is not None else _TOP)
        except (OSError, PathFailure) as error:
            if parent is not None and error.errno in _NO_WATCH_NEEDED:
                return None
            raise WatchRefused(self._refusal(path, error.errno)) from error
        known = parent.children.get(name) if parent is not None else None
        if known is not None and known.wd == wd:
            return known
        directory = WatchedDirectory(wd, parent, name)
        self._by_wd[wd] = directory
        if parent is not None:
            parent.children[name] = directory
        return directory

    def _add(self, path: RelPath, mask: Mask) -> WatchDescriptor:
        opened = self._root.directory(path)
        wd = inotify_add_watch(self._inotify, b"/proc/self/fd/%d" % opened, mask)
        if wd == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return wd

    def _subdirectories(self, path: RelPath) -> list[bytes]:
        try:
            with os.scandir(self._root.directory(path)) as entries:
                return [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (OSError, PathFailure) as error:
            if error.errno in _NO_WATCH_NEEDED:
                return []
            raise WatchRefused(self._refusal(path, error.errno)) from error

    def _refusal(self, path: RelPath, number: int | None) -> str:
        if number == errno.ENOSPC:
            return (
                f"the kernel allows no watch beyond {len(self)} directories (it refused {shown(path)}): "
                f"raise fs.inotify.max_user_watches above the number of directories"
            )
        return f"{shown(path)} cannot be watched after {len(self)} directories: {os.strerror(number or errno.EIO)}"


def _detach(directory: WatchedDirectory) -> None:
    parent = directory.parent
    if parent is not None and parent.children.get(directory.name) is directory:
        del parent.children[directory.name]
