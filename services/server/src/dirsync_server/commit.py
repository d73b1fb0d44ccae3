"""Carrying out the steps of a commit on a replica.

The order is what makes an acknowledged change survive anything (``docs/crash-order.md``):

1. the staged files are made durable;
2. under the replica's lock, and only if the session is still the writer, each step is checked against what is at its
   path and then carried out, in order; tree and index follow;
3. the directories that were touched are made durable.

Only then is the commit answered. A crash before 2 leaves leftovers in staging; within 2 each path is old or new; after
3 everything is there.
"""

import os
import stat
from collections.abc import Callable, Sequence

from dirsync.errors import DirsyncError, LimitExceeded, StorageError
from dirsync.fs.durable import Durability, Fsync, NotDurable
from dirsync.fs.failure import NotEmpty, PathFailure
from dirsync.fs.fingerprint import RACY, is_untouched
from dirsync.fs.publish import Publisher
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, directory_entry, pack, unpack
from dirsync.tree.path import RelPath, components, escape, split
from dirsync.tree.plan import Delete, MakeDirectory, Operation, PutFile, PutSymlink, SetMetadata
from dirsync.tree.problem import ProblemKind
from dirsync.wire.push import Unsupported
from dirsync.wire.results import Failure, Outcome
from dirsync_server.quota import check_entry
from dirsync_server.replica import Replica
from dirsync_server.steps import Step

_OUTCOMES = {
    ProblemKind.STORAGE: Outcome.STORAGE,
    ProblemKind.VANISHED: Outcome.CHANGED,
    ProblemKind.CHANGING: Outcome.CHANGED,
}


class _Changed(Exception):  # an outcome, no error
    """Something else than expected is at the path."""


