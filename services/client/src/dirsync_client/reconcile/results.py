"""Taking over what the server did into the replica's tree as the client knows it.

Whatever fails leaves the two trees different, and what differs is tried again: nothing has to be undone.

Invariant: after each commit the replica's tree has the digest that the server named. If it has not, another party
changed the replica (or there is a bug), and the tree is listed again.
"""

from collections.abc import Iterator

from dirsync.limits import LIMITS
from dirsync.tree.directory import directory_of, hashes_of
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, fingerprint_of, pack, unpack
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import BuildDirectory, CopyContent, Delete, Move, PutFile, PutSymlink, TryFile, changed_paths
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Reason
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import (
    RememberRecord,
    RememberRecords,
    ReportApplied,
    ReportBuilt,
    ReportFailed,
    ReportMoved,
    ReportMovedOn,
    Sent,
)
from dirsync_client.reconcile.content_routes import ContentRoutes
from dirsync_client.reconcile.context import PROMPT_ATTEMPTS, Context
from dirsync_client.reconcile.deletes import Deletes
from dirsync_client.reconcile.directories.builds import Builds
from dirsync_client.reconcile.directories.learn import learn
from dirsync_client.reconcile.events import Settled, Unsent
from dirsync_client.reconcile.pacing.pace import Cost
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.removal.links import Links
from dirsync_client.reconcile.renames import Renames

_PROBLEM_KINDS = {
    Outcome.STORAGE: ProblemKind.STORAGE,
    Outcome.REFUSED: ProblemKind.REFUSED,
    Outcome.LIMIT: ProblemKind.LIMIT,
    Outcome.UNSUPPORTED: ProblemKind.UNSUPPORTED,
}


_REFUSALS = {Outcome.STORAGE, Outcome.REFUSED, Outcome.LIMIT}
_UNKNOWN = {Outcome.UNSUPPORTED, Outcome.UNKNOWN}


