"""One session's reconciliation: from two trees to operations, and from their results back to the trees.

The cycle owns the replica's tree as the client knows it. A path that differs is *dispatched*: sent, read first because
it may be equal, or left to :class:`~dirsync_client.removals.Removals`. While a path is on its way it is *busy* and is
not planned again; when it is settled it is compared again, so nothing that happened meanwhile is forgotten. Whatever
fails leaves the two trees different, and what differs is tried again: nothing here has to be undone.

Invariant: after each commit the replica's tree has the digest that the server named. If it has not, somebody else
changed the replica (or we have a bug), and the tree is fetched again.
"""

from collections.abc import Callable, Iterable, Iterator

from dirsync.clock import Monotonic, monotonic
from dirsync.errors import PathError
from dirsync.fs.failure import PathFailure
from dirsync.limits import LIMITS
from dirsync.tree.diff import Change, diff, diff_paths
from dirsync.tree.entry import UNKNOWN, Entry, pack
from dirsync.tree.guards import History
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.plan import Delete, PutFile, needs_digest, operation
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync.wire.results import Failure, Outcome
from dirsync_client.accounting import Accounting
from dirsync_client.hasher import Hashed, Hasher
from dirsync_client.outbox import Outbox
from dirsync_client.removals import Removals, removal
from dirsync_client.schedule import Schedule
from dirsync_client.source import Source
from dirsync_client.ticket import Settled, Ticket, Unsent

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
        self.replica = replica
        self.problems: dict[RelPath, Problem] = {}
        """What the server, or reading for it, could not do; what the source could not show is the source's."""
        self._source = source
        self._outbox = outbox
        self._hasher = hasher
        self._removals = removals
        self._history = history
        self._schedule = schedule
        self._accounting = accounting
        self._fetch = fetch
        self._deletes = deletes
        self._now = now
        self._busy: dict[RelPath, Ticket | None] = {}
        self._hashing = 0
        self._attempts: dict[RelPath, int] = {}
        self._bulk: Iterator[Change] | None = None
        self._bulk_since = 0.0
        self._again: set[RelPath] = set()
        self._refetch = False
        self._root_digest = replica.digest()

    @property
    def pending(self) -> int:
        """Paths that are known to differ."""
        return len(self._busy) + len(self._removals) + len(self.problems) + len(self._again)

    @property
    def working(self) -> bool:
        """Whether something is under way that needs no further cause to go on."""
        return bool(self._busy or self._again or self._bulk is not None or self._refetch)

    @property
    def impatient(self) -> bool:
        """Whether :meth:`advance` has something to do at once."""
        if self._again or (self._refetch and not self._busy):
            return True
        return self._bulk is not None and not self._refetch and self._outbox.room > 0 and self._hashing < MAX_HASHING

    @property
    def equal(self) -> bool:
        """Whether both trees are equal, but for what DELETE=never keeps."""
        if self.working or self._source.problems or self.problems:
            return False
        return self.replica.digest() == self._source.tree.digest() or (not self._deletes and self._only_kept())

    def compare_all(self) -> None:
        """Compare the trees from their roots."""
        self._bulk = diff(self.replica, self._source.tree, self._source.problems)
        self._bulk_since = self._now()

    def compare(self, paths: Iterable[RelPath], since: float) -> None:
        """Compare these paths and what is below them."""
        for change in list(diff_paths(self.replica, self._source.tree, paths, self._source.problems)):
            self._dispatch(change, since)

    def advance(self) -> None:
        """Go on with what is under way, for a short while."""
        if self._refetch and not self._busy:
            self._refetch = False
            self.replica = self._fetch(self.replica, self._root_digest)
            self.compare_all()
        if self._again and not self._refetch:
            again, self._again = self._again, set()
            self.compare(sorted(again), self._now())
        if self._bulk is not None and not self._refetch:
            self._advance_bulk()

    def remove(self, *, at_once: bool) -> None:
        """Have the removals judged if they have settled; ``at_once`` does not wait for that."""
        if not self._removals.paths or self._bulk is not None or self._refetch:
            return
        if not self._removals.stale:
            return
        now = self._now()
        self._schedule.deletes_pending(now, len(self._removals))
        if not (at_once or self._schedule.deletes_ready(now)):
            return
        for step in self._removals.judge(self.replica, self._busy, now):
            self._send(Ticket(step, self._source.tree.record(step.path), now))
        self._schedule.deletes_pending(now, 0)

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
        self._history.acknowledged(self._now(), len(self.replica), deletes)
        self._root_digest = settled.root_digest
        if self.replica.digest() != settled.root_digest:
            self._refetch = True

    def unsent(self, unsent: Unsent) -> None:
        """A file could not be read as planned: look at it again."""
        path = unsent.ticket.path
        self._busy.pop(path, None)
        self._unreadable(unsent.problem)

    def hashed(self, hashed: Hashed) -> None:
        """A file was read that may be what the replica has."""
        self._hashing -= 1
        self._busy.pop(hashed.path, None)
        if isinstance(hashed.result, Problem):
            self._unreadable(hashed.result)
            return
        self._source.sent(hashed.path, hashed.planned, hashed.result)
        self._note_unchanged(hashed.path)
        self._again.add(hashed.path)

    def _only_kept(self) -> bool:
        return all(change.new is None for change in diff(self.replica, self._source.tree, self._source.problems))

    def _advance_bulk(self) -> None:
        assert self._bulk is not None
        for _ in range(min(BULK_STEPS, self._outbox.room)):
            if self._hashing >= MAX_HASHING:
                return
            change = next(self._bulk, None)
            if change is None:
                self._bulk = None
                return
            self._dispatch(change, self._bulk_since)

    def _dispatch(self, change: Change, since: float) -> None:
        path = change.path
        if path in self._busy:
            return
        if needs_digest(change):
            if not self._read_first(change):
                return
            change = Change(path, self.replica.get(path), self._source.tree.get(path))
        step = operation(change)
        foreign = self._removals.foreign
        if removal(step, foreign=foreign) or (foreign and self._apart(path)):
            self._remove_later(path, step.expected)
        else:
            self._send(Ticket(step, self._source.tree.record(path), since))

    def _read_first(self, change: Change) -> bool:
        """Find the digest of a file that may be equal; false if that goes on beside us, or failed."""
        path = change.path
        planned = self._source.tree.record(path)
        assert change.new is not None
        if change.new.size > LIMITS.inline_file_bytes:
            self._busy[path] = None
            self._hashing += 1
            self._hasher.add(path, planned)
            return False
        try:
            self._source.read(path)
        except PathFailure as failure:
            self._unreadable(failure.problem())
            return False
        except PathError as error:
            self._unreadable(Problem(path, ProblemKind.UNREADABLE, str(error)))
            return False
        self._note_unchanged(path)
        return not self._same(path)

    def _note_unchanged(self, path: RelPath) -> None:
        """Count a file that was read and turned out to be what the replica has."""
        source, replica = self._source.tree.get(path), self.replica.get(path)
        if source is not None and replica is not None and source.digest == replica.digest:
            self._accounting.unchanged(source.size)

    def _same(self, path: RelPath) -> bool:
        """Whether both sides have the same at ``path``, which is no directory."""
        source, replica = self._source.tree.get(path), self.replica.get(path)
        if source is None or replica is None or source.digest == UNKNOWN:
            return source is replica
        normalize = self.replica.attributes.normalize
        return normalize(source) == normalize(replica)

    def _apart(self, path: RelPath) -> bool:
        """Whether something above ``path`` has to be replaced first, and that waits for approval."""
        return any(above in self._removals.paths for above in ancestors(path))

    def _remove_later(self, path: RelPath, expected: Entry | None) -> None:
        if self._deletes:
            self._removals.add(path)
            return
        if self._source.tree.record(path) is not None and expected is not None:
            message = "DELETE=never keeps the directory that this would replace: remove it at the replica"
            self._problem(Problem(path, ProblemKind.REFUSED, message))

    def _send(self, ticket: Ticket) -> None:
        self._busy[ticket.path] = ticket
        self._outbox.add(ticket)

    def _applied(self, ticket: Ticket) -> None:
        path, step = ticket.path, ticket.operation
        self._busy.pop(path, None)
        self._attempts.pop(path, None)
        self.problems.pop(path, None)
        self._schedule.solved(path)
        if isinstance(step, Delete):
            self.replica.remove(path)
        else:
            record = ticket.sent or ticket.planned
            assert record is not None
            if isinstance(step, PutFile):
                self._source.sent(path, ticket.planned, record)
            try:
                self.replica.put(path, record)
            except KeyError:
                # The server says that it made something in a directory that it does not have.
                self._refetch = True
        self._accounting.applied(ticket)
        if self.replica.record(path) is not self._source.tree.record(path):
            self._again.add(path)

    def _failed(self, ticket: Ticket, failure: Failure) -> None:
        path = ticket.path
        self._busy.pop(path, None)
        self._accounting.failed(ticket, failure)
        self._know(path, failure.current)
        attempts = self._attempts[path] = self._attempts.get(path, 0) + 1
        if failure.outcome in (Outcome.CHANGED, Outcome.MISMATCH) and attempts <= PROMPT_ATTEMPTS:
            self._again.add(path)
            return
        kind = _PROBLEM_KINDS.get(failure.outcome, ProblemKind.REFUSED)
        self._problem(Problem(path, kind, failure.message))

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
            self._again.update((problem.path, *self._source.look((problem.path,))))
            return
        self._source.look((problem.path,))
        self._problem(problem)

    def _problem(self, problem: Problem) -> None:
        self.problems[problem.path] = problem
        self._schedule.retry(problem.path, self._now())