class Committer:
    """Commits steps for one push stream, with descriptors of its own."""

    def __init__(self, replica: Replica, fence: Callable[[], None]) -> None:
        """``fence`` raises unless the session is still the writer; it is called under the replica's lock."""
        self._replica = replica
        self._fence = fence
        self._root = replica.root.clone()
        self.staging = replica.staging.clone()
        self._durability = Durability(replica.policy.fsync, self._root)
        attributes = replica.options.attributes
        self.publisher = Publisher(self._root, self.staging, replica.policy.modes, attributes)

    def close(self) -> None:
        """Let go of the descriptors; staged files are the caller's to discard."""
        self.staging.close()
        self._root.close()

    def commit(self, steps: Sequence[Step]) -> list[Failure]:
        """Carry out ``steps`` in order; gives those that were not applied, and why.

        Raises:
            SessionError: the session is no longer the writer; nothing was changed.
            NotDurable: the disk failed; what was changed is not acknowledged and will be looked at again.
        """
        lost = self._make_files_durable(steps)
        touched: list[RelPath] = []
        failures: list[Failure] = []
        with self._replica.lock:
            self._fence()
            self._replica.require_root()
            if self._replica.look.suspect:
                self._replica.look.rescan()
            self._root.forget_all()
            for step in steps:
                failure = lost.get(step.number) or self._carry_out(step)
                if failure is None:
                    touched.append(split(step.operation.path)[0])
                else:
                    failures.append(failure)
        self._make_directories_durable(touched)
        self._replica.commit_done()
        return failures

    def file_is_durable(self, step: Step) -> Failure | None:
        """Under FSYNC=always: make this one step's file durable now."""
        if self._replica.policy.fsync is not Fsync.ALWAYS or step.staged is None:
            return None
        return self._make_files_durable([step]).get(step.number)

    def _make_files_durable(self, steps: Sequence[Step]) -> dict[int, Failure]:
        staged = {id(step.staged): step for step in steps if step.staged is not None}
        try:
            self._durability.files([step.staged for step in staged.values() if step.staged is not None])
        except NotDurable as error:
            lost = [staged[id(file)] for file in error.staged]
            return {step.number: Failure(step.number, Outcome.STORAGE, None, error.reason, str(error)) for step in lost}
        return {}

    def _make_directories_durable(self, touched: Sequence[RelPath]) -> None:
        try:
            self._durability.directories(touched)
        except NotDurable:
            self._replica.look.suspect = True
            raise

    def _carry_out(self, step: Step) -> Failure | None:
        if step.failure is not None:
            return step.failure
        path = step.operation.path
        try:
            if isinstance(step.operation, Unsupported):
                message = f"this server does not know the operation for {escape(path)!r}"
                return Failure(
                    step.number, Outcome.UNSUPPORTED, self._replica.holdings.entry(path), "UNSUPPORTED", message
                )
            self._apply(step, step.operation)
        except _Changed as changed:
            return Failure(step.number, Outcome.CHANGED, self._replica.holdings.entry(path), "CHANGED", str(changed))
        except PathFailure as error:
            outcome = _OUTCOMES.get(error.kind, Outcome.REFUSED)
            return Failure(step.number, outcome, self._replica.holdings.entry(path), error.reason, str(error))
        except LimitExceeded as error:
            return Failure(step.number, Outcome.LIMIT, self._replica.holdings.entry(path), error.reason, str(error))
        except StorageError as error:
            return Failure(step.number, Outcome.STORAGE, self._replica.holdings.entry(path), error.reason, str(error))
        except DirsyncError as error:
            return Failure(step.number, Outcome.REFUSED, self._replica.holdings.entry(path), error.reason, str(error))
        return None

    def _apply(self, step: Step, operation: Operation) -> None:
        path = operation.path
        if self._replica.agreement.ignores(path):
            msg = f"{escape(path)!r} is ignored in this session"
            raise DirsyncError(msg, reason="IGNORED")
        if components(path)[0] in self._replica.staging.reserved_names:
            msg = f"{escape(path)!r} is the server's own"
            raise DirsyncError(msg, reason="RESERVED")
        current = self._current(operation)
        if _is_done(operation, current, self._replica):
            return
        if not _is_expected(operation.expected, current):
            msg = f"{escape(path)!r} is not what the client expected"
            raise _Changed(msg)
        if current is None:
            check_entry(self._replica.policy.quota, len(self._replica.tree), path)
        try:
            self._act(step, operation, current)
        except NotEmpty:
            self._refuse_content(path)
            if not isinstance(operation, Delete):
                raise
            # Only ignored content is left, which is not ours to delete: the directory leaves the tree and stays on
            # disk.
            self._replica.holdings.remove(path)

    def _act(self, step: Step, operation: Operation, current: Record | None) -> None:
        path = operation.path
        match operation:
            case PutFile(entry=entry):
                assert step.staged is not None
                self._published(path, entry, self.publisher.publish_file(step.staged, path, entry))
            case PutSymlink(entry=entry):
                self._published(path, entry, self.publisher.make_symlink(path, entry.target))
            case MakeDirectory(mode=mode):
                self._published(path, directory_entry(mode), self.publisher.make_directory(path, mode))
            case SetMetadata(entry=entry):
                assert current is not None
                entry = entry._replace(size=unpack(current).size, digest=unpack(current).digest)
                self._published(path, entry, self.publisher.set_metadata(path, entry))
            case Delete():
                assert current is not None
                self.publisher.remove(path, Kind(current[0]))
                self._replica.holdings.remove(path)

    def _published(self, path: RelPath, entry: Entry, proof: bytes) -> None:
        # RACE: what was just published counts as proved though somebody may change it within the same clock tick. The
        # replica has one writer; the worst is that such an edit is found by the next deep verification only. Reading
        # every published file again at the next rescan would be the price of closing it.
        proof = bytes((proof[0] & ~RACY,)) + proof[1:]
        self._replica.holdings.put(path, pack(entry, proof))

    def _refuse_content(self, path: RelPath) -> None:
        """Look at a directory again that is not empty, and refuse if it holds anything that is mirrored."""
        self._replica.look.rescan((path,), deep=False)
        directory = self._replica.tree.directory(path)
        if directory is not None and directory.children:
            msg = f"{escape(path)!r} is not empty"
            raise _Changed(msg)

    def _current(self, operation: Operation) -> Record | None:
        """What is at the operation's path. What is not as the tree says is looked at, and the tree repaired."""
        path, tree = operation.path, self._replica.tree
        parent, _ = split(path)
        known = tree.record(path)
        status = self._root.lstat(path)
        if status is None and known is None:
            if tree.directory(parent) is None and not isinstance(operation, Delete):
                msg = f"{escape(path)!r} has no directory to be in"
                raise _Changed(msg)
            return None
        if status is not None and known is not None and (is_untouched(known, status) or _same_directory(known, status)):
            return known
        self._replica.look.rescan((parent,), deep=False)
        self._root.forget_all()
        known = tree.record(path)
        if tree.directory(parent) is None:
            msg = f"{escape(path)!r} has no directory to be in"
            raise _Changed(msg)
        if known is None and status is not None and self._root.lstat(path) is not None:
            self._refuse_untracked(operation)
        return known

    def _refuse_untracked(self, operation: Operation) -> None:
        """What is not mirrored is in the way, unless it is a directory of ignored content, which may be used."""
        try:
            self._root.directory(operation.path)
        except PathFailure:
            taken = True
        else:
            taken = not isinstance(operation, MakeDirectory)
        if taken:
            msg = f"what is not mirrored is in the way at {escape(operation.path)!r}: move it away at the replica"
            raise DirsyncError(msg, reason="UNTRACKED_IN_THE_WAY")


def _same_directory(known: Record, status: os.stat_result) -> bool:
    """A directory's fingerprint changes with every change in it; that it still is a directory is enough."""
    return known[0] == Kind.DIRECTORY and stat.S_ISDIR(status.st_mode)


def _is_expected(expected: Entry | None, current: Record | None) -> bool:
    if expected is None or current is None:
        return expected is None and current is None
    entry = unpack(current)
    if expected.kind is not entry.kind:
        return False
    return expected.kind is Kind.DIRECTORY or (expected.digest == entry.digest and entry.digest != UNKNOWN)


def _is_done(operation: Operation, current: Record | None, replica: Replica) -> bool:
    """Whether the operation's result is there already: it was applied before, and its acknowledgement was lost."""
    if isinstance(operation, Delete) or current is None:
        return isinstance(operation, Delete) and current is None
    if isinstance(operation, MakeDirectory):
        return False
    normalize = replica.options.attributes.normalize
    return operation.entry.digest != UNKNOWN and normalize(unpack(current)) == normalize(operation.entry)
