"""Making written data survive a power cut, according to a policy.

The server makes things durable in this order: staged files, their publication by rename, the directories that were
touched and the files whose metadata changed; then it acknowledges. A rename is atomic but not durable by itself:
without the first step a name may lead to an empty file after a crash, without the last an acknowledged change may be
lost (A03, A04). A new mode or mtime is in the file's inode, which the fsync of its directory need not include (XFS does
not).

A failed fsync is never retried: the kernel marks the pages clean, so the next one would succeed without writing them
(PostgreSQL's "fsyncgate"). The staged file is marked failed and has to be written again from the start (A05).
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from dirsync.errors import StorageError
from dirsync.fs.failure import Changing, PathFailure, Vanished, shown
from dirsync.fs.kernel import can_sync_file_system, sync_file_system
from dirsync.fs.root import Root
from dirsync.fs.write.access import is_denied
from dirsync.fs.write.staged import StagedFile
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Errors of a file system that cannot make directories durable."""


class Fsync(StrEnum):
    """When written data is made durable."""

    ALWAYS = "always"
    """Each file by itself, before it is published, and its directory right after."""
    BATCH = "batch"
    """All of a commit together: files before any is published, directories before the ack."""
    NEVER = "never"
    """When the kernel decides: for replicas that are cheaper to sync again than to wait for."""


def can_build(policy: Fsync) -> bool:
    """Whether this policy allows a directory with everything in it to be made durable at once."""
    return policy is Fsync.NEVER or (policy is Fsync.BATCH and can_sync_file_system())


def sync_found(descriptor: int, policy: Fsync) -> None:
    """Make durable what an earlier process may have published and not synced, on the file system of a directory.

    A server that is killed in a commit leaves such files. They are found when it starts again, and whoever is told of
    them takes them for acknowledged.

    Raises:
        NotDurable: a write-back failed.
    """
    if policy is Fsync.NEVER:
        return
    try:
        if not sync_file_system(descriptor):
            os.sync()
    except OSError as error:
        msg = f"what is there cannot be made durable: {error.strerror}"
        raise NotDurable(msg) from error


class NotDurable(StorageError):
    """Written data could not be made durable; ``staged`` are the files that must be written again."""

    default_reason = "NOT_DURABLE"

    def __init__(self, message: str, staged: Sequence[StagedFile] = ()) -> None:
        super().__init__(message)
        self.staged = tuple(staged)


class Durability:
    """Carries out one policy for one root."""

    def __init__(self, policy: Fsync, root: Root) -> None:
        self.policy = policy
        self._root = root

    def everything(self, staged: Sequence[StagedFile], trees: int) -> None:
        """Make sealed files durable, and so many directories that were built (see :func:`can_build`).

        Raises:
            NotDurable: nothing of it is; with all the files, which are marked failed.
        """
        if self.policy is not Fsync.NEVER and not self._sync_all(len(staged) + trees, staged):
            msg = f"cannot make {trees} directories durable: the system cannot sync a file system"
            raise NotDurable(msg, staged)

    def files(self, staged: Sequence[StagedFile]) -> None:
        """Make sealed files durable. Under ``always`` the caller passes each as soon as it is sealed.

        Raises:
            NotDurable: with the files that are not; they are marked failed.
        """
        if self.policy is Fsync.NEVER or not staged:
            return
        if self._all_at_once(len(staged), staged):
            return
        failed: list[StagedFile] = []
        reason = ""
        for file in staged:
            try:
                _sync_file(file)
            except OSError as error:
                file.failed = True
                failed.append(file)
                reason = error.strerror or str(error)
        if failed:
            names = shown(failed[0].path) + (f" and {len(failed) - 1} more" if len(failed) > 1 else "")
            msg = f"cannot make {names} durable: {reason}"
            raise NotDurable(msg, failed)

    def entries(self, paths: Iterable[RelPath]) -> None:
        """Make durable what was created, renamed and removed in these directories, and the metadata of these files.

        A directory that got another mode counts as well. What is gone, or is a link by now, is skipped.

        Raises:
            NotDurable: nothing that was done there may be acknowledged.
        """
        touched = list(dict.fromkeys(paths))
        if self.policy is Fsync.NEVER or not touched:
            return
        if self._all_at_once(len(touched)):
            return
        for path in touched:
            try:
                self._sync_entry(path)
            except (Vanished, Changing):
                continue
            except PathFailure as failure:
                # What we may not open ourselves is made durable together with everything else. Where that is impossible
                # that, the worst is that a power cut undoes a mode by which we could not even open it.
                if not is_denied(failure):
                    raise NotDurable(str(failure)) from failure
                self._sync_all(1)
            except OSError as error:
                if error.errno not in _CANNOT:
                    msg = f"cannot make {shown(path)} durable: {error.strerror}"
                    raise NotDurable(msg) from error

    def _sync_entry(self, path: RelPath) -> None:
        try:
            full_sync(self._root.directory(path))
        except Vanished:
            descriptor, _ = self._root.open_file(path)
            try:
                full_sync(descriptor)
            finally:
                os.close(descriptor)

    def _all_at_once(self, count: int, staged: Sequence[StagedFile] = ()) -> bool:
        """Sync the whole file system if that is cheaper; returns whether it was done."""
        if self.policy is not Fsync.BATCH or count <= LIMITS.individual_fsyncs:
            return False
        return self._sync_all(count, staged)

    def _sync_all(self, count: int, staged: Sequence[StagedFile] = ()) -> bool:
        try:
            return sync_file_system(self._root.descriptor)
        except OSError as error:
            for file in staged:
                file.failed = True
            msg = f"cannot make {count} changes durable: {error.strerror}"
            raise NotDurable(msg, staged) from error


def _sync_file(file: StagedFile) -> None:
    descriptor = file.reopen()
    try:
        full_sync(descriptor)
    finally:
        os.close(descriptor)


def _full_sync() -> Callable[[int], object]:
    try:
        from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined]  # noqa: PLC0415  macOS only
    except ImportError:
        return os.fsync
    return lambda descriptor: fcntl(descriptor, F_FULLFSYNC)


full_sync: Final = _full_sync()
"""fsync that reaches the medium, also where fsync alone stops at the drive's cache (macOS)."""
