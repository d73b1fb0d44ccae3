"""A root directory, through which everything in it is accessed.

Everything is reached by directory descriptors, starting from the one that :meth:`Root.open` opened. Each component is
opened with ``O_DIRECTORY | O_NOFOLLOW``, so a link never leads out of the root, whenever it is put there (P5). The
kernel gets only single names relative to a descriptor, so paths of any depth work.

Directory descriptors are cached (:mod:`dirsync.fs.descriptors`). Rules:

- A descriptor that :meth:`directory` or :meth:`parent` returns is borrowed: it is valid until the next call of this
  root.
- A root belongs to one thread; :meth:`clone` makes one for another thread. A shared cache could close a descriptor that
  another thread is about to use, and a reused number would lead out of the root.
- RACE: a cached descriptor follows its directory when that is moved. So for a while a path may lead to where the
  directory went, or a new directory of that name may be missed. The worst outcome is that content is observed under its
  old name, or that a change of the replica is made in a directory that its administrator moved away. Callers limit this
  by :meth:`forget_all` at the start of each scan or batch, and by :meth:`forget` where they move or remove something.
- RACE: a user who can write both inside and outside a root may move an opened directory out of it. No kernel call
  prevents that (``docs``: residual risks).
"""

import enum
import errno
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from dirsync.errors import Unavailable, UsageError
from dirsync.fs.descriptors import OPEN_DIRECTORY, Descriptors
from dirsync.fs.failure import Changing, PathFailure, Vanished, reading_failure, shown, unusable_root
from dirsync.fs.fingerprint import status_identity
from dirsync.fs.kernel import birth_time
from dirsync.fs.mounts import TABLE, is_mount_root, mounts_below
from dirsync.fs.root_lock import lock_alone, lock_with_others
from dirsync.fs.volume import learn
from dirsync.tree.entry import FileIdentity
from dirsync.tree.path import RelPath, ancestors, escape, split

if TYPE_CHECKING:
    from dirsync.fs.read.shared import SharedReads

OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags by which a file is opened: a FIFO that took its place must not block us."""


class RootState(enum.Enum):
    """Whether a root's name still leads to the directory that was opened."""

    SAME = "same"
    VANISHED = "vanished"
    CHANGED_KIND = "changed_kind"
    REPLACED = "replaced"


class Disk(NamedTuple):
    """A file system, in bytes."""

    size: int
    free: int
    """What this process may still write."""


