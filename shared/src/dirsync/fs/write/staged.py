"""One file in the staging directory: content is appended, from memory or by sharing blocks, until it is sealed."""

import os
import stat
from typing import TYPE_CHECKING, Final, Protocol

from dirsync.fs.failure import StorageFailed, shown, writing_failure
from dirsync.fs.fingerprint import status_identity
from dirsync.fs.kernel import share_range
from dirsync.fs.write.access import set_mode_at
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from dirsync.tree.entry import FileIdentity

_REOPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class StagingDirectory(Protocol):
    """What a staged file needs of the directory that holds it."""

    @property
    def descriptor(self) -> int:
        """The descriptor of the directory."""

    def remove(self, name: bytes) -> None:
        """Remove an entry; nothing happens if it is absent."""


class StagedFile:
    """A file in the staging directory. The caller that creates it publishes or discards it."""

    __slots__ = ("failed", "fd", "identity", "name", "path", "released", "size", "staging")

    def __init__(self, staging: StagingDirectory, name: bytes, path: RelPath, descriptor: int) -> None:
        self.staging = staging
        self.name = name
        self.path = path
        """Where it will be published; for messages."""
        self.fd = descriptor
        """For reading and writing; -1 once it is sealed or discarded."""
        self.size = 0
        """Bytes so far; the next ones are appended there."""
        self.identity: FileIdentity | None = None
        """Known once the file is sealed."""
        self.failed = False
        """The file could not be made durable: it must not be published, but written again from the start."""
        self.released = False
        """It belongs to somebody else now."""

    def write(self, buffer: bytes | memoryview) -> None:
        """Append, in as many calls as the kernel needs.

        Raises:
            PathFailure: StorageFailed when the disk is full or fails.
        """
        length = len(buffer)
        try:
            written = os.write(self.fd, buffer)
            if written < length:
                rest = memoryview(buffer)
                while written < length:
                    written += os.write(self.fd, rest[written:])
        except OSError as error:
            raise writing_failure(self.path, "stage", error) from error
        self.size += length

    def read_at(self, offset: int, size: int) -> bytes:
        """The ``size`` bytes at ``offset``, which were written before.

        Raises:
            PathFailure: StorageFailed.
        """
        try:
            return os.pread(self.fd, size, offset)
        except OSError as error:
            raise writing_failure(self.path, "read back what was staged for", error) from error

    def write_zeros(self, length: int) -> None:
        """Append ``length`` zero bytes as a hole, which takes no space on the disk (D13).

        The new end is computed from the kernel's file position, so that a disk that loses bytes cannot hide that behind
        a hole (A09).

        Raises:
            PathFailure: StorageFailed if the file cannot be that large, or holds less than was written.
        """
        try:
            end = os.lseek(self.fd, length, os.SEEK_CUR)
            if end != self.size + length:
                raise self._lost(end - length)
            os.ftruncate(self.fd, end)
        except OSError as error:
            raise writing_failure(self.path, "stage", error) from error
        self.size = end

    def share_from(self, descriptor: int, offset: int, length: int) -> bool:
        """Append ``length`` bytes of another regular file by sharing its blocks; ``False`` if that is not possible.

        If the other file changes meanwhile, what is appended is undefined: a caller that has to know it reads it back.

        Raises:
            PathFailure: StorageFailed.
        """
        if not share_range(descriptor, self.fd, offset, length, self.size):
            return False
        try:
            os.lseek(self.fd, length, os.SEEK_CUR)
        except OSError as error:
            raise writing_failure(self.path, "stage", error) from error
        self.size += length
        return True

    def _lost(self, there: int) -> StorageFailed:
        message = f"cannot stage {shown(self.path)}: {self.size} bytes were written, {there} are there"
        return StorageFailed(self.path, message)

    def seal(self, size: int, mode: int, mtime_ns: int | None) -> None:
        """Complete the file: check its size, set its metadata, close it.

        ``mtime_ns`` may be ``None``: then it is left as it is.

        Raises:
            PathFailure: StorageFailed, also if the file has another size than was written (A09).
        """
        try:
            status = os.fstat(self.fd)
            if status.st_size != size:
                message = f"cannot stage {shown(self.path)}: {size} bytes were written, {status.st_size} are there"
                raise StorageFailed(self.path, message)
            os.fchmod(self.fd, mode)
            if mtime_ns is not None:
                os.utime(self.fd, ns=(mtime_ns, mtime_ns))
            self._close()
        except OSError as error:
            raise writing_failure(self.path, "stage", error) from error
        self.identity = status_identity(status)

    def reopen(self) -> int:
        """Open a sealed file even if its mode does not let us read it; the caller closes the descriptor.

        Raises:
            OSError: as open(2).
        """
        staging = self.staging.descriptor
        try:
            return os.open(self.name, _REOPEN, dir_fd=staging)
        except PermissionError:
            mode = stat.S_IMODE(os.stat(self.name, dir_fd=staging, follow_symlinks=False).st_mode)
        # No other user can access the staging directory. After a crash here the next start removes the file.
        set_mode_at(staging, self.name, mode | stat.S_IRUSR)
        try:
            return os.open(self.name, _REOPEN, dir_fd=staging)
        finally:
            set_mode_at(staging, self.name, mode)

    def discard(self) -> None:
        """Remove the file; nothing happens if it was published or discarded before."""
        self._close()
        if not self.released:
            self.staging.remove(self.name)

    def release(self) -> None:
        """Close the file and leave it where it is: discarding it does nothing any more."""
        self._close()
        self.released = True

    def _close(self) -> None:
        if self.fd >= 0:
            descriptor, self.fd = self.fd, -1
            os.close(descriptor)
