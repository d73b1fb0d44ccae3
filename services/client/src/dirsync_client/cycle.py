"""One session's reconciliation: from two trees to operations, and from their results back to the trees.

The cycle owns the replica's tree as the client knows it. A path that differs is *dispatched*: sent, read first because
it may be equal, or left to :class:`~dirsync_client.removals.Removals`. While a path is on its way it is *busy* and is
not planned again; when it is settled it is compared again, so nothing that happened meanwhile is forgotten. Whatever
fails leaves the two trees different, and what differs is tried again: nothing here has to be undone.

Invariant: after each commit the replica's tree has the digest that the server named. If it has not, somebody else
changed the replica (or we have a bug), and the tree is fetched again.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import islice

from dirsync.clock import Monotonic, monotonic
from dirsync.delta.strategy import Choice, Reason, Way
from dirsync.errors import PathError
from dirsync.fs.failure import PathFailure
from dirsync.limits import LIMITS
from dirsync.tree.diff import Change, diff, diff_paths
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, fingerprint_of, pack, unpack
from dirsync.tree.guards import History
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.plan import CopyContent, Delete, Move, PutFile, needs_digest, operation
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync.wire.results import Failure, Outcome
from dirsync_client.accounting import Accounting
from dirsync_client.hasher import Hashed, Hasher
from dirsync_client.moves import Moves
from dirsync_client.outbox import Outbox
from dirsync_client.removals import Removals, removal
from dirsync_client.router import Router
from dirsync_client.schedule import Schedule
from dirsync_client.source import Source
from dirsync_client.ticket import Basis, Settled, Ticket, Unsent

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
        self.replica = replica
        self.problems: dict[RelPath, Problem] = {}
        """What the server, or reading for it, could not do; what the source could not show is the source's."""
        self._source = source
        self._outbox = outbox
        self._hasher = hasher
        self._router = router
        self._moves = moves
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
        self._bulk_stale = False
        """A directory was moved: what the comparison holds of it is not where it was any more."""
        self._bulk_since = 0.0
        self._again: set[RelPath] = set()
        self._moved: set[RelPath] = set()
        """Files that were moved at the replica by what their inode says, and have not been read since."""
        self._after: dict[RelPath, set[RelPath]] = {}
        """Paths that are not touched while another one is busy, because that one gets what they have now."""
        self._differs: set[RelPath] = set()
        """Large files that were seen to differ from what the replica has, though nobody knows their digest."""
        self._refetch = False
        self._root_digest = replica.digest()

    @property
    def pending(self) -> int:
        """Paths that are known to differ."""
        return len(self._busy) + len(self._removals) + len(self.problems) + len(self._again)

    @property
    def working(self) -> bool:
        """Whether something is under way that needs no further cause to go on."""
        return bool(self._busy or self._again or self._bulk is not None or self._refetch or self._moves)

    @property
    def impatient(self) -> bool:
        """Whether :meth:`advance` has something to do at once."""
        if self._again or (self._refetch and not self._busy):
            return True
        if self._bulk is None or self._refetch or self._moves.under_way:
            return False
        return self._outbox.room > 0 and self._hashing < MAX_HASHING

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
        self._move_directories(since)
        self._dispatch_all(list(diff_paths(self.replica, self._source.tree, paths, self._source.problems)), since)
        self._move_directories(since)

    def advance(self) -> None:
        """Go on with what is under way, for a short while."""
        if self._refetch and not self._busy:
            self._refetch = False
            self.replica = self._fetch(self.replica, self._root_digest)
            self._router.contents.clear()
            self.compare_all()
        if self._again and not self._refetch:
            again, self._again = self._again, set()
            self.compare(sorted(again), self._now())
        if not self._refetch:
            self._move_directories(self._now())
        if self._bulk is not None and not self._refetch and not self._moves.under_way:
            self._advance_bulk()
        if self._moves.waiting and not (self._busy or self._again or self._bulk is not None or self._refetch):
            # Nothing that they could wait for is under way.
            self._moves.give_up()
            self._again |= self._moves.dropped()

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
        if self._moves or (at_once and (self._hashing or self._again)):
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

    def rest(self) -> None:
        """Nothing is to be done: do what the next change should not have to wait for."""
        self._router.get_ready(self.replica)

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
        self._free(path)
        self._again |= self._router.dropped(unsent.ticket)
        self._unreadable(unsent.problem)

    def hashed(self, hashed: Hashed) -> None:
        """A file was read that may be what the replica has."""
        self._hashing -= 1
        self._free(hashed.path)
        if isinstance(hashed.result, Problem):
            self._unreadable(hashed.result)
            return
        self._again.add(hashed.path)
        if hashed.result is None:
            self._differs.add(hashed.path)
            return
        self._source.sent(hashed.path, hashed.planned, hashed.result)
        self._note_unchanged(hashed.path)

    def _only_kept(self) -> bool:
        return all(change.new is None for change in diff(self.replica, self._source.tree, self._source.problems))

    def _advance_bulk(self) -> None:
        if self._bulk_stale:
            self.compare_all()
        assert self._bulk is not None
        count = min(BULK_STEPS, self._outbox.room, MAX_HASHING - self._hashing)
        changes = list(islice(self._bulk, max(0, count)))
        if len(changes) < count:
            self._bulk = None
        self._dispatch_all(changes, self._bulk_since)

    def _move_directories(self, since: float) -> None:
        if not (self._source.whereabouts.moved or self._moves):
            return
        for step in self._moves.directories(self.replica, self._busy):
            self._send(Ticket(step, None, since, Choice(Way.RENAME, Reason.SAME_FILE)))
        self._again |= self._moves.dropped()

    def _dispatch_all(self, changes: Iterable[Change], since: float) -> None:
        """Dispatch changes, parents first: what is made from the content of another path before that is replaced."""
        first: list[Change] = []
        later: list[Change] = []
        replaced: set[RelPath] = set()
        renames = False
        for change in changes:
            path, old, new = change
            apart = bool(replaced) and any(above in replaced for above in ancestors(path))
            adds = new is not None and new.is_directory and old is None
            renamed = not adds and self._source.former(path) is not None
            renames |= renamed
            if not apart and (adds or renamed):
                first.append(change)
                continue
            later.append(change)
            if new is not None and new.is_directory:
                replaced.add(path)
        # Names that go round in a circle need each other's content: it must not be replaced before all have said so.
        with self._outbox.gathering() if renames else nullcontext():
            for change in first:
                self._dispatch(change, since)
        for change in later:
            self._dispatch(change, since)

    def _dispatch(self, change: Change, since: float) -> None:
        path = change.path
        if path in self._busy or self._moves.covers(path) or self._has_to_wait(path):
            return
        if change.new is not None and change.new.kind is Kind.FILE:
            self._dispatch_file(change, change.new, since)
        else:
            self._dispatch_step(change, since)

    def _has_to_wait(self, path: RelPath) -> bool:
        """Whether what the replica has at ``path`` is still needed where it went; it is compared again after that.

        Not so if the server was told to take it: it does that when it is told, not when it is committed.
        """
        went_to = self._source.whereabouts.went_to(path)
        if went_to is None or went_to not in self._busy:
            return False
        ticket, there = self._busy[went_to], self.replica.get(path)
        step = None if ticket is None else ticket.operation
        if there is None or (isinstance(step, CopyContent) and step.entry.digest == there.digest):
            return False
        self._after.setdefault(went_to, set()).add(path)
        return True

    def _free(self, path: RelPath) -> None:
        """Nothing is on its way to or from ``path`` any more."""
        self._busy.pop(path, None)
        self._again |= self._after.pop(path, set())

    def _dispatch_file(self, change: Change, new: Entry, since: float) -> None:
        path = change.path
        move = self._moves.file(self.replica, path, self._busy)
        if move is not None and not self._apart(path):
            way = Way.RENAME if isinstance(move, Move) else Way.DEDUP
            self._send(Ticket(move, self._source.tree.record(path), since, Choice(way, Reason.SAME_FILE)))
            return
        if path in self._differs:
            self._differs.discard(path)
        elif self._router.reads_first(path, change.old, new, self.replica) or needs_digest(change):
            if not self._read_first(path, change.old, new):
                return
            change = Change(path, self.replica.get(path), self._source.tree.get(path))
        self._dispatch_step(change, since)

    def _dispatch_step(self, change: Change, since: float) -> None:
        path = change.path
        step = operation(change)
        if removal(step, foreign=self._removals.foreign) or self._apart(path):
            self._remove_later(path, step.expected)
            return
        ticket = Ticket(step, self._source.tree.record(path), since)
        if isinstance(step, PutFile):
            # The path is not planned again while it waits for another file: that one settles first.
            self._busy[path] = ticket
            if not self._router.send(ticket, self.replica, self._leaving, self._origin(path)):
                del self._busy[path]
            elif isinstance(ticket.operation, Move):
                self._busy[ticket.operation.source] = ticket
        else:
            self._send(ticket)

    def _leaving(self, digest: bytes) -> RelPath | None:
        """A file of the replica with this content that is about to be removed, and may be moved instead."""
        if not self._moves.allowed:
            return None
        for path in self._removals.paths:
            entry = self.replica.get(path)
            known = entry is not None and entry.kind is Kind.FILE and entry.digest == digest
            if known and path not in self._source.tree and path not in self._busy and not self._moves.covers(path):
                return path
        return None

    def _origin(self, path: RelPath) -> Basis | None:
        """What the file at ``path`` was when it was elsewhere, if the replica still has that content."""
        found = self._source.former(path)
        if found is None or not self._router.contents.has(found.digest):
            return None
        return Basis(found.digest, found.size)

    def _read_first(self, path: RelPath, old: Entry | None, new: Entry) -> bool:
        """Find the digest of a file that may be known; false if that goes on beside us, or failed, or it is equal."""
        if new.size > LIMITS.inline_file_bytes:
            self._busy[path] = None
            self._hashing += 1
            planned = self._source.tree.record(path)
            if old is not None and path not in self._moved and self._router.only_here(old, new):
                self._router.compare(path, planned, old)
            else:
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
            if path in self._moved:
                self._accounting.proved(source.size)
            else:
                self._accounting.unchanged(source.size)
        self._moved.discard(path)

    def _same(self, path: RelPath) -> bool:
        """Whether both sides have the same at ``path``, which is no directory."""
        source, replica = self._source.tree.get(path), self.replica.get(path)
        if source is None or replica is None or source.digest == UNKNOWN:
            return source is replica
        normalize = self.replica.attributes.normalize
        return normalize(source) == normalize(replica)

    def _apart(self, path: RelPath) -> bool:
        """Whether something above ``path`` has to be replaced first, and that waits for approval."""
        return self._removals.foreign and any(above in self._removals.paths for above in ancestors(path))

    def _remove_later(self, path: RelPath, expected: Entry | None) -> None:
        if self._deletes:
            self._removals.add(path)
            return
        if self._source.tree.record(path) is not None and expected is not None:
            message = "DELETE=never keeps the directory that this would replace: remove it at the replica"
            self._problem(Problem(path, ProblemKind.REFUSED, message))

    def _send(self, ticket: Ticket) -> None:
        self._busy[ticket.path] = ticket
        if isinstance(ticket.operation, Move):
            self._busy[ticket.operation.source] = ticket
        self._outbox.add(ticket)

    def _applied(self, ticket: Ticket) -> None:
        path, step = ticket.path, ticket.operation
        self._free(path)
        self._attempts.pop(path, None)
        self.problems.pop(path, None)
        self._schedule.solved(path)
        self._differs.discard(path)
        self._again |= self._router.applied(ticket)
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
            self._again.add(path)

    def _made(self, ticket: Ticket) -> Record:
        """The record of what the server made; the source's learns what was read of it."""
        step, record = ticket.operation, ticket.sent or ticket.planned
        assert record is not None
        if isinstance(step, CopyContent) and ticket.choice.reason is Reason.SAME_FILE:
            # Nobody has read the source's file yet.
            self._moved.add(step.path)
            self._source.whereabouts.settled(self._source.tree.record(step.path))
            return pack(step.entry, fingerprint_of(record))
        if isinstance(step, PutFile | CopyContent):
            self._source.sent(step.path, ticket.planned, record)
        return record

    def _follow(self, step: Move) -> tuple[int, int]:
        """Move what the replica has here as well; gives how many files that were, and their bytes."""
        path, source = step.path, step.source
        self._free(source)
        self._moves.done(step, applied=True)
        self._removals.forget(source, below=step.source_expected.is_directory)
        self._again.update((path, source))
        if step.source_expected.is_directory:
            self._bulk_stale = self._bulk is not None
        else:
            self._moved.update(at for at in (path, source) if self._is_unread(at))
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
        self._free(path)
        self._accounting.failed(ticket, failure)
        self._know(path, failure.current)
        if isinstance(ticket.operation, Move):
            self._not_moved(ticket.operation)
            return
        if ticket.choice.reason is Reason.SAME_FILE:
            self._moves.refuse(path)
        mismatch = failure.outcome is Outcome.MISMATCH
        self._again |= self._router.refused(ticket) if mismatch else self._router.dropped(ticket)
        attempts = self._attempts[path] = self._attempts.get(path, 0) + 1
        if failure.outcome in (Outcome.CHANGED, Outcome.MISMATCH) and attempts <= PROMPT_ATTEMPTS:
            self._again.add(path)
            return
        kind = _PROBLEM_KINDS.get(failure.outcome, ProblemKind.REFUSED)
        self._problem(Problem(path, kind, failure.message))

    def _not_moved(self, step: Move) -> None:
        """The server did not move it, for whatever reason: it gets there in another way."""
        self._free(step.source)
        self._moves.done(step, applied=False)
        self._again.update((step.path, step.source))
        # What it has at the source is not what we took it for, and only its answer for the path is known.
        self._refetch = True

    def _is_unread(self, path: RelPath) -> bool:
        """Whether the source has a file at ``path`` of which nobody knows the digest."""
        entry = self._source.tree.get(path)
        return entry is not None and entry.kind is Kind.FILE and entry.digest == UNKNOWN

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


def _file_sizes(tree: Tree, path: RelPath) -> Iterator[int]:
    """The sizes of the file at ``path``, or of all files in the directory there."""
    record = tree.record(path)
    records = [record] if tree.directory(path) is None else (below for _, below in tree.walk(path))
    yield from (unpack(below).size for below in records if below is not None and below[0] == Kind.FILE)
