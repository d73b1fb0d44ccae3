"""A sync that changes nothing: the reconciler decides as for a real one, and the executor only counts.

What a sync has to read before it knows what to do is read here too. What would be sent is named instead, and then
counts as done.

What only the server can tell is left open: a delta whose basis has no remembered signature, and what quotas or full
disks may refuse.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dirsync.clock import monotonic
from dirsync.delta.blocks import BlockRange, span
from dirsync.delta.pieces import Piece
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure, TooLarge
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.stable import StableFile
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.entry import UNKNOWN, Kind, Record, fingerprint_of, pack, size_of, unpack
from dirsync.tree.guards.hold import Hold
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.plan import CopyContent, Delete, Move, Operation, PutFile, SetMetadata
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Choice, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    CheckSource,
    Command,
    CompareFile,
    EstimateSimilarity,
    HashFile,
    ListReplica,
    LookAt,
    ProbeFile,
    ProbeSource,
    RequestCommit,
    Sent,
    Transmit,
    WakeAt,
)
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Connected, Event, FileHashed, ReplicaListed, Settled, Tick, Unsent
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.report.transfer_metrics import METADATA
from dirsync_client.source_executor import SourceExecutor
from dirsync_client.state import StateView
from dirsync_client.targets.source_view import SourceSide
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.delta.encoder import Delta
from dirsync_client.transfer.delta.planner import DeltaPlanner
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from dirsync_client.transfer.hasher import hash_file
from dirsync_client.transfer.reader import read_content
from dirsync_client.transfer.send_queue import Outgoing, SendAction, SendQueue, Work
from dirsync_client.transfer.small_files import decide_small_file

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


class DryRun:
    """One sync of a source into a replica, without a server. It uses no thread: the same trees give the same steps."""

    def __init__(
        self, side: SourceSide, replica: Tree, state: StateView, replica_id: str, options: Options, block_size: int
    ) -> None:
        """``replica`` becomes the source's equal; the source's files are not touched, nor is anything of ``state``."""
        source = self._source = side.source
        self._there = replica.copy()
        """What the replica holds after what counts as done."""
        self._reconciler = Reconciler(side.view, options)
        self._source_executor = SourceExecutor(source, side.view)
        self._queue = SendQueue(lambda: 0.0)
        self._known = AssumedContent(self._reconciler.has_content)
        metrics = NoMetrics(catalogue=CLIENT_CATALOGUE)
        remembered = RememberedSignatures(state.signatures, metrics, read_only=True)
        self._planner = DeltaPlanner(source.root, remembered, None, block_size, lambda: False)
        self._digester = Digester(source.root)
        self._sizes = Counter(_large_sizes(source.tree))
        self._open: deque[Outgoing] = deque()
        self._sent: list[tuple[Sent, bool]] = []
        pairing = state.pairing(replica_id)
        approvals = frozenset(state.approvals())
        self._connected = Connected(replica, OFFERED, pairing.adopted, pairing.identity, approvals, pairing.entries)

    @property
    def hold(self) -> Hold | None:
        """What a guard would hold, once all steps are made."""
        return self._reconciler.view.hold

    @property
    def problems(self) -> list[Problem]:
        """What could not be read."""
        return list(self._reconciler.view.problems.values())

    def steps(self) -> Iterator[Step]:
        """What would be done, in the order in which it would be done."""
        events: Sequence[Event] = (self._connected,)
        while True:
            now = monotonic()
            events, wakes = self._execute(self._reconciler.handle(events, now), now)
            if events:
                continue
            if wakes:
                events = (Tick(),)
                continue
            work = self._queue.poll()
            if work is None:
                return
            if work.action is SendAction.COMMIT:
                applied, settled = self._commit()
                yield from applied
                events = (settled,)
            else:
                events = self._perform(work)

    def close(self) -> None:
        """Let go of the source."""
        self._planner.close()

    def _execute(self, commands: Iterable[Command], now: float) -> tuple[list[Event], bool]:
        """What is known at once, and whether the reconciler wants to go on at once."""
        events: list[Event | None] = []
        outgoing: list[Outgoing] = []
        wakes = False
        for command in commands:
            match command:
                case Transmit(choice=choice):
                    delta = self._planner.take(command.path) if choice.strategy is Strategy.DELTA else None
                    outgoing.append(Outgoing(command, delta))
                case HashFile() | ProbeFile() | LookAt() | ProbeSource() | CheckSource() | AcceptMounts():
                    events.append(self._source_executor.execute(command))
                case CompareFile(path=path, planned=planned):
                    differing = self._planner.compare(command)
                    events.append(differing or FileHashed(path, planned, hash_file(self._digester, path)))
                case EstimateSimilarity():
                    events.append(self._planner.estimate(command))
                case ListReplica():
                    events.append(ReplicaListed(self._there.copy()))
                case RequestCommit():  # what was listed is all that is known of the replica
                    events.append(Settled([], [], self._there.digest(), rescanned=True))
                case WakeAt(time=time):
                    wakes = time <= now
                case _:
                    pass  # nothing is remembered, counted or logged
        self._queue.add(outgoing)
        return [event for event in events if event is not None], wakes

    # The part of the sender, and of the server behind it.

    def _perform(self, work: Work) -> list[Event]:
        results = map(self._small, work.batch) if work.action is SendAction.BATCH else (self._frame(),)
        return [unsent for unsent in results if unsent is not None]

    def _small(self, outgoing: Outgoing) -> Unsent | None:
        transmit = outgoing.transmit
        if not isinstance(transmit.operation, PutFile):
            self._send(Sent(transmit, transmit.operation, transmit.choice, transmit.planned))
            return None
        try:
            content = read_content(self._source.root, transmit.path)
        except TooLarge:
            self._queue.requeue_as_large(outgoing)
            return None
        except DirsyncError as error:
            return _unsent(transmit, error)
        small = decide_small_file(transmit, content, self._known, 0.0, dedups=True)
        self._send(small.sent._replace(operation=small.operation))
        return None

    def _frame(self) -> Unsent | None:
        """Begin a large file, or else end one: it counts where it ends, and small ones overtake it."""
        begun = self._queue.take_large() if len(self._open) < LIMITS.max_open_files else None
        if begun is not None:
            self._open.append(begun)
            return None
        self._queue.closed_file()
        transmit, delta = self._open.popleft()
        literal, record = transmit.size, transmit.planned
        try:
            if delta is not None:
                literal = self._literal_bytes(transmit, delta)
            if _is_unread(transmit):
                record = self._read(transmit)
        except PathFailure as failure:
            return _unsent(transmit, failure)
        undecided = transmit.choice.strategy is Strategy.DELTA and delta is None
        sent = Sent(transmit, transmit.operation, transmit.choice, record, literal_bytes=literal)
        self._send(sent, exact=not undecided)
        return None

    def _read(self, transmit: Transmit) -> Record | None:
        """The record of a large file that is sent. It is read only where another one may be equal.

        Any other gets a digest that no file has: nobody asks for it, but what was sent has to equal its source.
        """
        if self._sizes[transmit.size] > 1:
            digest, status, looked_at_ns = self._digester.digest(transmit.path)
            return file_record(status, looked_at_ns, digest)
        planned = transmit.planned
        assert planned is not None
        digest = hashlib.sha256(b"content of " + transmit.path).digest()
        return pack(unpack(planned)._replace(digest=digest), fingerprint_of(planned))

    def _literal_bytes(self, transmit: Transmit, delta: Delta) -> int:
        """Bytes of the file that its delta does not copy; runs of zeros count as they do when they are sent."""
        size = copied = 0
        with StableFile(self._source.root, transmit.path) as file:
            for frame in file.frames(LIMITS.frame_bytes):
                size += len(frame)
                copied += _copied(delta.encoder.feed(frame), delta)
            return size - copied - _copied(delta.encoder.finish(), delta)

    def _send(self, sent: Sent, *, exact: bool = True) -> None:
        self._queue.sent(1, 0)
        self._sent.append((sent, exact))

    def _commit(self) -> tuple[list[Step], Settled]:
        everything, self._sent = self._sent, []
        steps: list[Step] = []
        applied: list[Sent] = []
        failed: list[tuple[Sent, Failure]] = []
        for sent, exact in everything:
            try:
                _apply(self._there, sent)
            except KeyError:
                # It comes before what it needs. A server says so, and then it is planned again.
                current = self._there.get(sent.path)
                failed.append((sent, Failure(0, Outcome.CHANGED, current, "CHANGED", "it comes too early")))
            else:
                applied.append(sent)
                steps.append(Step(sent.operation, _choice(sent), sent.literal_bytes, exact))
        self._queue.committed()
        self._known.release(sent for sent, _ in everything)
        return steps, Settled(applied, failed, self._there.digest())


def _unsent(transmit: Transmit, error: DirsyncError) -> Unsent:
    kind = getattr(error, "kind", ProblemKind.CHANGING)
    return Unsent(transmit, Problem(transmit.path, kind, str(error)))


def _choice(sent: Sent) -> Choice | None:
    match sent.operation:
        case PutFile() | CopyContent() | Move():
            return sent.choice
        case SetMetadata():
            return METADATA
        case _:
            return None


def _apply(tree: Tree, sent: Sent) -> None:
    match sent.operation:
        case Delete(path=path):
            tree.remove(path)
        case Move(path=path, source=source, exchange=True):
            tree.exchange(path, source)
        case Move(path=path, source=source):
            tree.move(source, path)
        case CopyContent(path=path, entry=entry):
            tree.put(path, pack(entry))
        case operation:
            assert sent.record is not None
            tree.put(operation.path, sent.record)


def _copied(pieces: Iterable[Piece], delta: Delta) -> int:
    copies = (piece for piece in pieces if isinstance(piece, BlockRange))
    return sum(span(*copy, delta.block_size, delta.basis.size)[1] for copy in copies)


def _is_unread(transmit: Transmit) -> bool:
    return isinstance(transmit.operation, PutFile) and transmit.operation.entry.digest == UNKNOWN


def _large_sizes(tree: Tree) -> Iterator[int]:
    """The sizes of the files that travel in frames: two of one size may be equal."""
    for _, record in tree.walk():
        if record[0] == Kind.FILE and (size := size_of(record)) > LIMITS.inline_file_bytes:
            yield size
