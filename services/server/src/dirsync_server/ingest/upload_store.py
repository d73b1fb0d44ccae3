"""What came in on one push stream and is not committed: content is staged and hashed as it arrives.

A file that cannot be taken (over a limit, disk full, wrong digest) becomes a failed step and harms no other. Nothing is
visible in the replica before a commit.
"""

import hashlib
from collections import ChainMap
from contextlib import nullcontext
from itertools import repeat
from typing import TYPE_CHECKING, assert_never

from dirsync.endpoint.apply.commit import Committer
from dirsync.endpoint.apply.outcomes import Mismatch, UploadNotFound, failed
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.finder import ContentFinder
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError, InvalidMessage, Unavailable
from dirsync.fs.read.hashing import Cancelled
from dirsync.fs.write.durable import can_build
from dirsync.fs.write.staged import StagedFile
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, PutFile, TryFile
from dirsync.wire.compression import shares
from dirsync.wire.push.messages import (
    Batch,
    DirectorySection,
    FileAbort,
    FileBegin,
    FileData,
    FileDelta,
    FileEnd,
    Item,
)
from dirsync.wire.push.results import Committed
from dirsync_server.ingest.budget import Incoming, SpaceBudget
from dirsync_server.ingest.build import DirectoryBuild
from dirsync_server.ingest.copy import ContentCopier
from dirsync_server.ingest.counters import IngestCounters
from dirsync_server.ingest.upload import Upload

if TYPE_CHECKING:
    from dirsync.endpoint.uploads.open_upload import OpenUpload


