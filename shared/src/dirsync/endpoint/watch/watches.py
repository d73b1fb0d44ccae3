"""The directories that the kernel watches for us, as a tree.

inotify names a directory by a watch descriptor and an entry of it by its name, so this is what turns an event into a
path. The rules:

- A watch comes before a listing: whatever appears in a directory after its watch makes an event, and whatever was there
  before is seen by a listing made now. So each newly watched directory is told (:meth:`Watches.arm` yields it), and
  nothing falls between ``mkdir -p a/b/c`` and ``touch a/b/c/f``.
- A directory that moves is dropped with all below it and armed anew at its new place. The halves of a move are not
  paired: nothing waits for a half that never comes, and ignore rules depend on the path, so what moved has to be listed
  in any case.
- A watch is refused or it is there. A directory that is gone or may not be read needs none (its absence is an event of
  its parent, its unreadability a Problem of the scan); any other refusal is :class:`WatchRefused`, never a silence.
- Directories are opened by descriptor below the root and handed to the kernel as ``/proc/self/fd/N``, so no path is
  resolved, no symbolic link followed, and no depth too deep.

RACE: an event is handled later than it happened, so the directory that has a name now need not be the one that the
event was about. Then a watch may be filed under another path for a moment. The events of those moves are still in the
queue; handling them drops and arms both places again.

Not thread-safe: the thread that reads the events owns it.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator

from dirsync.endpoint.watch import inotify_queue as inotify
from dirsync.endpoint.watch.hint import WatchRefused
from dirsync.endpoint.watch.inotify_queue import InotifyQueue
from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.failure import PathFailure, shown
from dirsync.fs.leading import leading_to
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT, RelPath, components, join, split

Ignored = Callable[[RelPath], bool]
"""Whether a directory, none of whose ancestors is ignored, is ignored."""

_EVENTS = (
    inotify.CREATE
    | inotify.MODIFY
    | inotify.CLOSE_WRITE
    | inotify.ATTRIB
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.DELETE
)
_DIRECTORY = _EVENTS | inotify.ONLY_DIRECTORY | inotify.EXCLUDE_UNLINKED
_FILE = inotify.MODIFY | inotify.CLOSE_WRITE | inotify.ATTRIB
_NAME = inotify.DELETE | inotify.MOVED_FROM | inotify.ONLY_DIRECTORY
_PLACE = inotify.MOVE_SELF | inotify.DELETE_SELF | inotify.ADD_TO_MASK
_TOP = _DIRECTORY | inotify.DELETE_SELF | inotify.MOVE_SELF

_NO_WATCH_NEEDED = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG}
)


class WatchedDirectory:
    """A directory with a watch, and the watched directories in it."""

    __slots__ = ("children", "name", "parent", "wd")

    def __init__(self, wd: int, parent: "WatchedDirectory | None", name: bytes) -> None:
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

    def __init__(self, queue: InotifyQueue, root: Root, ignored: Ignored) -> None:
        self._queue = queue
        self._root = root
        self._ignored = ignored
        self._by_wd: dict[int, WatchedDirectory] = {}
        self._mounted_files: dict[int, list[RelPath]] = {}
        """Files that are mounts of their own, by watch. Who writes to one by its other name makes no event here."""
        self._above = -1
        self._name = b""
        self._leading: set[int] = set()
        """Watches of what the root's path leads through."""

    def __len__(self) -> int:
        return len(self._by_wd)

    def watch_path(self) -> None:
        """Watch the root's name in the directory above it, and whatever its path leads through.

        If a directory is removed while a process, like this one, has it open, only its parent gets an event; if a link
        on the way to it is swapped, only the link. Where we may not watch, the next rescan has to notice.
        """
        before, self._leading = self._leading | {self._above}, set()
        above, self._name = os.path.split(self._root.path)
        self._above = self._watch_above(above)
        for descriptor in leading_to(self._root.path):
            with contextlib.suppress(OSError):
                self._leading.add(self._queue.add(descriptor, _PLACE))
        for wd in before - self._leading - {self._above} - self._by_wd.keys():
            self._queue.remove(wd)

    def is_own_path(self, wd: int, name: bytes) -> bool:
        """Whether an event is about the root's path, which may lead to something else now."""
        return (wd == self._above and name == self._name) or (wd in self._leading and not name)

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

    def arm_again(self, path: RelPath) -> Iterator[RelPath]:
        """Watch the directory at ``path``, where something was mounted or unmounted, and all below it anew.

        Raises:
            WatchRefused: as :meth:`arm`.
        """
        holder, name = split(path)
        parent = self._at(holder)
        if parent is None:
            return
        known = parent.children.get(name)
        if known is not None:
            self.drop(known)
        yield from self.arm(parent, name)

    def watch_mounted_files(self) -> None:
        """Watch the files that are mounts of their own, and no others."""
        found: dict[int, list[RelPath]] = {}
        for path in self._root.mounts or ():
            wd = self._watch_file(path)
            if wd is not None:
                found.setdefault(wd, []).append(path)
        for wd in self._mounted_files.keys() - found.keys():
            self._queue.remove(wd)
        self._mounted_files = found

    def mounted_files(self, wd: int) -> list[RelPath]:
        """The files of such a watch; none for any other."""
        return self._mounted_files.get(wd, [])

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
                self._queue.remove(directory.wd)

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
        self._root.refresh_mounts()
        for _ in self.arm(None, b""):
            pass
        for wd in before.keys() - self._by_wd.keys():
            self._queue.remove(wd)
        self.watch_mounted_files()
        self.watch_path()

    def _at(self, path: RelPath) -> WatchedDirectory | None:
        """The watched directory at ``path``."""
        found = next((directory for directory in self._by_wd.values() if directory.parent is None), None)
        for name in components(path):
            found = found.children.get(name) if found is not None else None
        return found

    def _watch_above(self, above: bytes) -> int:
        if not self._name:
            return -1
        try:
            opened = os.open(above, OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        except OSError:
            return -1
        try:
            return self._queue.add(opened, _NAME)
        except OSError:
            return -1
        finally:
            os.close(opened)

    def _watch_file(self, path: RelPath) -> int | None:
        """Watch a file; ``None`` if it is none, or may not be watched: then the next rescan has to notice."""
        try:
            parent, name = self._root.parent(path)
            opened = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except (OSError, PathFailure):
            return None
        try:
            return self._queue.add(opened, _FILE) if stat.S_ISREG(os.fstat(opened).st_mode) else None
        except OSError:
            return None
        finally:
            os.close(opened)

    def _watch(self, parent: WatchedDirectory | None, name: bytes, path: RelPath) -> WatchedDirectory | None:
        try:
            wd = self._queue.add(self._root.directory(path), _DIRECTORY if parent is not None else _TOP)
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