class Root:
    """An open root directory; see the module for its rules. A context manager that closes it."""

    def __init__(self, path: bytes, descriptor: int) -> None:
        self.path = path
        """The absolute path by which the root was opened, for messages and for :meth:`state`."""
        self._fd = descriptor
        self._below = Descriptors(descriptor)
        status = os.fstat(descriptor)
        self._mounts: Mapping[RelPath, int] | None = None
        self._mounts_version = 0
        self._device_and_inode = status.st_dev, status.st_ino
        self.reads: SharedReads | None = None
        """What the readers of several clones share; ``None``: each reads for itself."""
        self.identity = status_identity(status)
        """The same after the file system was mounted again, perhaps under another device number."""

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Open a directory as a root.

        Raises:
            UsageError: it is absent, a symbolic link, no directory, or not readable.
        """
        absolute = os.path.join(os.getcwdb(), os.fsencode(path).removeprefix(b"./")).rstrip(b"/") or b"/"
        try:
            descriptor = os.open(absolute, OPEN_DIRECTORY)
            learn(descriptor, os.fstat(descriptor).st_dev)
            return cls(absolute, descriptor)
        except OSError as error:
            raise UsageError(unusable_root(absolute, error)) from error

    def clone(self) -> "Root":
        """The same directory for another thread, without the lock.

        Raises:
            Unavailable: it cannot be opened at present.
        """
        try:
            clone = Root(self.path, os.open(".", OPEN_DIRECTORY, dir_fd=self._fd))
        except OSError as error:
            msg = f"{escape(self.path)} cannot be opened by uid {os.geteuid()}: {error.strerror}"
            raise Unavailable(msg) from error
        clone.reads = self.reads
        return clone

    def close(self) -> None:
        """Close every descriptor and release the lock."""
        self.forget_all()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """The root's own descriptor."""
        return self._fd

    def directory(self, path: RelPath) -> int:
        """A borrowed descriptor of the directory at ``path``.

        Raises:
            PathFailure: :class:`~dirsync.fs.failure.Vanished` if there is no directory (any more), or Unreadable.
        """
        if not path:
            return self._fd
        return self._below.get(path)

    def parent(self, path: RelPath) -> tuple[int, bytes]:
        """A borrowed descriptor of the directory that holds ``path``, and the name there.

        Raises:
            PathFailure: as :meth:`directory`.
        """
        above, name = split(path)
        return self.directory(above), name

    def lstat(self, path: RelPath) -> os.stat_result | None:
        """The status of what is at ``path``, without following a link; ``None`` if it is absent.

        Raises:
            PathFailure: Unreadable, if it is unknown whether it is there.
        """
        try:
            if not path:
                return os.fstat(self._fd)
            descriptor, name = self.parent(path)
            return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except (Vanished, FileNotFoundError):
            return None
        except OSError as error:
            failure = reading_failure(path, "look at", error)
            if isinstance(failure, Vanished):
                return None
            raise failure from error

    def holds(self, path: RelPath, identity: FileIdentity) -> bool:
        """Whether what is at ``path`` is this very file or directory.

        Raises:
            PathFailure: as :meth:`lstat`.
        """
        status = self.lstat(path)
        return status is not None and status_identity(status) == identity

    def born(self, path: RelPath, identity: FileIdentity) -> int | None:
        """When the file or directory of this identity at ``path`` was made, in nanoseconds since the epoch.

        ``None`` if nobody knows, or if something else is there.
        """
        try:
            descriptor, name = self.parent(path)
        except PathFailure:
            return None
        found = birth_time(descriptor, name)
        return found[1] if found is not None and found[0] == identity.inode else None

    def open_file(self, path: RelPath) -> tuple[int, os.stat_result]:
        """Open the regular file at ``path`` for reading; returns a descriptor, which the caller closes, and the status.

        Raises:
            PathFailure: Vanished, Unreadable, or Changing if it is no regular file.
        """
        descriptor, name = self.parent(path)
        try:
            opened = os.open(name, OPEN_FILE, dir_fd=descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise _not_regular(path) from error
            raise reading_failure(path, "open", error) from error
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            os.close(opened)
            raise _not_regular(path)
        return opened, status

    def readlink(self, path: RelPath) -> bytes:
        """The target of the symbolic link at ``path``.

        Raises:
            PathFailure: Vanished, Unreadable, or Changing if it is no link.
        """
        descriptor, name = self.parent(path)
        try:
            return os.readlink(name, dir_fd=descriptor)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Changing(path, f"{shown(path)} is no symbolic link any more") from error
            raise reading_failure(path, "read the link", error) from error

    def forget(self, path: RelPath) -> None:
        """Close the cached descriptors of ``path`` and of everything below it."""
        self._below.forget(path)

    def forget_all(self) -> None:
        """Close every cached descriptor."""
        self._below.forget_all()

    @property
    def is_mounted(self) -> bool | None:
        """Whether a file system, or a directory, is mounted at the root itself; ``None`` if that is unknown."""
        return is_mount_root(self._fd)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the root directory."""
        with os.scandir(self._fd) as entries:
            return next(entries, None) is None

    @property
    def mounts(self) -> Mapping[RelPath, int] | None:
        """The mount points below the root, and what is mounted there, as of the last :meth:`refresh_mounts`.

        ``None`` if nothing tells; then only another device number shows a mount.
        """
        return self._mounts

    def refresh_mounts(self) -> list[RelPath]:
        """Bring :attr:`mounts` up to date; returns the points that changed since the last time, none the first time."""
        version = TABLE.refresh()
        if version == self._mounts_version:
            return []
        before, first = self._mounts or {}, not self._mounts_version
        self._mounts, self._mounts_version = mounts_below(self._fd), version
        now = self._mounts or {}
        return [] if first else [path for path in {**before, **now} if before.get(path) != now.get(path)]

    def covered_by(self, path: RelPath) -> RelPath | None:
        """The mount point that ``path`` is, or lies below; ``None`` if it is on the root's own file system."""
        if not self._mounts:
            return None
        return next((point for point in (path, *ancestors(path)) if point in self._mounts), None)

    def is_mount_point(self, path: RelPath, status: os.stat_result, device_above: int) -> bool:
        """Whether something is mounted at ``path``, which has this status, in a directory on this device."""
        return status.st_dev != device_above if self._mounts is None else path in self._mounts

    def state(self) -> RootState:
        """Whether the root's name still leads to this directory."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return RootState.VANISHED
        if not stat.S_ISDIR(status.st_mode):
            return RootState.CHANGED_KIND
        # The descriptor belongs to the mount that was there: mounted again, the same directory has to be opened again.
        same = (status.st_dev, status.st_ino) == self._device_and_inode
        return RootState.SAME if same else RootState.REPLACED

    def lock(self, *, alone: bool = True) -> None:
        """Lock this root for this process, until it is closed or the process ends; otherwise with others that share it.

        Raises:
            UsageError: another process has it for itself, or the file system has no locks to have it alone.
        """
        lock = lock_alone if alone else lock_with_others
        lock(self._fd, self.path)

    @property
    def is_read_only(self) -> bool:
        """Whether the root's file system is mounted read-only at present."""
        return bool(os.fstatvfs(self._fd).f_flag & os.ST_RDONLY)

    def disk(self) -> Disk:
        """The room on the root's file system."""
        status = os.fstatvfs(self._fd)
        return Disk(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def free_bytes(self) -> int:
        """Bytes that this process may still write to the root's file system."""
        return self.disk().free


def _not_regular(path: RelPath) -> PathFailure:
    return Changing(path, f"{shown(path)} is no regular file any more")