class UploadStore:
    """The content and operations of one push stream between their arrival and their commit. One thread."""

    def __init__(
        self, replica: Replica, committer: Committer, metrics: Metrics, generation: int, cancelled: Cancelled
    ) -> None:
        """``generation`` is that of the session; ``cancelled`` is asked now and then while content is read."""
        self._replica = replica
        self._committer = committer
        self._generation = generation
        self._cancelled = cancelled
        self._steps: list[Step] = []
        self._files: list[int] = []
        self._uploads: dict[int, Upload] = {}
        self._ended: dict[int, OpenUpload] = {}
        """The content of steps that were uploads, until they are committed."""
        self._builds: dict[int, DirectoryBuild] = {}
        """The directory that is being built, if there is one."""
        self._built = 0
        """Entries of the directories among the steps."""
        self._space = SpaceBudget(replica, ChainMap[int, Incoming](self._uploads, self._builds))  # type: ignore[arg-type]
        self._finder = ContentFinder(replica)
        self._copier = ContentCopier(self._finder, committer.staging, cancelled)
        self._counters = IngestCounters(metrics)
        self._hashed = replica.observer.bytes_hashed

    @property
    def is_full(self) -> bool:
        """Whether so much has come in that it has to be committed, though the client has not asked for it."""
        return (
            len(self._steps) + self._built >= LIMITS.max_commit_operations
            or self._space.staged >= LIMITS.max_commit_bytes
        )

    def take(self, message: Batch | FileBegin | FileData | FileDelta | FileEnd | FileAbort | DirectorySection) -> None:
        """Stage what a message brings; it is one that may come now.

        Raises:
            InvalidMessage: no correct client sends it; the stream is over.
            Unavailable: cancelled.
        """
        match message:
            case Batch(items=items, saved=saved):
                spread = shares(saved, [len(item.content) for item in items]) if saved else repeat(0)
                for item, share in zip(items, spread, strict=False):
                    self._take(item, share)
            case FileBegin(number=number):
                upload = self._uploads[number] = Upload(message, self._replica.uploads, self._replica.hashes)
                upload.open(self._space, self._finder, self._committer.staging, self._generation, self._cancelled)
            case FileData(number=number) | FileDelta(number=number):
                self._uploads[number].add(message)
            case FileEnd(number=number, digest=digest):
                self._end(self._uploads.pop(number), digest)
            case FileAbort(number=number):
                self._uploads.pop(number).discard()
            case DirectorySection():
                self._section(message)
            case _:
                assert_never(message)

    def commit(self, settled_number: int, *, requested: bool) -> Committed:
        """Commit what is staged whole; returns the results.

        Args:
            settled_number: the highest number of an operation or file so far.
            requested: the client asked for this commit.

        Raises:
            SessionError, StorageError: nothing can be committed.
        """
        steps, self._steps = self._steps, []
        files, self._files = self._files, []
        self._built = 0
        self._copier.forget()
        try:
            results = self._committer.commit(steps)
        except BaseException:
            self._interrupt(steps)
            raise
        for step in steps:
            failure = results.failures.get(step.number)
            self._settle(step, applied=failure is None)
            self._counters.settled(step, failure, results.moved.get(step.number))
        self._counters.flush()
        totals = self._replica.totals()
        self._space.committed()
        if not (self._uploads or self._builds):
            # Nothing is staged any more, and a replica at rest shows no trace of us.
            self._committer.staging.tidy()
        applied = [number for number in files if number not in results.failures]
        failures = list(results.failures.values())
        sums = totals.root_digest, totals.entries, requested, applied, totals.version
        return Committed(settled_number, failures, *sums)

    def close(self) -> None:
        """Drop what was not committed, but keep what can be continued, and let go of everything."""
        self._interrupt(self._steps)
        for upload in self._uploads.values():
            upload.interrupt()
        for build in self._builds.values():
            build.discard()
        self._steps.clear()
        self._uploads.clear()
        self._builds.clear()
        self._copier.forget()
        self._finder.close()

    def _take(self, item: Item, saved: int) -> None:
        """An operation of a batch becomes a step."""
        step = Step(item.number, item.operation)
        try:
            match item.operation:
                case PutFile() as operation:
                    staged, literal = self._stage(operation, item.content), len(item.content)
                    step = Step(item.number, operation, staged, literal=literal, saved=saved)
                    self._seal(step, operation)
                case CopyContent() as operation:
                    self._space.admit(operation.path, operation.entry.size)
                    step = step._replace(staged=self._copier.make(operation))
                    self._seal(step, operation)
                case TryFile(path=path, entry=entry):
                    self._space.admit(path, entry.size)
                    self._steps.append(step)
                case _:
                    self._steps.append(step)
        except Unavailable:
            raise
        except DirsyncError as error:
            self._fail(step, error)

    def _stage(self, operation: PutFile, content: bytes) -> StagedFile:
        self._space.admit(operation.path, operation.entry.size)
        if hashlib.sha256(content).digest() != operation.entry.digest:
            raise Mismatch(operation.path)
        staged = self._committer.staging.create(operation.path)
        try:
            staged.write(content)
        except DirsyncError:
            staged.discard()
            raise
        return staged

    def _section(self, section: DirectorySection) -> None:
        """A part of a new directory becomes a part of what is staged, and with the last one a step."""
        number = section.number
        if section.begin is not None:
            if not can_build(self._replica.policy.fsync):
                msg = "a new directory in sections, which the server did not offer"
                raise InvalidMessage(msg, reason="STRATEGY_NOT_OFFERED")
            self._builds[number] = DirectoryBuild(number, section.begin, self._replica, self._committer.trees)
        build = self._builds[number]
        self._hashed(build.add(section, self._space, self._copier))
        if not section.last:
            return
        del self._builds[number]
        self._files.append(number)
        step = build.end()
        if build.error is not None:
            self._fail(step, build.error)
            return
        self._space.take(build.arrived)
        self._built += len(build.below)
        self._steps.append(step)

    def _end(self, upload: Upload, digest: bytes) -> None:
        self._files.append(upload.number)
        step = upload.end(digest)
        if upload.error is not None:
            self._fail(step, upload.error)
            return
        assert isinstance(step.operation, PutFile)
        if upload.ended is not None:
            self._ended[step.number] = upload.ended
        try:
            self._seal(step, step.operation)
        except DirsyncError as error:
            self._fail(step, error)

    def _seal(self, step: Step, operation: PutFile | CopyContent) -> None:
        """The step's content is whole: complete its file."""
        assert step.staged is not None
        self._hashed(operation.entry.size)
        upload = self._ended.get(step.number)
        with nullcontext() if upload is None else upload.lock:
            if upload is not None and upload.is_over:
                raise UploadNotFound(operation.path)
            self._committer.publisher.seal(step.staged, operation.entry)
        failure = self._committer.file_is_durable(step)
        self._space.take(operation.entry.size)
        self._steps.append(step if failure is None else step._replace(failure=failure))
        if failure is None:
            self._copier.remember(operation.entry.digest, RelPath(step.staged.name))

    def _fail(self, step: Step, error: DirsyncError) -> None:
        self._settle(step, applied=False)
        current = self._replica.state.entry(step.operation.path)
        self._steps.append(step._replace(staged=None, failure=failed(step.number, error, current)))

    def _settle(self, step: Step, *, applied: bool) -> None:
        """A step was applied, or its content is not needed any more."""
        upload = self._ended.pop(step.number, None)
        if upload is not None:
            settle = self._replica.uploads.published if applied else self._replica.uploads.drop
            settle(upload)
        elif not applied:
            _discard(step)

    def _interrupt(self, steps: list[Step]) -> None:
        """These are not committed on this stream."""
        for step in steps:
            upload = self._ended.pop(step.number, None)
            if upload is not None:
                self._replica.uploads.keep(upload)
            else:
                _discard(step)


def _discard(step: Step) -> None:
    """Remove what is staged for a step."""
    if step.staged is not None:
        step.staged.discard()
    if step.tree is not None:
        step.tree.staged.discard()
