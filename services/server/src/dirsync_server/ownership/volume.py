"""The files by which the servers of a shared volume know each other, in one directory beside the replicas.

::

    .dirsync-owners/
        server-ID               a server's beat: a number, and the length of its lease in seconds
        server-ID.lock          locked (flock) for as long as the server's process lives
        owner-NAMESPACE.NUMBER  the record of an owner; locked while it publishes
        state-NAMESPACE.NUMBER/ the index that this owner keeps
        wanted/ID.NAMESPACE     another server is asked for a namespace that server ID owns

Nothing in it comes from a peer: namespaces are names from the settings. Only our user may read or write it.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dirsync.clock import Monotonic
from dirsync.errors import UsageError
from dirsync.fs.write.staging_place import PRIVATE, is_ours
from dirsync.tree.path import escape
from dirsync_server.ownership.lease import Lease
from dirsync_server.ownership.record import MAX_RECORD_BYTES

DIRECTORY: Final = ".dirsync-owners"
_WANTED: Final = "wanted"
_ID_BYTES: Final = 8
_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM)
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def _boot_clock() -> Monotonic:
    """A clock that goes on while the machine is suspended, where there is one: others do not wait for it."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boottime is None else lambda: time.clock_gettime(boottime)


lease_clock: Monotonic = _boot_clock()


class Volume:
    """One directory of owners, and this server in it. Thread-safe, but for :meth:`beat`, which one thread calls."""

    def __init__(self, path: Path, lease_seconds: float, now: Monotonic = lease_clock) -> None:
        """Join the servers of the volume.

        Raises:
            UsageError: the file system has no locks or hard links, or the directory cannot be used.
        """
        self.path = path
        self.lease_seconds = lease_seconds
        self.now = now
        self.lease = Lease(lease_seconds, now)
        self.server = secrets.token_hex(_ID_BYTES)
        self._beats = 0
        try:
            self.descriptor = _open_directory(path)
            require_locks(self.descriptor, path)
            with contextlib.suppress(FileExistsError):
                os.mkdir(_WANTED, PRIVATE, dir_fd=self.descriptor)
            self._wanted = os.open(_WANTED, _READ | os.O_DIRECTORY, dir_fd=self.descriptor)
            self._life = os.open(self._lock_name(self.server), _OPEN, 0o600, dir_fd=self.descriptor)
            fcntl.flock(self._life, fcntl.LOCK_EX)
        except OSError as error:
            msg = f"{escape(bytes(path))} cannot be used by uid {os.geteuid()}: {error.strerror}"
            raise UsageError(msg) from error
        self.beat()

    def beat(self) -> bool:
        """Show that we live; returns whether the lease had lapsed before.

        Raises:
            OSError: it could not be written; the lease ends by itself if that goes on.
        """
        began = self.now()
        self._beats += 1
        text = f"{self._beats} {self.lease_seconds:g}\n".encode()
        # Opened each time: closing a file is what brings it to others on NFS, and opening it what they see it by.
        descriptor = os.open(self._beat_name(self.server), _OPEN, 0o600, dir_fd=self.descriptor)
        try:
            os.pwrite(descriptor, text, 0)
        finally:
            os.close(descriptor)
        return self.lease.renew(began)

    def beat_of(self, server: str) -> tuple[bytes, float] | None:
        """Another server's beat and lease in seconds; ``None`` if there is no such server any more."""
        try:
            text = self.read(self._beat_name(server))
            return text, float(text.split()[1])
        except FileNotFoundError:
            return None
        except (ValueError, IndexError):
            return b"", self.lease_seconds

    def is_gone(self, server: str) -> bool:
        """Whether the process of a server has ended, as its lock says."""
        try:
            descriptor = os.open(
                self._lock_name(server), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.descriptor
            )
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wanted(self) -> list[str]:
        """The namespaces that other servers are asked for while we own them."""
        prefix = f"{self.server}."
        return [name.removeprefix(prefix) for name in os.listdir(self._wanted) if name.startswith(prefix)]

    def want(self, server: str, namespace: str) -> None:
        """Tell a server that we are asked for what it owns."""
        os.close(os.open(f"{server}.{namespace}", _OPEN, 0o600, dir_fd=self._wanted))

    def unwant(self, server: str, namespace: str) -> None:
        """Tell it no longer."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{server}.{namespace}", dir_fd=self._wanted)

    def read(self, name: str) -> bytes:
        """A small file."""
        descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        try:
            return os.read(descriptor, MAX_RECORD_BYTES)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Leave: what we own was released."""
        for name in (self._beat_name(self.server), self._lock_name(self.server)):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.descriptor)
        for descriptor in (self._life, self._wanted, self.descriptor):
            os.close(descriptor)

    def forget(self, server: str) -> None:
        """Remove what a server that is gone has left."""
        for name in (self._beat_name(server), self._lock_name(server)):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.descriptor)

    @staticmethod
    def _beat_name(server: str) -> str:
        return f"server-{server}"

    @staticmethod
    def _lock_name(server: str) -> str:
        return f"server-{server}.lock"


def require_locks(directory: int, path: Path) -> None:
    """Check that one of two who open a file can lock the other out, and that a name can be taken by one of two.

    Raises:
        UsageError: it cannot.
    """
    name = f"probe-{secrets.token_hex(_ID_BYTES)}"
    first = os.open(name, _OPEN | os.O_EXCL, 0o600, dir_fd=directory)
    try:
        second = os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=directory)
        try:
            _probe(path, "locks", "with locks (for NFS: not with the option nolock)", lambda: _exclude(first, second))
            _probe(path, "hard links", "that has them", lambda: _link(directory, name))
        finally:
            os.close(second)
    finally:
        os.close(first)
        os.unlink(name, dir_fd=directory)


def _probe(path: Path, what: str, fix: str, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        msg = (
            f"the file system at {escape(bytes(path))} has no {what} ({error.strerror}), which STORAGE=shared needs: "
            f"mount a volume {fix}, or give each server a volume of its own and set STORAGE=own"
        )
        raise UsageError(msg, reason="NO_LOCKS") from error


def _exclude(first: int, second: int) -> None:
    fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    raise OSError(errno.ENOLCK, "a lock excludes nobody")


def _link(directory: int, name: str) -> None:
    linked = f"{name}-2"
    os.link(name, linked, src_dir_fd=directory, dst_dir_fd=directory)
    os.unlink(linked, dir_fd=directory)


def _open_directory(path: Path) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, PRIVATE)
    descriptor = os.open(path, _READ | os.O_DIRECTORY)
    if not is_ours(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(errno.EACCES, "it is not a directory of that user alone (mode 0700)")
    return descriptor
