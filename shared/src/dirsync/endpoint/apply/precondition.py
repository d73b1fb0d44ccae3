"""Whether an operation may be applied: what is at its paths, compared with what its planner saw there.

The replica has one writer, so what the tree says is nearly always what is there. Whatever the fingerprint does not
prove is looked at, and the tree repaired, before anything is decided. All of it under the replica's lock.

RACE: between the look and the act somebody else may change the path; the worst is that his edit is lost.
"""

import os
import stat

from dirsync.endpoint.apply.outcomes import Changed
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import is_untouched
from dirsync.fs.root import Root
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, identity_of
from dirsync.tree.path import RelPath, components, escape, split


class Precondition:
    """Looks at the paths of operations; ``root`` is the caller's own clone of the replica's."""

    def __init__(self, replica: Replica, root: Root) -> None:
        self._replica = replica
        self._root = root

    def permit(self, path: RelPath) -> None:
        """Refuse what no session may touch, and what this one ignores."""
        if self._replica.agreement.ignores(path):
            msg = f"{escape(path)!r} is ignored in this session"
            raise DirsyncError(msg, reason="IGNORED")
        if components(path)[0] in self._replica.staging.reserved_names:
            msg = f"{escape(path)!r} is the server's own"
            raise DirsyncError(msg, reason="RESERVED")

    def current(self, path: RelPath, *, leaves: bool = False, enters: bool = False) -> Record | None:
        """What is at ``path``. What is not as the tree says is looked at, and the tree repaired.

        ``leaves``: the operation only takes away what is there, so no directory needs to be above. ``enters``: it can
        use a directory of ignored content that is not in the tree.

        Raises:
            Changed: there is no directory that could hold the path.
            DirsyncError: something that is not mirrored is there.
        """
        tree = self._replica.tree
        parent, _ = split(path)
        known = tree.record(path)
        status = self._root.lstat(path)
        if status is None and known is None:
            if not leaves:
                self._require_directory(parent, path)
            return None
        if status is not None and known is not None and _is_as_known(known, status):
            return known
        self._replica.look.rescan((parent,), deep=False)
        self._root.forget_all()
        known = tree.record(path)
        if not leaves:
            self._require_directory(parent, path)
        if known is None and status is not None and self._root.lstat(path) is not None:
            self._refuse_untracked(path, enters=enters)
        return known

    def require_empty(self, path: RelPath) -> None:
        """Look at a directory again that could not be removed, and refuse if it holds anything that is mirrored."""
        self._replica.look.rescan((path,), deep=False)
        directory = self._replica.tree.directory(path)
        if directory is not None and directory.children:
            msg = f"{escape(path)!r} is not empty"
            raise Changed(msg)

    def _require_directory(self, parent: RelPath, path: RelPath) -> None:
        if self._replica.tree.directory(parent) is None:
            msg = f"{escape(path)!r} has no directory to be in"
            raise Changed(msg)

    def _refuse_untracked(self, path: RelPath, *, enters: bool) -> None:
        """What is not mirrored is in the way, unless it is a directory of ignored content, which may be used."""
        try:
            self._root.directory(path)
        except PathFailure:
            taken = True
        else:
            taken = not enters
        if taken:
            msg = f"what is not mirrored is in the way at {escape(path)!r}: move it away at the replica"
            raise DirsyncError(msg, reason="UNTRACKED_IN_THE_WAY")


def is_expected(expected: Entry | None, current: Entry | None) -> bool:
    """Whether what is there is what the planner saw: the same kind and, save of a directory, the same digest."""
    if expected is None or current is None:
        return expected is None and current is None
    return expected.kind is current.kind and (expected.kind is Kind.DIRECTORY or _same_digest(expected, current))


def is_exactly(expected: Entry, current: Entry | None) -> bool:
    """As :func:`is_expected`, a directory's digest included."""
    return current is not None and expected.kind is current.kind and _same_digest(expected, current)


def _same_digest(expected: Entry, current: Entry) -> bool:
    return expected.digest == current.digest != UNKNOWN


def _is_as_known(known: Record, status: os.stat_result) -> bool:
    """Whether what has this status is what the record describes.

    A directory's fingerprint changes with every change in it; that it still is the same one is enough.
    """
    if known[0] == Kind.DIRECTORY:
        return stat.S_ISDIR(status.st_mode) and identity_of(known) == (status.st_dev, status.st_ino)
    return is_untouched(known, status)
