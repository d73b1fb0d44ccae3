"""One session's reconciliation: from two trees to operations, and from their results back to the trees.

The cycle compares, hands what differs to its :mod:`~dirsync_client.reconcile.dispatch`, and takes over what the
server did into the replica's tree as the client knows it. Whatever fails leaves the two trees different, and what
differs is tried again: nothing here has to be undone.

Invariant: after each commit the replica's tree has the digest that the server named. If it has not, somebody else
changed the replica (or we have a bug), and the tree is fetched again.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.source import Source
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.tree.diff import Change, diff, diff_paths
from dirsync.tree.entry import Entry, Kind, Record, fingerprint_of, pack, unpack
from dirsync.tree.guards import History
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Delete, Move, PutFile
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Reason
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.dispatch import Dispatcher
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Settled, Ticket, Unsent
from dirsync_client.report.transfer_metrics import Accounting
from dirsync_client.transfer.hasher import Hashed, Hasher
from dirsync_client.transfer.send_queue import Outbox

MAX_HASHING = 256
"""Files that wait to be read by the hasher; planning pauses above that."""
BULK_STEPS = 512
"""Changes of a whole comparison that are dispatched before hints have a turn."""
PROMPT_ATTEMPTS = 3
"""How often a path that changed under us is tried again at once, before it has to wait."""

_PROBLEM_KINDS = {
    Outcome.STORAGE: ProblemKind.STORAGE,
    Outcome.REFUSED: ProblemKind.REFUSED,
    Outcome.LIMIT: ProblemKind.LIMIT,
    Outcome.UNSUPPORTED: ProblemKind.UNSUPPORTED,
}

Fetch = Callable[[Tree, bytes], Tree]
"""Fetches the replica's tree, given one that is similar, and the replica's root digest."""


class Cycle:
    """The engine's thread only."""

    def __init__(  # the parts that the engine joins
        self,
        source: Source,
        replica: Tree,
        outbox: Outbox,
        hasher: Hasher,
        router: Router,
        moves: Moves,
        removals: Removals,
        history: History,
        schedule: Schedule,
        accounting: Accounting,
        fetch: Fetch,
        *,
        deletes: bool,
        now: Monotonic = monotonic,
    ) -> None:
        """``deletes``: what left the source is removed at the replica."""
        self.problems: dict[RelPath, Problem] = {}
        """What the server, or reading for it, could not do; what the source could not show is the source's."""
        self._source = source
        self._outbox = outbox
        self._router = router
        self._moves = moves
        self._removals = removals
        self._history = history
        self._schedule = schedule
        self._accounting = accounting
        self._fetch = fetch
        self._deletes = deletes
        self._now = now
        self._dispatcher = Dispatcher(
            source,
            replica,
            outbox,
            hasher,
            router,
            moves,
            removals,
            accounting,
            self._unreadable,
            self._problem,
            deletes=deletes,
        )
        self._attempts: dict[RelPath, int] = {}
        self._bulk: Iterator[Change] | None = None
        self._bulk_stale = False
        """A directory was moved: what the comparison holds of it is not where it was any more."""
        self._bulk_since = 0.0
        self._refetch = False
        self._root_digest = replica.digest()

    @property
    def replica(self) -> Tree:
        """The replica's tree as the client knows it."""
        return self._dispatcher.replica

    @property
    def pending(self) -> int:
        """Paths that are known to differ."""
        return len(self._dispatcher.busy) + len(self._removals) + len(self.problems) + len(self._dispatcher.again)

    @property
    def working(self) -> bool:
        """Whether something is under way that needs no further cause to go on."""
        return self._going_on or bool(self._moves)

    @property
    def _going_on(self) -> bool:
        """Whether something is sent, read or compared."""
        dispatcher = self._dispatcher
        return bool(dispatcher.busy or dispatcher.again or self._bulk is not None or self._refetch)

    @property
    def reading(self) -> bool:
        """Whether files are being read beside us, because they may be what the replica has."""
        return self._dispatcher.hashing > 0

    @property
    def impatient(self) -> bool:
        """Whether :meth:`advance` has something to do at once."""
        if self._dispatcher.again or (self._refetch and not self._dispatcher.busy):
            return True
        if self._bulk is None or self._refetch or self._moves.under_way:
            return False
        return self._outbox.room > 0 and self._dispatcher.hashing < MAX_HASHING

    @property
    def equal(self) -> bool:
        """Whether both trees are equal, but for what DELETE=never keeps."""
        if self.working or self._source.problems or self.problems:
            return False
        return self.replica.digest() == self._source.tree.digest() or (not self._deletes and self._only_kept())

    def compare_all(self) -> None:
        """Compare the trees from their roots."""
        self._bulk = diff(self.replica, self._source.tree, self._source.problems)
        self._bulk_stale = False
        self._bulk_since = self._now()

    def compare(self, paths: Iterable[RelPath], since: float) -> None:
        """Compare these paths and what is below them."""
        self._dispatcher.move_directories(since)
        self._dispatcher.all(list(diff_paths(self.replica, self._source.tree, paths, self._source.problems)), since)
        self._dispatcher.move_directories(since)

    def advance(self) -> None:
        """Go on with what is under way, for a short while."""
        if self._refetch and not self._dispatcher.busy:
            self._refetch = False
            self._dispatcher.replica = self._fetch(self.replica, self._root_digest)
            self._router.contents.clear()
            self.compare_all()
        if self._dispatcher.again and not self._refetch:
            again, self._dispatcher.again = self._dispatcher.again, set()
            self.compare(sorted(again), self._now())
        if not self._refetch:
            self._dispatcher.move_directories(self._now())
        if self._bulk is not None and not self._refetch and not self._moves.under_way:
            self._advance_bulk()
        if self._moves.waiting and not self._going_on:
            # Nothing that they could wait for is under way.
            self._moves.give_up()
            self._dispatcher.again |= self._moves.dropped()

    def remove(self, *, at_once: bool) -> None:
        """Have the removals judged if they have settled; ``at_once`` does not wait for that.

        What is removed may be what something else is made from, so moves go first, and at the end of a sync also what
        has to be read before anybody knows.
        """
        if not self._removals.paths:
            self._schedule.deletes_pending(self._now(), 0)
            return
        if self._bulk is not None or self._refetch:
            return
        if self._moves or (at_once and self._going_on):
            return
        if not self._removals.stale:
            return
        now = self._now()
        self._schedule.deletes_pending(now, len(self._removals))
        if not (at_once or self._schedule.deletes_ready(now)):
            return
        for step in self._removals.judge(self.replica, self._dispatcher.busy, now):
            self._dispatcher.send(Ticket(step, self._source.tree.record(step.path), now))
        self._schedule.deletes_pending(now, 0)

    def rest(self) -> None:
        """Nothing is to be done: do what the next change should not have to wait for."""
        self._router.get_ready(self._dispatcher.replica)

    def forget_problem(self, path: RelPath) -> bool:
        """Try this path again; whether it had a problem."""
        return self.problems.pop(path, None) is not None

    def settled(self, settled: Settled) -> None:
        """Take over what the server did."""
        deletes = 0
        for ticket in settled.applied:
            self._applied(ticket)
            deletes += isinstance(ticket.operation, Delete)
        self._accounting.tell()
        for ticket, failure in settled.failed:
            self._failed(ticket, failure)
        self._history.acknowledged(self._now(), len(self._dispatcher.replica), deletes)
        self._root_digest = settled.root_digest
        if self.replica.digest() != settled.root_digest:
            self._refetch = True

    def unsent(self, unsent: Unsent) -> None:
        """A file could not be read as planned: look at it again."""
        path = unsent.ticket.path
        self._dispatcher.free(path)
        self._dispatcher.again |= self._router.dropped(unsent.ticket)
        self._unreadable(unsent.problem)

    def hashed(self, hashed: Hashed) -> None:
        """A file was read that may be what the replica has."""
        self._dispatcher.was_read(hashed.path)
        if isinstance(hashed.result, Problem):
            self._unreadable(hashed.result)
            return
        self._dispatcher.again.add(hashed.path)
        if hashed.result is None:
            self._dispatcher.differs(hashed.path)
            return
        self._source.sent(hashed.path, hashed.planned, hashed.result)
        self._dispatcher.note_unchanged(hashed.path)

    def _only_kept(self) -> bool:
        return all(change.new is None for change in diff(self.replica, self._source.tree, self._source.problems))

    def _advance_bulk(self) -> None:
        if self._bulk_stale:
            self.compare_all()
        assert self._bulk is not None
        count = min(BULK_STEPS, self._outbox.room, MAX_HASHING - self._dispatcher.hashing)
        changes = list(islice(self._bulk, max(0, count)))
        if len(changes) < count:
            self._bulk = None
        self._dispatcher.all(changes, self._bulk_since)

    def _applied(self, ticket: Ticket) -> None:
        path, step = ticket.path, ticket.operation
        self._dispatcher.free(path)
        self._attempts.pop(path, None)
        self.problems.pop(path, None)
        self._schedule.solved(path)
        self._dispatcher.settled(path)
        self._dispatcher.again |= self._router.applied(ticket)
        if isinstance(step, Move):
            self._accounting.moved(ticket, *self._follow(step))
            return
        if isinstance(step, Delete):
            gone = self.replica.get(path)
            if gone is not None:
                self._router.contents.remove(gone)
            self.replica.remove(path)
        else:
            record = self._made(ticket)
            try:
                self.replica.put(path, record)
            except KeyError:
                # The server says that it made something in a directory that it does not have.
                self._refetch = True
        self._accounting.applied(ticket)
        if self.replica.record(path) is not self._source.tree.record(path):
            self._dispatcher.again.add(path)

    def _made(self, ticket: Ticket) -> Record:
        """The record of what the server made; the source's learns what was read of it."""
        step, record = ticket.operation, ticket.sent or ticket.planned
        assert record is not None
        if isinstance(step, CopyContent) and ticket.choice.reason is Reason.SAME_FILE:
            # Nobody has read the source's file yet.
            self._dispatcher.unread((step.path,))
            self._source.renames.settled(self._source.tree.record(step.path))
            return pack(step.entry, fingerprint_of(record))
        if isinstance(step, PutFile | CopyContent):
            self._source.sent(step.path, ticket.planned, record)
        return record

    def _follow(self, step: Move) -> tuple[int, int]:
        """Move what the replica has here as well; gives how many files that were, and their bytes."""
        path, source = step.path, step.source
        self._dispatcher.free(source)
        self._moves.done(step, applied=True)
        self._removals.forget(source, below=step.source_expected.is_directory)
        self._dispatcher.again.update((path, source))
        if step.source_expected.is_directory:
            self._bulk_stale = self._bulk is not None
        else:
            self._dispatcher.unread((path, source))
            if step.expected is not None and not step.exchange:
                self._router.contents.remove(step.expected)
        try:
            if step.exchange:
                self.replica.exchange(path, source)
            else:
                self.replica.move(source, path)
        except KeyError:
            self._refetch = True
            return 0, 0
        moved = [path, source] if step.exchange else [path]
        sizes = [size for at in moved for size in _file_sizes(self.replica, at)]
        return len(sizes), sum(sizes)

    def _failed(self, ticket: Ticket, failure: Failure) -> None:
        path = ticket.path
        self._dispatcher.free(path)
        self._accounting.failed(ticket, failure)
        self._know(path, failure.current)
        if isinstance(ticket.operation, Move):
            self._not_moved(ticket.operation)
            return
        if ticket.choice.reason is Reason.SAME_FILE:
            self._moves.refuse(path)
        mismatch = failure.outcome is Outcome.MISMATCH
        self._dispatcher.again |= self._router.refused(ticket) if mismatch else self._router.dropped(ticket)
        attempts = self._attempts[path] = self._attempts.get(path, 0) + 1
        if failure.outcome in (Outcome.CHANGED, Outcome.MISMATCH) and attempts <= PROMPT_ATTEMPTS:
            self._dispatcher.again.add(path)
            return
        kind = _PROBLEM_KINDS.get(failure.outcome, ProblemKind.REFUSED)
        self._problem(Problem(path, kind, failure.message))

    def _not_moved(self, step: Move) -> None:
        """The server did not move it, for whatever reason: it gets there in another way."""
        self._dispatcher.free(step.source)
        self._moves.done(step, applied=False)
        self._dispatcher.again.update((step.path, step.source))
        # What it has at the source is not what we took it for, and only its answer for the path is known.
        self._refetch = True

    def _know(self, path: RelPath, current: Entry | None) -> None:
        """The server said what is at ``path``."""
        known = self.replica.get(path)
        if current is None:
            self.replica.remove(path)
        elif current.is_directory and not (known and known.is_directory):
            self._refetch = True
        elif not current.is_directory:
            try:
                self.replica.put(path, pack(current))
            except KeyError:
                self._refetch = True

    def _unreadable(self, problem: Problem) -> None:
        """A file of the source could not be read: it is looked at again, later if it is there still."""
        if problem.kind is ProblemKind.VANISHED:
            # Also where the look finds nothing new: what was found while the path was busy has not been compared yet.
            self._dispatcher.again.update((problem.path, *self._source.look((problem.path,))))
            return
        self._source.look((problem.path,))
        self._problem(problem)

    def _problem(self, problem: Problem) -> None:
        self.problems[problem.path] = problem
        self._schedule.retry(problem.path, self._now())


def _file_sizes(tree: Tree, path: RelPath) -> Iterator[int]:
    """The sizes of the file at ``path``, or of all files in the directory there."""
    record = tree.record(path)
    records = [record] if tree.directory(path) is None else (below for _, below in tree.walk(path))
    yield from (unpack(below).size for below in records if below is not None and below[0] == Kind.FILE)
