"""Carrying changes to the source: what is received when, and what came of it.

A bounded number of files is read and received at a time. Nothing is received below a directory that is not there, nor
while the source may not be what it was: while removals at the replica are held, and where a mount came or went. What
would remove something waits until it is judged (:mod:`.removals`).
"""

from typing import TYPE_CHECKING, Final

from dirsync.endpoint.source.operation import SourceOperation
from dirsync.tree.diff import equal
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, is_within, split
from dirsync.tree.plan import Delete, MakeDirectory, Operation, PutFile, operation, removes
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.commands import HashFile, LookAt
from dirsync_client.reconcile.context import PROMPT_ATTEMPTS
from dirsync_client.reconcile.path_states import REMOVING, Phase
from dirsync_client.reconcile.two_way.commands import Receive, ReportReceived
from dirsync_client.reconcile.two_way.merging import Incoming, Merging
from dirsync_client.reconcile.two_way.removals import IncomingRemovals

if TYPE_CHECKING:
    from collections.abc import Callable

    from dirsync_client.reconcile.context import Context
    from dirsync_client.reconcile.events import Received

MAX_RECEIVING: Final = 256
"""Operations that may be under way to the source."""
MAX_READING: Final = 128
"""Files that are read at a time because a merge needs their content."""
_KINDS: Final = {
    Outcome.STORAGE: ProblemKind.STORAGE,
    Outcome.LIMIT: ProblemKind.LIMIT,
    Outcome.UNSUPPORTED: ProblemKind.UNSUPPORTED,
}


