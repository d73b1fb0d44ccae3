"""Applies operations to a source, for a client that carries changes both ways.

The same rules and the same hands as at a replica: each operation is judged by what is at its path now
(:mod:`dirsync.endpoint.judge`), content is staged and proved before it is published by rename, and what was done is
durable before it is reported (:mod:`dirsync.fs.write.durable`). What a person, or a program, changed at the source
since the planner looked is found by a look right before, and stays.

RACE: between that look and the rename a program may write into the file that is replaced. The time is that of a few
system calls; what is written then is lost, as where any other program replaces the file.
"""

import stat
from collections.abc import Iterable, Sequence
from typing import NamedTuple, assert_never

from dirsync.endpoint.apply.outcomes import Changed, failed, refusal
from dirsync.endpoint.judge import Facts, Judgement, Obstacle, judge
from dirsync.endpoint.source.operation import SourceOperation
from dirsync.endpoint.source.source import Source
from dirsync.errors import DirsyncError, StorageError
from dirsync.fs.failure import NotEmpty, PathFailure
from dirsync.fs.fingerprint import is_untouched, status_identity
from dirsync.fs.root import RootState
from dirsync.fs.write.durable import Durability, Fsync, NotDurable
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, Kind, directory_entry, identity_of, pack
from dirsync.tree.outcome import Failure
from dirsync.tree.path import RelPath, components, escape, split
from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata


class SourceStep(NamedTuple):
    """An operation whose content, if it has any, is staged, sealed and durable."""

    operation: SourceOperation
    staged: StagedFile | None = None


class Applied(NamedTuple):
    """What became of the steps."""

    done: list[SourceStep]
    failures: list[tuple[SourceStep, Failure]]
    changed: list[RelPath]
    """Paths of the source that were found to be different."""


