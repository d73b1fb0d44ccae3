"""The client's decisions as the reconciler makes them, with its commands carried out piece by piece in one thread."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.entry import unpack
from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Move, PutFile
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync.wire.push.messages import decode_push
from dirsync.wire.push.results import Committed
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    Adopt,
    CheckSource,
    Command,
    CompareFile,
    DropEstimate,
    EstimateSimilarity,
    HashFile,
    ListReplica,
    LookAt,
    ProbeFile,
    ProbeSource,
    RememberRecord,
    RememberRecords,
    RequestCommit,
    Transmit,
    WakeAt,
)
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import (
    Connected,
    Disconnected,
    Event,
    FileHashed,
    HoldApproved,
    ReplicaListed,
    Settled,
    SourceChanged,
    SourceScanned,
    Tick,
)
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.session.listing import fetch
from dirsync_client.source_executor import SourceExecutor
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.delta.planner import DeltaPlanner
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from dirsync_client.transfer.hasher import hash_file
from dirsync_client.transfer.send_queue import Outgoing, SendQueue
from dirsync_client.transfer.sender import Sender, SenderOptions
from dirsync_client.transfer.uploads.memory import UploadMemory
from dirsync_client.transfer.uploads.resumption import Resumption
from tests.characterise.histories import BLOCK_SIZE, Shape, Work
from tests.characterise.play import Clock, NoEnd, choice_name
from tests.support.inside.fake_server import FakeServer

_DELETE_SETTLE = 0.5
_TURNS = 10_000
"""Calls after which a reconciler is said to run in a circle."""


class Reconciled:
    """One session."""

    def __init__(self, source: Path, state: Path, server: FakeServer, shape: Shape, clock: Clock) -> None:
        self.choices: Counter[str] = Counter()
        self.hashed_bytes = 0
        self._server = server
        self._clock = clock
        self._events: list[Event] = []
        self._wake_at: float | None = None
        self._reads: deque[HashFile] = deque()
        self._jobs: deque[Callable[[], None]] = deque()
        self._answers: deque[Committed] = deque()
        self._source = Source(
            Root.open(source), Index(None, state / "index", read_only=True), SourceOptions(b".dirsyncignore")
        )
        for _ in self._source.scan():
            pass
        root = self._source.root
        self._digester = Digester(root)
        self._source_executor = SourceExecutor(self._source, self._source)
        policy = GuardPolicy(100, shape.max_delete_count)
        options = Options(deletes=shape.deletes, delete_settle=_DELETE_SETTLE, policy=policy)
        self.reconciler = Reconciler(self._source, options)
        self._remembered = RememberedSignatures(state / "signatures", NoMetrics(catalogue=CLIENT_CATALOGUE))
        self._offered = shape.offered
        self._adopted = False
        self._open()

    def _open(self) -> None:
        """Begin a session."""
        source, server = self._source, self._server
        self._queue = SendQueue(lambda: 0.0)
        self._known = AssumedContent(self.reconciler.has_content)
        sending = SenderOptions(self._offered, Compressor("none", frozenset()), BLOCK_SIZE, Resumption(UploadMemory()))
        self._sender = Sender(source.root, self._queue, self._known, sending, self._events.append, self._clock)
        self._planner = DeltaPlanner(source.root, self._remembered, server.checksums, BLOCK_SIZE, lambda: False)
        replica = fetch(source.tree.copy(), server.tree.digest(), server.list, dict(source.renames.moved))
        root = source.identity if self._adopted else None
        self._events.append(Connected(replica, self._offered, self._adopted, root, approvals=frozenset()))

    def _close(self) -> None:
        """End the session; what was not settled is unknown."""
        self._sender.close()
        self._planner.close()

    def cut(self, paths: Sequence[RelPath] = ()) -> None:
        """Lose the connection, look at some paths meanwhile, and connect again."""
        self._close()
        self._server.disconnect()
        for waiting in (self._reads, self._jobs, self._answers):
            waiting.clear()
        self._events[:] = [event for event in self._events if isinstance(event, SourceChanged | SourceScanned)]
        self._events.append(Disconnected())
        self.decide()
        if paths:
            self.notice(paths)
            self.decide()
        self._open()
        self.decide()

    @property
    def state(self) -> tuple[bool, int, int]:
        """Whether both sides are equal, and how much is held or has a problem."""
        view = self.reconciler.view
        return view.in_sync, len(view.hold.operations) if view.hold else 0, len(view.problems)

    @property
    def source_tree(self) -> Tree:
        """The source, as the client sees it."""
        return self._source.tree

    def notice(self, paths: Sequence[RelPath]) -> None:
        """Look at paths, and at all below those that are directories.

        A watch hints every directory below one that was renamed: changes in it may have been told of under a name that
        it no longer has.
        """
        changed = self._source.look(paths)
        directories = [path for path in paths if self._source.tree.directory(path) is not None]
        changed += [path for step in self._source.scan(directories) for path in step]
        self._events.append(SourceChanged(changed, self._clock.now, retried=paths))

    def look_everywhere(self) -> None:
        """Look at everything."""
        changed = [path for step in self._source.scan() for path in step]
        self._events += [SourceChanged(changed, retried=changed), SourceScanned(both_sides=True)]

    def available(self) -> list[Work]:
        """What work is there."""
        queue = self._queue
        sends = queue._small or queue._large or queue._open_files
        commits = (queue._uncommitted or queue._rescan) and not queue._commits
        there = {
            Work.READ: self._reads,
            Work.COMPARE: self._jobs,
            Work.SEND: sends or commits,
            Work.ANSWER: self._answers,
        }
        return [work for work, is_there in there.items() if is_there]

    def perform(self, work: Work) -> None:
        """Do a piece of it."""
        match work:
            case Work.READ:
                self._hash(self._reads.popleft())
            case Work.COMPARE:
                self._jobs.popleft()()
            case Work.SEND:
                self._send()
            case _:
                self._take(self._answers.popleft())

    def decide(self) -> None:
        """Have the reconciler take what happened, and do what it says."""
        for _ in range(_TURNS):
            due = self._wake_at is not None and self._wake_at <= self._clock.now
            if not self._events and not due:
                return
            events: list[Event] = self._events[:] or [Tick()]
            self._events.clear()
            commands = self.reconciler.handle(events, self._clock.now)
            for event in events:
                if isinstance(event, Settled):
                    self._taken_over(event)
            self.execute(commands)
        raise NoEnd("the reconciler runs in a circle")

    def wakeup(self) -> float | None:
        """When something is due."""
        return None if self._wake_at is None else self._wake_at - self._clock.now

    def approve(self) -> bool:
        """Release what is held."""
        hold = self.reconciler.view.hold
        if hold is None:
            return False
        self._events.append(HoldApproved(hold.id))
        self.decide()
        return True

    def close(self) -> None:
        """Let go of everything."""
        self._close()
        self._source.close()

    def execute(self, commands: list[Command]) -> None:
        """Do what the reconciler says."""
        outgoing: list[Outgoing] = []
        self._wake_at = None
        for command in commands:
            match command:
                case Transmit(choice=choice):
                    delta = self._planner.take(command.path) if choice.strategy is Strategy.DELTA else None
                    outgoing.append(Outgoing(command, delta))
                case EstimateSimilarity() | CompareFile():
                    self._plan(command)
                case RequestCommit():
                    self._queue.rescan()
                case HashFile(size=size) if size > LIMITS.inline_file_bytes:
                    self._reads.append(command)
                case RememberRecord() | RememberRecords():
                    self._source_executor.remember(command.records)
                case HashFile() | ProbeFile() | LookAt() | ProbeSource() | CheckSource() | AcceptMounts():
                    self._note(self._source_executor.execute(command))
                case DropEstimate():
                    self._planner.take(command.path)
                case ListReplica(known=known, root_digest=digest):
                    self._events.append(ReplicaListed(fetch(known.copy(), digest, self._server.list)))
                case WakeAt(time=time):
                    self._wake_at = time
                case Adopt():
                    self._adopted = True
                case _:
                    pass
        self._queue.add(outgoing)

    def _note(self, event: Event | None) -> None:
        if event is None:
            return
        self._events.append(event)
        if isinstance(event, FileHashed) and isinstance(event.result, bytes):
            self.hashed_bytes += unpack(event.result).size

    def _hash(self, command: HashFile) -> None:
        self._source.root.forget_all()
        self._note(FileHashed(command.path, command.planned, hash_file(self._digester, command.path)))

    def _plan(self, command: EstimateSimilarity | CompareFile) -> None:
        def work() -> None:
            if isinstance(command, EstimateSimilarity):
                self._events.append(self._planner.estimate(command))
                return
            differs = self._planner.compare(command)
            if differs is not None:
                self._events.append(differs)
            else:
                self._reads.append(HashFile(command.path, command.planned, command.basis.size))

        self._jobs.append(work)

    def _send(self) -> None:
        work = self._queue.poll()
        assert work is not None
        for raw in self._sender.messages(work):
            answer = self._server.receive(decode_push(raw))
            if answer is not None:
                self._answers.append(answer)

    def _take(self, answer: Committed) -> None:
        settled = self._sender.in_flight.settle(answer)
        if answer.requested:
            self._queue.committed()
        for sent in settled.applied:
            if isinstance(sent.operation, PutFile | CopyContent | Move):
                self.choices[choice_name(sent.choice)] += 1
        self._events.append(settled)

    def _taken_over(self, settled: Settled) -> None:
        self._known.release((*settled.applied, *(sent for sent, _ in settled.failed)))
        for sent in settled.applied:
            if sent.signature is not None and sent.record is not None:
                self._planner.remember(sent.content_digest, sent.signature)
