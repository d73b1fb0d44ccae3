"""What comes in on one push stream until it is committed: content is staged and hashed as it arrives.

A file that cannot be taken (over a limit, disk full, wrong digest) becomes a failed step and harms no other; the rest
of its frames is read and dropped. Nothing is visible in the replica before a commit.
"""

import hashlib
from itertools import repeat
from typing import Any

from dirsync.errors import DirsyncError, LimitExceeded, StorageError
from dirsync.fs.failure import PathFailure
from dirsync.fs.staging import StagedFile
from dirsync.limits import LIMITS
from dirsync.runtime.metrics import Metrics
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata
from dirsync.wire.compression import shares
from dirsync.wire.push import Batch, Commit, FileAbort, FileBegin, FileData, FileEnd, Item, Open, PushMessage
from dirsync.wire.results import Committed, Failure, Outcome
from dirsync_server.commit import Committer
from dirsync_server.push_state import PushState
from dirsync_server.quota import Usage, check_file
from dirsync_server.replica import Replica
from dirsync_server.steps import Step

USAGE_REFRESH_BYTES = 16 * 1024 * 1024
"""After so many staged bytes the disk is asked again how much is left."""


class _Upload:
    """A large file that is coming in."""

    def __init__(self, number: int, operation: PutFile) -> None:
        self.number = number
        self.operation = operation
        self.staged: StagedFile | None = None
        self.failure: Failure | None = None
        self.hash: Any = hashlib.sha256()
        self.saved = 0


