"""A sync that changes nothing: every decision is the engine's own, only the push stream and the server are played.

Source and replica are looked at as for a sync, and what a sync has to read before it knows what to do is read here too.
What would be sent is named instead, and then counts as done.

What the server alone could tell is left open: a file that a delta may be made for, and of whose basis nobody remembers
what its blocks are, and whatever quotas or full disks may refuse.
"""

import queue
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.clock import monotonic
from dirsync.delta.blocks import BlockRange, span
from dirsync.delta.pieces import Piece
from dirsync.endpoint.source import Source
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure, TooLarge
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.stable import StableFile
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.entry import UNKNOWN, Kind, pack, unpack
from dirsync.tree.guards import GuardPolicy, History, Hold
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.plan import CopyContent, Delete, Move, Operation, PutFile, SetMetadata
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Choice, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.cycle import Cycle
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Basis, Delta, Settled, Ticket, Unsent
from dirsync_client.report.transfer_metrics import METADATA, Accounting
from dirsync_client.state import StateView
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hashed, Hasher
from dirsync_client.transfer.inline import resolve
from dirsync_client.transfer.reader import read_content
from dirsync_client.transfer.send_queue import MAX_UNSETTLED, Outbox, Turn, Work
from dirsync_client.transfer.signature_store import RememberedSignatures

OFFERED = frozenset(Strategy)
"""A server of our own version offers them all."""


class Step(NamedTuple):
    """What a sync would do at one path."""

    operation: Operation
    choice: Choice | None
    """How content travels; ``None`` where there is none."""
    literal: int
    """Bytes of content that would be sent, before compression."""
    exact: bool = True
    """Otherwise it is a delta, ``literal`` is the most that may be sent, and the server knows more."""


class _Preparer(Preparer):
    """Counts what it has been given, so that somebody can wait for it."""

    due = 0

    def add(self, ticket: Ticket, basis: Basis) -> None:
        """Send this file, as a delta from ``basis`` if that pays."""
        self.due += 1
        super().add(ticket, basis)