class Receiving:
    """The half of the reconciler that changes the source."""

    def __init__(self, context: "Context", merging: Merging, is_held: "Callable[[], bool]") -> None:
        """``is_held``: whether a guard holds removals at the replica."""
        self._context = context
        self._merging = merging
        self._is_held = is_held
        self._deferred: dict[RelPath, set[RelPath]] = {}
        """Paths that wait for the directory above them, by that directory."""
        self.removals = IncomingRemovals(context, merging, self.send)

    def reset(self) -> None:
        """A new session begins."""
        self._deferred.clear()
        self.removals.reset()

    @property
    def is_suspended(self) -> bool:
        """Whether the source may not be what it was, so that nothing is written to it.

        That is while removals at the replica are held, and until they are judged where most of the source is gone.
        """
        shrunk = len(self._context.source.tree) * 2 < len(self._merging.agreement.tree)
        return self._is_held() or (shrunk and self._context.table.count(REMOVING) > 0)

    @property
    def pending(self) -> bool:
        """Whether something is to be read, received or judged."""
        return self._merging.pending and not self.is_suspended

    def advance(self) -> None:
        """Read and receive as much as is allowed at a time."""
        merging, context, table = self._merging, self._context, self._context.table
        for path in sorted(merging.unreadable):
            if table.phase(path) is not Phase.FAILED and not table.is_busy(path):
                context.fail(Problem(path, ProblemKind.UNREADABLE, "the server cannot read it at the replica"))
        merging.unreadable.clear()
        while merging.to_read and table.count((Phase.HASHING,)) < MAX_READING:
            self._read(merging.to_read.popleft())
        while merging.queue and table.count((Phase.RECEIVING,)) < MAX_RECEIVING and not self.is_suspended:
            path = merging.queue.popleft()
            incoming = merging.incoming.get(path)
            if incoming is not None:
                self._receive(path, incoming)

    def received(self, event: "Received") -> None:
        """Take what came of an operation at the source."""
        context, table, path = self._context, self._context.table, event.receive.path
        if table.phase(path) is not Phase.RECEIVING:
            return
        waited = self._merging.done(path)
        if waited is not None:
            self._compare_again(waited)
        if event.failure is not None:
            self._failed(event, event.failure)
            return
        step = event.receive.operation
        state = table.get(path)
        changed_again = state is not None and state.again_since is not None
        if event.receive.remote == path:  # a copy of a version that lost its name is new at the source
            self._merging.agreement.settled(path, None if isinstance(step, Delete) else context.source.tree.get(path))
        sizes = event.received_bytes, event.reused_bytes, event.compressed_bytes, event.resumed_bytes
        context.emit(ReportReceived(event.receive, *sizes))
        context.succeeded(path)
        self.removals.settled(step)
        # The replica has not got a copy under this name, and something else by now where others went on changing it.
        source, replica = context.source.tree, context.replica
        differs = not equal(source.get(path), replica.get(path), source.attributes)
        # What the source had removed from a directory that is back is to be removed at the replica.
        agreed = self._merging.agreement.tree.directory(path)
        is_back = isinstance(step, MakeDirectory) and agreed is not None and bool(agreed.children)
        table.to(path, Phase.DIRTY if changed_again or differs or is_back else Phase.IDLE)
        for deferred in sorted(self._deferred.pop(path, ())):
            self._compare_again(deferred)

    def send(self, step: "Receive") -> None:
        """Have an operation applied."""
        self._context.table.to(step.path, Phase.RECEIVING)
        self._context.emit(step)

    def _read(self, path: RelPath) -> None:
        context, table = self._context, self._context.table
        entry, state = context.source.tree.get(path), table.get(path)
        if entry is None or table.is_busy(path) or table.phase(path) is Phase.FAILED:
            return
        if state is not None and state.differs:
            context.fail(Problem(path, ProblemKind.CHANGING, "it changed each time that it was read"))
            return
        table.to(path, Phase.HASHING)
        context.emit(HashFile(path, context.source.tree.record(path), entry.size))

    def _receive(self, path: RelPath, incoming: Incoming) -> None:
        context, table = self._context, self._context.table
        if table.is_busy(path) or table.phase(path) is Phase.FAILED:
            return  # it is merged again after that
        if any(is_within(path, mount) for mount in context.source.mounts_changed):
            return
        parent, _ = split(path)
        # A directory that is under way is made before what is in it: the executor takes them in this order.
        is_there = context.source.tree.directory(parent) is not None or table.phase(parent) is Phase.RECEIVING
        if not is_there and incoming.change.new is not None:
            self._deferred.setdefault(parent, set()).add(path)
            return
        step = operation(incoming.change)
        assert isinstance(step, SourceOperation)
        if removes(step):
            self.removals.add(path)
        else:
            self.send(Receive(step, incoming.near or self._elsewhere(step), incoming.remote))

    def _elsewhere(self, step: Operation) -> RelPath | None:
        """A path of the source that leaves, and has the content of a file that comes: it was moved at the replica."""
        return self.removals.path_of(step.entry.digest) if isinstance(step, PutFile) else None

    def _failed(self, event: "Received", failure: Failure) -> None:
        context, table, path = self._context, self._context.table, event.receive.path
        if event.vanished:
            context.refetch = True
            if event.receive.near is not None:
                # The source has not got the content where it was known to be either: it has another version by now, of
                # which no watch has told yet. Until that is known, the same is decided again, and fails again.
                context.emit(LookAt((event.receive.near,), retry=False))
        state = table.get(path)
        assert state is not None
        prompt = failure.outcome in (Outcome.CHANGED, Outcome.MISMATCH) or event.vanished
        if prompt and state.attempts < PROMPT_ATTEMPTS:
            state.attempts += 1
            table.to(path, Phase.DIRTY)
            return
        kind = _KINDS.get(failure.outcome, ProblemKind.REFUSED)
        context.fail(Problem(path, kind, failure.message), spared=PROMPT_ATTEMPTS if prompt else 0)

    def _compare_again(self, path: RelPath) -> None:
        table = self._context.table
        if not table.is_busy(path) and table.phase(path) is not Phase.FAILED:
            table.to(path, Phase.DIRTY)