class SourceApplier:
    """Changes one source. For the thread that owns it; closed by :meth:`close`."""

    def __init__(self, source: Source, staging: Staging, fsync: Fsync = Fsync.BATCH) -> None:
        """Takes over ``staging``, which is that of the source's root."""
        self._source = source
        self._staging = staging
        self._root = source.root.clone()
        self._durability = Durability(fsync, self._root)
        self._publisher = Publisher(self._root, staging, attributes=source.tree.attributes)
        self._changed: list[RelPath] = []
        """Paths of the source that were found to be different meanwhile."""

    def close(self) -> None:
        """Let go of the descriptors."""
        self._root.close()
        self._staging.close()

    def apply(self, steps: Sequence[SourceStep]) -> Applied:
        """Carry out ``steps`` in order, and make durable what was done. Staged files are used up.

        Raises:
            NotDurable: the disk failed: what was done is not known to be on it.
        """
        source = self._source
        changed = source.look([step.operation.path for step in steps])
        self._changed = changed
        applied = Applied([], [], changed)
        self._root.refresh_mounts()
        self._root.forget_all()
        self._staging.look_again()
        self._publisher.begin()
        touched: dict[RelPath, None] = {}
        for step in steps:
            try:
                self._require_root()
                self._apply(step)
            except DirsyncError as error:
                current = source.tree.get(step.operation.path)
                applied.failures.append((step, failed(0, error, current)))
                if step.staged is not None:
                    step.staged.discard()
                continue
            applied.done.append(step)
            touched |= dict.fromkeys(_touched(step.operation))
        self._make_durable(touched)
        self._root.forget_all()
        return applied

    def _require_root(self) -> None:
        if self._source.root.state() is not RootState.SAME:
            msg = "the source's directory is gone or was replaced: nothing is written to it"
            raise StorageError(msg, reason="ROOT_CHANGED")

    def _make_durable(self, touched: Iterable[RelPath]) -> None:
        try:
            self._durability.entries(touched)
        except NotDurable:
            for path in touched:
                self._source.forget(path)
            raise

    def _apply(self, step: SourceStep) -> None:
        operation = step.operation
        path = operation.path
        facts = self._facts(path)
        judgement = judge(operation, facts, self._source.tree.attributes)
        if judgement is Judgement.DONE:
            if step.staged is not None:
                step.staged.discard()
            return
        if judgement is not Judgement.APPLY:
            raise refusal(judgement, operation)
        self._permit(path)
        if facts.entry is not None and isinstance(operation, PutSymlink | MakeDirectory):
            self._publisher.prepare()
        self._require_untouched(path)
        try:
            self._carry_out(step, operation, facts.entry)
        except NotEmpty:
            # What is left is not mirrored, so the directory stays on disk and leaves the tree, as a scan leaves it out.
            # Or it came since: then it stays in the tree too, and is merged.
            self._changed += self._source.look_again([path])
            left = self._source.tree.directory(path)
            if left is not None and left.children:
                msg = f"{escape(path)!r} is not empty"
                raise Changed(msg) from None
            if left is not None:
                raise

    def _require_untouched(self, path: RelPath) -> None:
        """Look once more, right before the act: the steps before this one took their time."""
        known, status = self._source.tree.record(path), self._root.lstat(path)
        if known is None or status is None:
            same = known is None and (status is None or stat.S_ISDIR(status.st_mode))
        elif known[0] == Kind.DIRECTORY:
            same = stat.S_ISDIR(status.st_mode) and identity_of(known) == status_identity(status)
        else:
            same = is_untouched(known, status)
        if not same:
            self._changed += self._source.look([path])
            msg = f"{escape(path)!r} was changed a moment ago"
            raise Changed(msg)

    def _permit(self, path: RelPath) -> None:
        top = components(path)[0]
        if top in self._staging.reserved_names:
            msg = f"{escape(path)!r} is the client's own: it stages there what comes in"
            raise DirsyncError(msg, reason="RESERVED")

    def _facts(self, path: RelPath) -> Facts:
        """What is at a path that was just looked at."""
        source = self._source
        problem = source.problems.get(path)
        if problem is not None:
            raise DirsyncError(problem.message, reason="UNREADABLE")
        entry = source.tree.get(path)
        if entry is not None:
            return Facts(entry)
        if source.tree.directory(split(path)[0]) is None:
            return Facts(None, has_parent=False)
        status = self._root.lstat(path)
        if status is None:
            return Facts(None)
        try:
            self._root.directory(path)
        except PathFailure:
            return Facts(None, obstacle=Obstacle.OTHER)
        return Facts(None, obstacle=Obstacle.DIRECTORY)

    def _carry_out(self, step: SourceStep, operation: SourceOperation, current: Entry | None) -> None:
        source, path = self._source, operation.path
        match operation:
            case PutFile(entry=entry):
                assert step.staged is not None
                source.publish(path, pack(entry, self._publisher.publish_file(step.staged, path, entry)))
            case PutSymlink(entry=entry):
                source.publish(path, pack(entry, self._publisher.make_symlink(path, entry.target)))
            case MakeDirectory(mode=mode):
                source.publish(path, pack(directory_entry(mode), self._publisher.make_directory(path, mode)))
            case SetMetadata(entry=entry):
                assert current is not None
                proof = self._publisher.set_metadata(path, entry)
                if entry.is_directory:
                    source.publish(path, pack(directory_entry(entry.mode), proof))
                else:
                    source.publish(path, pack(entry._replace(size=current.size, digest=current.digest), proof))
            case Delete():
                assert current is not None
                self._publisher.remove(path, current.kind)
                source.publish(path, None)
            case _:
                assert_never(operation)


def _touched(operation: SourceOperation) -> list[RelPath]:
    """What has to be made durable after an operation."""
    path = operation.path
    match operation:
        case SetMetadata():
            return [path]
        case MakeDirectory():
            return [path, split(path)[0]]
        case _:
            return [split(path)[0]]
