"""Reads the facts that an operation is judged by: what is at its paths now.

The replica has one writer, so what the tree says is nearly always what is there. Whatever the fingerprint does not
prove is scanned, and the tree repaired, before anything is judged. All of it under the writer mutex.

RACE: between the reading and the act another process may change the path; the worst is that its edit is lost.
"""

import os
import stat

from dirsync.endpoint.judge import Facts, Obstacle
from dirsync.endpoint.replica import Replica
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import is_untouched, status_identity
from dirsync.fs.root import Root
from dirsync.fs.write.access import is_denied, owner_access
from dirsync.tree.entry import Kind, Record, identity_of, unpack
from dirsync.tree.path import RelPath, split

_ABSENT, _WITHOUT_PARENT = Facts(None), Facts(None, has_parent=False)


class FactReader:
    """Reads facts for the holder of the writer mutex; ``root`` is the caller's own clone of the replica's."""

    def __init__(self, replica: Replica, root: Root) -> None:
        self._replica = replica
        self._state = replica.state
        self._root = root

    def read(self, path: RelPath) -> Facts:
        """What is at ``path``. What is not as the tree says is scanned, and the tree repaired."""
        known = self._state.record(path)
        status = self._lstat(path)
        if status is None and known is None:
            return _ABSENT if self._has_parent(path) else _WITHOUT_PARENT
        if status is not None and known is not None and _is_as_known(known, status):
            return Facts(unpack(known))
        self._replica.scanner.rescan((split(path)[0],), deep=False)
        self._root.forget_all()
        known = self._state.record(path)
        if known is not None:
            return Facts(unpack(known))
        return Facts(None, has_parent=self._has_parent(path), obstacle=self._obstacle(path, status))

    def holds_mirrored(self, path: RelPath) -> bool:
        """Scan a directory again that could not be removed; whether it holds anything that is mirrored."""
        self._replica.scanner.rescan((path,), deep=False)
        directory = self._state.directory(path)
        return directory is not None and bool(directory.children)

    def is_listed(self, path: RelPath) -> bool:
        """Scan the directory above ``path`` again; whether ``path`` is mirrored."""
        self._replica.scanner.rescan((split(path)[0],), deep=False)
        return self._state.get(path) is not None

    def _lstat(self, path: RelPath) -> os.stat_result | None:
        """The status of what is at ``path``, also in a directory of ours that denies its owner."""
        try:
            return self._root.lstat(path)
        except PathFailure as failure:
            if not is_denied(failure):
                raise
        with owner_access(self._root, path):
            return self._root.lstat(path)

    def _has_parent(self, path: RelPath) -> bool:
        return self._state.directory(split(path)[0]) is not None

    def _obstacle(self, path: RelPath, status: os.stat_result | None) -> Obstacle:
        """What is there that is not mirrored; ``status`` is what was there before the scan."""
        if status is None or self._lstat(path) is None:
            return Obstacle.NONE
        try:
            self._root.directory(path)
        except PathFailure:
            return Obstacle.OTHER
        return Obstacle.DIRECTORY


def _is_as_known(known: Record, status: os.stat_result) -> bool:
    """Whether what has this status is what the record describes.

    A directory's fingerprint changes with every change in it; that it still is the same one is enough.
    """
    if known[0] == Kind.DIRECTORY:
        return stat.S_ISDIR(status.st_mode) and identity_of(known) == status_identity(status)
    return is_untouched(known, status)
