"""A new directory in staging, made with everything in it before it is published.

Nobody sees what is in staging, so each file is made under its own name, with its own mode, and need not be renamed.
What it will inherit where it goes (:mod:`dirsync.fs.write.inherit`) is given to it before anything is made in it, and
the kernel hands it down from there.
"""

import os
import stat
from typing import Final

from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.failure import StorageFailed, shown, writing_failure
from dirsync.fs.fingerprint import pack_status, status_identity
from dirsync.fs.write.inherit import Heritage, hand_down
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import FileIdentity, Record, directory_entry, from_head, pack
from dirsync.tree.path import RelPath, split
from dirsync.tree.plan import Below

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNER: Final = 0o700
_NO_FLAGS: Final = b"\0"
"""Of a fingerprint: what was just made counts as proved, as everything that is published."""


class StagedTree:
    """One directory that is being built. The caller that creates it publishes or discards it. One thread."""

    def __init__(self, staging: Staging, path: RelPath, heritage: Heritage, modes: ModePolicy, *, mtimes: bool) -> None:
        """An empty directory that will be published at ``path``; ``mtimes``: files get those that are declared.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        self.path = path
        self.heritage = heritage
        """What the directory hands down that it goes to, as it was when this began."""
        self.below: list[Below] = []
        """What is in it, with records that the fingerprints of what was made prove."""
        self._staging = staging
        self._modes = modes
        self._mtimes = mtimes
        self._current = (path, -1)
        """The directory in which something was made last, and its descriptor."""
        self._late: list[tuple[RelPath, int]] = []
        """Directories whose mode denies their owner something: they get it when everything is in them."""
        self.name = staging.create_tree(path)
        try:
            hand_down(heritage, staging.descriptor, self.name)
        except OSError as error:
            self.discard()
            raise writing_failure(path, "stage", error) from error

    def make_directory(self, path: RelPath, mode: int) -> None:
        """Make the directory at ``path``, a path in the replica; the one above it was made before.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        parent, name = self._parent(path)
        wanted = self._modes.directory(mode)
        try:
            os.mkdir(name, wanted | _OWNER, dir_fd=parent)
            directory = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        except OSError as error:
            raise writing_failure(path, "stage", error) from error
        self._use(path, directory)
        try:
            status = os.fstat(directory)
            bits = stat.S_IMODE(status.st_mode) & ~stat.S_ISGID
            if bits != wanted | _OWNER:
                os.fchmod(directory, wanted | _OWNER | (status.st_mode & stat.S_ISGID))
                status = os.fstat(directory)
        except OSError as error:
            raise writing_failure(path, "stage", error) from error
        if wanted & _OWNER != _OWNER:
            self._late.append((path, wanted))
        self.below.append(Below(path, pack(directory_entry(mode), _NO_FLAGS + pack_status(status))))

    def make_file(self, path: RelPath, head: bytes, mode: int, mtime_ns: int, content: bytes) -> None:
        """Make the file at ``path``, a path in the replica; the directory above it was made before.

        Args:
            path: where it will be.
            head: the head of its record, as the source declared it.
            mode: the permission bits that it declares.
            mtime_ns: the mtime that it declares.
            content: all of it.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        parent, name = self._parent(path)
        wanted = self._modes.file(mode)
        try:
            descriptor = os.open(name, _CREATE, wanted, dir_fd=parent)
            try:
                written = os.write(descriptor, content) if content else 0
                while written < len(content):
                    written += os.write(descriptor, memoryview(content)[written:])
                if self._mtimes:
                    os.utime(descriptor, ns=(mtime_ns, mtime_ns))
                status = os.fstat(descriptor)
                if stat.S_IMODE(status.st_mode) != wanted:
                    os.fchmod(descriptor, wanted)
                    status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise writing_failure(path, "stage", error) from error
        if status.st_size != len(content):
            message = f"cannot stage {shown(path)}: {len(content)} bytes were written, {status.st_size} are there"
            raise StorageFailed(path, message)
        self.below.append(Below(path, from_head(head, _NO_FLAGS + pack_status(status))))

    def finish(self, mode: int) -> FileIdentity:
        """Everything is in it; ``mode`` is what the directory itself declares. Returns its identity.

        A directory that its owner could not rename keeps the owner's bits until it is published.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        proofs: dict[RelPath, bytes] = {}
        wanted = self._modes.directory(mode)
        try:
            for path, bits in reversed(self._late):
                directory = self._directory(path)
                os.fchmod(directory, bits | (os.fstat(directory).st_mode & stat.S_ISGID))
                proofs[path] = _NO_FLAGS + pack_status(os.fstat(directory))
            directory = self._directory(self.path)
            os.fchmod(directory, wanted | _OWNER | (os.fstat(directory).st_mode & stat.S_ISGID))
            status = os.fstat(directory)
        except OSError as error:
            raise writing_failure(self.path, "stage", error) from error
        if proofs:
            self.below = [_proved(below, proofs.get(below.path)) for below in self.below]
        self.close()
        return status_identity(status)

    def staged_name(self, path: RelPath) -> RelPath:
        """Where something that will be at ``path`` is, from the staging directory."""
        return RelPath(self.name + path[len(self.path) :])

    def discard(self) -> None:
        """Remove everything."""
        self.close()
        self._staging.remove(self.name)

    def close(self) -> None:
        """Close what is open."""
        self._use(self.path, -1)

    def _parent(self, path: RelPath) -> tuple[int, bytes]:
        above, name = split(path)
        at, descriptor = self._current
        if at != above or descriptor < 0:
            try:
                descriptor = self._directory(above)
            except OSError as error:
                raise writing_failure(path, "stage", error) from error
        return descriptor, name

    def _directory(self, path: RelPath) -> int:
        """Open the directory at ``path``, name by name from staging; it stays open until another is."""
        if self._current[0] == path and self._current[1] >= 0:
            return self._current[1]
        descriptor = -1
        for name in self.staged_name(path).split(b"/"):
            try:
                below = os.open(
                    name, OPEN_DIRECTORY, dir_fd=descriptor if descriptor >= 0 else self._staging.descriptor
                )
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            descriptor = below
        self._use(path, descriptor)
        return descriptor

    def _use(self, path: RelPath, descriptor: int) -> None:
        before, self._current = self._current[1], (path, descriptor)
        if before >= 0:
            os.close(before)


def _proved(below: Below, proof: bytes | None) -> Below:
    """What was made, with another fingerprint if its status changed."""
    if proof is None:
        return below
    return below._replace(record=Record(below.record[: len(below.record) - len(proof)] + proof))