class Rehearsal:
    """One sync of a source into a replica, with nobody at the other end."""

    def __init__(
        self,
        source: Source,
        replica: Tree,
        state: StateView,
        replica_id: str,
        *,
        block_size: int,
        deletes: bool,
        policy: GuardPolicy,
    ) -> None:
        """``replica`` becomes the source's equal; the source's files are not touched, nor is anything of ``state``."""
        now, metrics = monotonic(), NoMetrics(catalogue=CLIENT_CATALOGUE)
        self._source = source
        self._there = replica.copy()
        """What the replica holds after what counts as done."""
        self._sizes = Counter(_large_sizes(source.tree))
        self._hashed: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
        self._prepared: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        self._open: deque[Ticket] = deque()
        self._sent: list[Ticket] = []
        self._outbox = Outbox()
        self._contents = Contents()
        self._hasher = Hasher(source.root, self._hashed.put)
        remembered = RememberedSignatures(state.signatures, metrics, read_only=True)
        self._preparer = _Preparer(
            source.root, remembered, None, self._prepared.put, self._hasher, self._hashed.put, block_size
        )
        history = History(now, len(replica), policy.window_seconds)
        self._removals = Removals(source, replica, state, replica_id, policy, history, metrics)
        self._cycle = Cycle(
            source,
            replica,
            self._outbox,
            self._hasher,
            Router(self._outbox, self._preparer, self._contents, source.glance, OFFERED),
            Moves(source, lambda: not self._removals.foreign, leaves=deletes),
            self._removals,
            history,
            Schedule(0, 0, LIMITS.retry_max_seconds),
            Accounting(metrics),
            lambda _known, _digest: self._there.copy(),
            deletes=deletes,
        )

    @property
    def hold(self) -> Hold | None:
        """What a guard would hold, once all steps are made."""
        return self._removals.hold

    @property
    def problems(self) -> list[Problem]:
        """What could not be read."""
        return list((self._cycle.problems | self._source.problems).values())

    def steps(self) -> Iterator[Step]:
        """What would be done, in the order in which it would be done: the same each time."""
        cycle, outbox, preparer = self._cycle, self._outbox, self._preparer
        cycle.compare_all()
        while True:
            cycle.advance()
            if cycle.impatient:
                continue
            if cycle.reading:
                cycle.hashed(self._hashed.get())
                continue
            cycle.remove(at_once=True)
            if outbox.room < MAX_UNSETTLED:
                yield from self._perform(outbox.take())
            elif preparer.due:
                preparer.due -= 1
                outbox.add(self._prepared.get())
            else:
                assert not cycle.working
                return

    def close(self) -> None:
        """Let go of the source."""
        self._hasher.close()
        self._preparer.close()

    # The part of the push stream, and of the server behind it.

    def _perform(self, work: Work) -> Iterator[Step]:
        match work.turn:
            case Turn.BATCH:
                for ticket in work.tickets:
                    self._small(ticket)
            case Turn.FRAME:
                self._frame()
            case Turn.COMMIT:
                yield from self._commit()
            case Turn.STOP:
                raise AssertionError(work)

    def _small(self, ticket: Ticket) -> None:
        ticket.sent = ticket.planned
        if isinstance(ticket.operation, PutFile):
            try:
                resolve(ticket, read_content(self._source.root, ticket.path), self._contents, dedups=True)
            except TooLarge:
                self._outbox.grown(ticket)
                return
            except DirsyncError as error:
                self._unsent(ticket, error)
                return
        self._send(ticket)

    def _frame(self) -> None:
        """Begin a large file, or else end one: it counts where it ends, and small ones overtake it."""
        begun = self._outbox.take_large() if len(self._open) < LIMITS.max_open_files else None
        if begun is not None:
            self._open.append(begun)
            return
        self._outbox.closed_file()
        ticket = self._open.popleft()
        ticket.sent, ticket.literal_bytes = ticket.planned, ticket.size
        try:
            if ticket.delta is not None:
                ticket.literal_bytes = self._literal(ticket, ticket.delta)
            if self._sizes[ticket.size] > 1 and _is_unread(ticket):
                digest, status, looked_at_ns = Digester(self._source.root).digest(ticket.path)
                ticket.sent = file_record(status, looked_at_ns, digest)
        except PathFailure as failure:
            self._unsent(ticket, failure)
        else:
            self._send(ticket)

    def _literal(self, ticket: Ticket, delta: Delta) -> int:
        """Bytes of the file that its delta does not copy; runs of zeros count as they do when they are sent."""
        size = copied = 0
        with StableFile(self._source.root, ticket.path) as file:
            for frame in file.frames(LIMITS.frame_bytes):
                size += len(frame)
                copied += _copied(delta.differ.feed(frame), delta)
            return size - copied - _copied(delta.differ.finish(), delta)

    def _send(self, ticket: Ticket) -> None:
        self._outbox.sent(1, 0)
        self._sent.append(ticket)

    def _unsent(self, ticket: Ticket, error: DirsyncError) -> None:
        kind = getattr(error, "kind", ProblemKind.CHANGING)
        self._outbox.settled(1, requested=False)
        self._cycle.unsent(Unsent(ticket, Problem(ticket.path, kind, str(error))))

    def _commit(self) -> Iterator[Step]:
        sent, self._sent = self._sent, []
        applied: list[Ticket] = []
        failed: list[tuple[Ticket, Failure]] = []
        for ticket in sent:
            try:
                _apply(self._there, ticket)
            except KeyError:
                # It comes before what it needs. A server says so, and then it is planned again.
                current = self._there.get(ticket.path)
                failed.append((ticket, Failure(0, Outcome.CHANGED, current, "CHANGED", "it comes too early")))
            else:
                applied.append(ticket)
        yield from map(_step, applied)
        self._outbox.settled(len(sent), requested=True)
        self._cycle.settled(Settled(applied, failed, self._there.digest(), len(self._there), rescanned=False))


def _choice(ticket: Ticket) -> Choice | None:
    match ticket.operation:
        case PutFile() | CopyContent() | Move():
            return ticket.choice
        case SetMetadata():
            return METADATA
        case _:
            return None


def _step(ticket: Ticket) -> Step:
    undecided = ticket.choice.strategy is Strategy.DELTA and ticket.delta is None
    return Step(ticket.operation, _choice(ticket), ticket.literal_bytes, exact=not undecided)


def _apply(tree: Tree, ticket: Ticket) -> None:
    match ticket.operation:
        case Delete(path=path):
            tree.remove(path)
        case Move(path=path, source=source, exchange=True):
            tree.exchange(path, source)
        case Move(path=path, source=source):
            tree.move(source, path)
        case CopyContent(path=path, entry=entry):
            tree.put(path, pack(entry))
        case operation:
            assert ticket.sent is not None
            tree.put(operation.path, ticket.sent)


def _copied(pieces: Iterable[Piece], delta: Delta) -> int:
    copies = (piece for piece in pieces if isinstance(piece, BlockRange))
    return sum(span(*copy, delta.block_size, delta.basis.size)[1] for copy in copies)


def _is_unread(ticket: Ticket) -> bool:
    return isinstance(ticket.operation, PutFile) and ticket.operation.entry.digest == UNKNOWN


def _large_sizes(tree: Tree) -> Iterator[int]:
    """The sizes of the files that travel in frames: two of one size may be equal."""
    for _, record in tree.walk():
        if record[0] == Kind.FILE and (size := unpack(record).size) > LIMITS.inline_file_bytes:
            yield size