class Results:
    """Takes what came back of the operations that were sent."""

    def __init__(
        self, context: Context, routes: ContentRoutes, renames: Renames, deletes: Deletes, links: Links, builds: Builds
    ) -> None:
        self.root_digest = b""
        """The replica's, as the server named it last."""
        self.directory_moved = False
        """A directory was moved: what a comparison under way holds of it is not where it was."""
        self._context = context
        self._routes = routes
        self._renames = renames
        self._deletes = deletes
        self._links = links
        self._builds = builds

    def reset(self, root_digest: bytes) -> None:
        """A new session begins; the replica was just listed."""
        self.root_digest = root_digest
        self.directory_moved = False

    def settled(self, settled: Settled) -> None:
        """Take over what the server settled."""
        context = self._context
        came: list[RelPath] = []
        deleted: list[RelPath] = []
        reported: list[Sent] = []
        for sent in settled.applied:
            if isinstance(sent.operation, Move):
                self._moved(sent, sent.operation)
            elif isinstance(sent.operation, TryFile):
                self._would_be_taken(sent.path)
            elif isinstance(sent.operation, BuildDirectory):
                self._built(sent, sent.operation)
                came += changed_paths(sent.operation)
            else:
                self._applied(sent)
                reported.append(sent)
                if isinstance(sent.operation, Delete):
                    deleted.append(sent.path)
                elif sent.operation.expected is None:
                    came.append(sent.path)
        if reported:
            context.emit(ReportApplied(reported))
        for sent, failure in settled.failed:
            self._failed(sent, failure)
        self._deletes.settled(came, deleted)
        self.root_digest = settled.root_digest
        context.direction.settled(settled.root_digest, settled.version)
        if context.replica.digest() != settled.root_digest:
            context.refetch = True

    def unsent(self, unsent: Unsent) -> None:
        """A file could not be read as planned."""
        context, transmit, problem = self._context, unsent.transmit, unsent.problem
        self._routes.settled(transmit.path)
        if problem.kind is ProblemKind.CHANGING and not context.options.at_once:
            context.rewritten(transmit.path, transmit.changed_at, problem, unsent.cost)
        else:
            context.unreadable(transmit.path, transmit.planned, problem)

    def _applied(self, sent: Sent) -> None:
        context, path, step = self._context, sent.path, sent.operation
        self._routes.applied(sent)
        context.succeeded(path)
        if isinstance(step, PutSymlink):
            self._links.applied(path)
            self._deletes.reconsider()
        if isinstance(step, Delete):
            gone = context.replica.get(path)
            if gone is not None:
                context.content.remove(gone)
            context.replica.remove(path)
        else:
            try:
                context.replica.put(path, self._record_of(sent))
            except KeyError:
                # The server says that it made something in a directory that it does not have.
                context.refetch = True
            self._note_cost(sent)
        context.direction.sent(path)
        same = context.replica.record(path) is context.source.tree.record(path)
        read_at = sent.started if isinstance(step, PutFile) else 0.0
        state = context.table.acknowledged(path, Phase.IDLE if same else Phase.DIRTY, context.now, read_at)
        state.attempts = 0
        # A file that has moved on need not be read to see that. What was noticed before it was read is acknowledged.
        state.differs = sent.is_older
        if sent.is_older:
            state.since = sent.started
        state.paced_since = sent.started if sent.is_older else None

    def _built(self, sent: Sent, step: BuildDirectory) -> None:
        """The replica has the directory, with what was sent of it; the source learns what was read."""
        context, path = self._context, step.path
        context.succeeded(path)
        assert sent.record is not None
        hashes = hashes_of(step.below, context.replica.attributes)
        try:
            context.replica.graft(path, directory_of(path, sent.record, step.below, hashes))
        except KeyError:
            # The server says that it made something in a directory that it does not have.
            context.refetch = True
        for _, record in step.below:
            if record[0] == Kind.FILE:
                context.content.count(record)
        learned = learn(context.source.tree, sent, step.below, hashes)
        if learned.records:
            context.emit(RememberRecords(learned.records))
        if learned.moved_on:
            context.emit(ReportMovedOn(learned.moved_on))
        context.emit(ReportBuilt(sent, step.below))
        # What was left out, or has changed since, is found by another comparison.
        state = context.table.acknowledged(path, Phase.DIRTY, context.now)
        state.attempts = 0

    def _note_cost(self, sent: Sent) -> None:
        """Remember what sending took of a file that may never rest: a new small one is none yet."""
        context, step = self._context, sent.operation
        if not isinstance(step, PutFile) or context.options.at_once:
            return
        large = sent.size > LIMITS.inline_file_bytes
        if large or step.expected is not None:
            # Not until the answer: with much under way that waits for others, and costs nothing.
            seconds = max(0.0, (sent.ended or context.now) - sent.started) if large else 0.0
            cost = Cost(seconds, max(0, sent.literal_bytes - sent.continued_bytes))
            context.pacing.published(sent.path, sent.size, cost, context.now)

    def _record_of(self, sent: Sent) -> Record:
        """The record of what the server made; the source learns what was read of it."""
        context, step = self._context, sent.operation
        record = sent.record
        assert record is not None
        if isinstance(step, CopyContent) and sent.choice.reason is Reason.SAME_FILE:
            # The source's file has not been read yet.
            self._note_unread(step.path)
            context.source.renames.settled(context.source.tree.record(step.path))
            return pack(step.entry, fingerprint_of(record))
        if sent.is_older and not context.options.at_once:
            return record  # the source's file is known to be another by now
        if not isinstance(step, PutFile | CopyContent):
            return record
        if context.learn(step.path, sent.transmit.planned, record):
            context.emit(RememberRecord(step.path, record))
            return record
        # Another target may have read the same before: then both trees share the record.
        known = context.source.tree.record(step.path)
        return known if known is not None and known == record else record

    def _moved(self, sent: Sent, step: Move) -> None:
        """Move what the replica has here as well."""
        context, path, source = self._context, step.path, step.source
        self._renames.applied(step)
        self._deletes.forget(source, below=step.source_expected.is_directory)
        if step.source_expected.is_directory:
            self.directory_moved = True
        else:
            self._note_unread(path)
            self._note_unread(source)
            if step.expected is not None and not step.exchange:
                context.content.remove(step.expected)
        for at in self._own_paths(sent, step):
            context.table.acknowledged(at, Phase.DIRTY, context.now).attempts = 0
        sizes: list[int] = []
        try:
            if step.exchange:
                context.replica.exchange(path, source)
            else:
                context.replica.move(source, path)
        except KeyError:
            context.refetch = True
        else:
            context.direction.moved(step)
            moved = (path, source) if step.exchange else (path,)
            sizes = [size for at in moved for size in _file_sizes(context.replica, at)]
        context.emit(ReportMoved(sent, len(sizes), sum(sizes)))

    def _failed(self, sent: Sent, failure: Failure) -> None:
        context, path = self._context, sent.path
        if isinstance(sent.operation, TryFile) and failure.outcome in _UNKNOWN:
            self._would_be_taken(path)
            return
        context.emit(ReportFailed(sent, failure))
        self._take_current(path, failure.current)
        if isinstance(sent.operation, Move):
            self._not_moved(sent, sent.operation)
            return
        if sent.choice.reason is Reason.SAME_FILE:
            self._renames.refuse(path)
        self._routes.failed(sent, failure.outcome)
        state = context.table.get(path)
        assert state is not None
        if isinstance(sent.operation, BuildDirectory):
            self._builds.failed(failure.outcome)
            state.piecewise = True
            context.table.to(path, Phase.DIRTY)
            return
        state.differs = False
        if isinstance(sent.operation, PutFile | CopyContent) and failure.outcome in _REFUSALS:
            state.asks_first = True
        prompt = failure.outcome in (Outcome.CHANGED, Outcome.MISMATCH)
        if prompt and state.attempts < PROMPT_ATTEMPTS:
            state.attempts += 1
            context.table.to(path, Phase.DIRTY)
            return
        kind = _PROBLEM_KINDS.get(failure.outcome, ProblemKind.REFUSED)
        context.fail(Problem(path, kind, failure.message), spared=PROMPT_ATTEMPTS if prompt else 0)

    def _would_be_taken(self, path: RelPath) -> None:
        """The server would take the file, or cannot tell: it is sent.

        The count of attempts stays, because it may be refused all the same, for what the content shows.
        """
        self._context.table.to(path, Phase.DIRTY).asks_first = False

    def _own_paths(self, sent: Sent, step: Move) -> list[RelPath]:
        """The paths of a move at which nothing else is under way: another move may follow to where it came from."""
        states = ((at, self._context.table.get(at)) for at in (step.path, step.source))
        return [at for at, state in states if state is None or state.transmit in (None, sent.transmit)]

    def _not_moved(self, sent: Sent, step: Move) -> None:
        """The server did not move it, for whatever reason: it gets there in another way."""
        self._renames.refuse(step.path)
        for at in self._own_paths(sent, step):
            self._context.table.to(at, Phase.DIRTY)
        # What it has at the source is not what we took it for, and only its answer for the path is known.
        self._context.refetch = True

    def _take_current(self, path: RelPath, current: Entry | None) -> None:
        """The server said what is at ``path``."""
        replica = self._context.replica
        known = replica.get(path)
        if current is None:
            replica.remove(path)
        elif current.is_directory:
            if known is None or not known.is_directory:
                self._context.refetch = True
        else:
            try:
                replica.put(path, pack(current))
            except KeyError:
                self._context.refetch = True

    def _note_unread(self, path: RelPath) -> None:
        """Note that the source's file at ``path``, which came there by its inode, has an unknown digest."""
        entry = self._context.source.tree.get(path)
        if entry is not None and entry.kind is Kind.FILE and entry.digest == UNKNOWN:
            self._context.unread.add(path)


def _file_sizes(tree: Tree, path: RelPath) -> Iterator[int]:
    """The sizes of the file at ``path``, or of all files in the directory there."""
    record = tree.record(path)
    records = [record] if tree.directory(path) is None else (below for _, below in tree.walk(path))
    yield from (unpack(below).size for below in records if below is not None and below[0] == Kind.FILE)
