"""Carries out the steps of a commit on a replica.

The order is what makes an acknowledged change survive anything:

1. the staged files are made durable;
2. under the writer mutex, and only if the session is still the writer, each step is checked against what is at its
   path and then carried out, in order; tree and index follow;
3. the directories that were touched are made durable, and whatever got other metadata.

Only then is the commit answered. A crash before 2 leaves leftovers in staging; within 2 each path is old or new; after
3 everything is there. Readers wait for none of it: they see each step when it is done.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dirsync.endpoint.apply.outcomes import failed
from dirsync.endpoint.apply.step_applier import StepApplier
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import MoveTotals
from dirsync.errors import DirsyncError
from dirsync.fs.write.build.publish import TreePublisher
from dirsync.fs.write.durable import Durability, Fsync, NotDurable
from dirsync.fs.write.publish import Publisher
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, is_within, split
from dirsync.tree.plan import BuildDirectory, MakeDirectory, Move, SetMetadata, TryFile


class Results(NamedTuple):
    """What became of the steps of a commit, by their numbers. What is not in ``failures`` was applied."""

    failures: dict[int, Failure]
    moved: dict[int, MoveTotals]


class Committer:
    """Commits steps for one push stream, with descriptors of its own."""

    def __init__(self, replica: Replica, fence: Callable[[], None]) -> None:
        """``fence`` raises unless the session is still the writer; it is called under the writer mutex."""
        self._replica = replica
        self._fence = fence
        self._root = replica.root.clone()
        self.staging = replica.staging.clone()
        self._durability = Durability(replica.policy.fsync, self._root)
        attributes = replica.options.attributes
        self.publisher = Publisher(self._root, self.staging, replica.policy.modes, attributes)
        modes = replica.policy.modes
        self.trees = TreePublisher(self._root, self.staging, modes, self.publisher, mtimes=attributes.mtime)
        self._applier = StepApplier(replica, self._root, self.publisher, self.trees)

    def close(self) -> None:
        """Let go of the descriptors; staged files are the caller's to discard."""
        self.staging.close()
        self._root.close()

    def commit(self, steps: Sequence[Step]) -> Results:
        """Carry out ``steps`` in order.

        Raises:
            SessionError: the session is no longer the writer; nothing was changed.
            Unavailable: this server is no longer the owner of the replica; what was changed was changed before.
            NotDurable: the disk failed; what was changed is not acknowledged and will be scanned again.
        """
        # Under FSYNC=always each is durable, or known not to be, since it was staged; and no fsync is ever tried again.
        due = [] if self._replica.policy.fsync is Fsync.ALWAYS else [step for step in steps if step.failure is None]
        results = Results(self._make_files_durable(due), {})
        touched: dict[RelPath, None] = {}
        with self._replica.writer:
            self._fence()
            self._replica.require_root()
            if self._replica.scanner.needs_rescan:
                self._replica.scanner.rescan()
            self._root.refresh_mounts()
            self._root.forget_all()
            self.publisher.begin()
            with self._replica.publishing() as require_owner:
                for step in steps:
                    require_owner()
                    failure = results.failures.get(step.number) or step.failure or self._carry_out(step, results)
                    if failure is None:
                        touched = _touched(touched, step)
                    else:
                        results.failures[step.number] = failure
        self._make_entries_durable(touched)
        self._root.forget_all()  # what is kept open keeps a mount busy
        self._replica.commit_done()
        return results

    def file_is_durable(self, step: Step) -> Failure | None:
        """Under FSYNC=always: make this one step's file durable now."""
        if self._replica.policy.fsync is not Fsync.ALWAYS or step.staged is None:
            return None
        return self._make_files_durable([step]).get(step.number)

    def _make_files_durable(self, steps: Sequence[Step]) -> dict[int, Failure]:
        staged = {id(step.staged): step for step in steps if step.staged is not None}
        trees = [step for step in steps if step.tree is not None]
        files = [step.staged for step in staged.values() if step.staged is not None]
        try:
            if trees:
                self._durability.everything(files, len(trees))
            else:
                self._durability.files(files)
        except NotDurable as error:
            lost = [*(staged[id(file)] for file in error.staged), *trees]
            return {step.number: Failure(step.number, Outcome.STORAGE, None, error.reason, str(error)) for step in lost}
        return {}

    def _make_entries_durable(self, touched: Iterable[RelPath]) -> None:
        # What an earlier commit could not make durable is in the tree all the same, and the digest that is acknowledged
        # now covers it.
        owed = tuple(self._replica.not_durable)
        todo = dict.fromkeys((*owed, *touched))
        try:
            self._durability.entries(todo)
        except NotDurable:
            self._replica.not_durable |= todo
            self._replica.scanner.needs_rescan = True
            raise
        for path in owed:
            self._replica.not_durable.pop(path, None)

    def _carry_out(self, step: Step, results: Results) -> Failure | None:
        try:
            moved = self._applier.apply(step)
        except DirsyncError as error:
            return failed(step.number, error, self._replica.state.entry(step.operation.path))
        if moved is not None:
            results.moved[step.number] = moved
        return None


def _touched(touched: dict[RelPath, None], step: Step) -> dict[RelPath, None]:
    """What is to be made durable after one more step, under the names that it has then."""
    operation = step.operation
    if isinstance(operation, Move):
        # What was put into a directory before it was moved is not durable until that directory is, wherever it is now.
        touched = {_followed(path, operation): None for path in touched}
        touched[split(operation.source)[0]] = None
    if isinstance(operation, MakeDirectory | SetMetadata | BuildDirectory):
        touched[operation.path] = None
    if not isinstance(operation, SetMetadata | TryFile):
        touched[split(operation.path)[0]] = None
    return touched


def _followed(path: RelPath, move: Move) -> RelPath:
    if is_within(path, move.source):
        return RelPath(move.path + path[len(move.source) :])
    if move.exchange and is_within(path, move.path):
        return RelPath(move.source + path[len(move.path) :])
    return path