class Intake:
    """The messages of one push stream, up to their commit. One thread."""

    def __init__(self, replica: Replica, committer: Committer, metrics: Metrics) -> None:
        self.state = PushState()
        self._replica = replica
        self._committer = committer
        self._steps: list[Step] = []
        self._files: list[int] = []
        self._staged_bytes = 0
        self._uploads: dict[int, _Upload] = {}
        self._usage = replica.usage()
        self._since_usage = 0
        self._changes = metrics.family("dirsync_changes_applied_total")
        self._whole = metrics.counter("dirsync_files_transferred_total", strategy="whole")
        self._literal = metrics.counter("dirsync_literal_bytes_total")
        self._logical = metrics.counter("dirsync_logical_bytes_total")
        self._saved = metrics.counter("dirsync_saved_bytes_total", reason="compression")

    def receive(self, message: PushMessage) -> Committed | None:
        """Take in one message; gives the results if it led to a commit.

        Raises:
            OutOfTurn, LimitExceeded: the message may not come now; the stream is over.
            SessionError, StorageError: nothing can be committed.
        """
        self.state.receive(message)
        match message:
            case Batch(items=items, saved=saved):
                spread = shares(saved, [len(item.content) for item in items]) if saved else repeat(0)
                for item, share in zip(items, spread, strict=False):
                    self._take(item, share)
            case FileBegin(number=number, operation=operation):
                self._begin(number, operation)
            case FileData(number=number, literal=literal, saved=saved):
                upload = self._uploads[number]
                upload.saved += saved
                self._data(upload, literal)
            case FileEnd(number=number, digest=digest):
                self._end(self._uploads.pop(number), digest)
            case FileAbort(number=number):
                self._discard(self._uploads.pop(number).staged)
            case Commit(rescan=rescan):
                if rescan:
                    self._replica.look.rescan()
                return self._commit(requested=True)
            case Open():
                pass
        full = len(self._steps) >= LIMITS.max_commit_operations or self._staged_bytes >= LIMITS.max_commit_bytes
        return self._commit(requested=False) if full else None

    def close(self) -> None:
        """Drop what was not committed."""
        for step in self._steps:
            self._discard(step.staged)
        for upload in self._uploads.values():
            self._discard(upload.staged)
        self._steps.clear()
        self._uploads.clear()

    def _commit(self, *, requested: bool) -> Committed:
        steps, self._steps = self._steps, []
        files, self._files = self._files, []
        self._staged_bytes = 0
        try:
            failures = self._committer.commit(steps)
        except BaseException:
            for step in steps:
                self._discard(step.staged)
            raise
        failed = {failure.number: failure for failure in failures}
        for step in steps:
            self._account(step, failed.get(step.number))
        with self._replica.lock:
            digest, entries = self._replica.tree.digest(), len(self._replica.tree)
        self._usage = self._replica.usage()
        if not self._uploads:
            # Nothing is staged any more: nobody should find a trace of us in a replica at rest.
            self._committer.staging.tidy()
        applied = [number for number in files if number not in failed]
        return Committed(self.state.last_number, failures, digest, entries, requested, applied)

    def _account(self, step: Step, failure: Failure | None) -> None:
        if failure is not None and step.staged is not None:
            step.staged.discard()
        name = _OPERATION_NAMES.get(type(step.operation))
        if name is not None:
            self._changes[name, "applied" if failure is None else failure.outcome.name.lower()].inc()
        if failure is None and isinstance(step.operation, PutFile):
            size = step.operation.entry.size
            self._literal.inc(size)
            self._logical.inc(size)
            self._saved.inc(step.saved)
            self._whole.inc()

    def _take(self, item: Item, saved: int) -> None:
        operation = item.operation
        if not isinstance(operation, PutFile):
            self._steps.append(Step(item.number, operation))
            return
        staged: StagedFile | None = None
        try:
            self._admit(operation.path, operation.entry.size)
            if hashlib.sha256(item.content).digest() != operation.entry.digest:
                raise _Mismatch(operation.path)
            staged = self._committer.staging.create(operation.path)
            staged.write(item.content)
            self._seal(Step(item.number, operation, staged, saved=saved))
        except DirsyncError as error:
            self._discard(staged)
            self._steps.append(Step(item.number, operation, failure=self._failure(item.number, operation.path, error)))

    def _begin(self, number: int, operation: PutFile) -> None:
        upload = self._uploads[number] = _Upload(number, operation)
        try:
            self._admit(operation.path, operation.entry.size)
            upload.staged = self._committer.staging.create(operation.path)
        except DirsyncError as error:
            self._give_up(upload, error)

    def _data(self, upload: _Upload, literal: memoryview | bytes) -> None:
        staged = upload.staged
        if staged is None:
            return
        try:
            if staged.size + len(literal) > upload.operation.entry.size:
                raise _Mismatch(upload.operation.path)
            staged.write(literal)
        except DirsyncError as error:
            self._give_up(upload, error)
            return
        upload.hash.update(literal)

    def _end(self, upload: _Upload, digest: bytes) -> None:
        operation = upload.operation._replace(entry=upload.operation.entry._replace(digest=digest))
        self._files.append(upload.number)
        if upload.staged is not None:
            try:
                if upload.staged.size != operation.entry.size or upload.hash.digest() != digest:
                    raise _Mismatch(operation.path)
                self._seal(Step(upload.number, operation, upload.staged, saved=upload.saved))
            except DirsyncError as error:
                self._give_up(upload, error)
        if upload.failure is not None:
            self._steps.append(Step(upload.number, operation, failure=upload.failure))

    def _seal(self, step: Step) -> None:
        assert isinstance(step.operation, PutFile)
        assert step.staged is not None
        entry = step.operation.entry
        self._committer.publisher.seal(step.staged, entry)
        failure = self._committer.file_is_durable(step)
        self._staged_bytes += entry.size
        self._steps.append(step._replace(failure=failure))

    def _admit(self, path: RelPath, size: int) -> None:
        """Refuse what would not fit, counting what is staged and what other uploads have announced."""
        self._since_usage += size
        if self._since_usage > USAGE_REFRESH_BYTES:
            self._usage = self._replica.usage()
            self._since_usage = 0
        announced = sum(u.operation.entry.size - u.staged.size for u in self._uploads.values() if u.staged)
        usage = Usage(self._usage.bytes + self._staged_bytes + announced, self._usage.free_bytes - announced)
        check_file(self._replica.policy.quota, usage, path, size, self._replica.holdings.size_of(path))

    def _give_up(self, upload: _Upload, error: DirsyncError) -> None:
        self._discard(upload.staged)
        upload.staged = None
        upload.failure = self._failure(upload.number, upload.operation.path, error)

    def _failure(self, number: int, path: RelPath, error: DirsyncError) -> Failure:
        if isinstance(error, _Mismatch):
            outcome = Outcome.MISMATCH
        elif isinstance(error, LimitExceeded):
            outcome = Outcome.LIMIT
        elif isinstance(error, StorageError) or (isinstance(error, PathFailure) and error.kind == "storage"):
            outcome = Outcome.STORAGE
        else:
            outcome = Outcome.REFUSED
        return Failure(number, outcome, self._replica.holdings.entry(path), error.reason, str(error))

    @staticmethod
    def _discard(staged: StagedFile | None) -> None:
        if staged is not None:
            staged.discard()


class _Mismatch(DirsyncError):
    """The content does not have the size or digest that was announced."""

    default_reason = "MISMATCH"

    def __init__(self, path: RelPath) -> None:
        super().__init__(f"the content of {escape(path)!r} does not have the size and digest that were announced")


_OPERATION_NAMES: dict[type, str] = {
    PutFile: "put_file",
    PutSymlink: "put_symlink",
    MakeDirectory: "make_directory",
    SetMetadata: "set_metadata",
    Delete: "delete",
}
