"""The client's decisions as one cycle makes them, with its threads' work done piece by piece."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from dirsync.endpoint.source import Source, SourceOptions
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.entry import unpack
from dirsync.tree.guards import GuardPolicy, History
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Move, PutFile
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync.wire.push.messages import decode_push
from dirsync.wire.push.results import Committed
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.cycle import Cycle
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Settled, Unsent
from dirsync_client.report.transfer_metrics import Accounting
from dirsync_client.session.listing import fetch
from dirsync_client.state import StateView
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hashed, Hasher
from dirsync_client.transfer.signature_store import RememberedSignatures
from dirsync_client.transfer.stream import Compressor, PushStream
from tests.characterise.histories import BLOCK_SIZE, Shape, Work
from tests.characterise.play import Clock, choice_name
from tests.support.fake_server import FakeServer

if TYPE_CHECKING:
    from dirsync_client.mailbox import Post

_DELETE_SETTLE = 0.5
_NEVER = 1e9
_TURNS = 8


class CountingSource(Source):
    """Counts what is read of it only for its digest."""

    hashed_bytes = 0

    def read(self, path: RelPath) -> None:
        """Find the digest of a file."""
        super().read(path)
        entry = self.tree.get(path)
        self.hashed_bytes += 0 if entry is None else entry.size


class _Hasher(Hasher):
    """Without its thread."""

    hashed_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._queue.empty()

    def step(self) -> Hashed:
        """Do the next thing."""
        job = self._queue.get_nowait()
        assert job is not None
        path, planned = job
        self._root.forget_all()
        result = self._read(path)
        if isinstance(result, bytes):
            self.hashed_bytes += unpack(result).size
        return Hashed(path, planned, result)

    def close(self) -> None:
        """Let go of everything."""
        self._root.close()


class _Preparer(Preparer):
    """Without its thread."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._queue.empty()

    def step(self) -> None:
        """Do the next thing."""
        job = self._queue.get_nowait()
        assert job is not None
        job()

    def close(self) -> None:
        """Let go of everything."""
        self._root.close()


class _Call:
    """A call that nobody waits for."""

    def open(self, _method: str, _requests: object) -> "_Call":
        """Open nothing."""
        return self

    def add_callback(self, _callback: object) -> None:
        """Nobody is called."""


class _Stream(PushStream):
    """Without its threads: what it would send is given to the server piece by piece."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        outbox = self.outbox
        sends = bool(outbox._small or outbox._large or outbox._open_files)
        return not sends and not ((outbox._uncommitted or outbox._rescan) and not outbox._commits)

    def step(self, server: FakeServer, answers: deque[Committed]) -> None:
        """Do the next thing."""
        work = self.outbox.take()
        for raw in self._perform(work):
            answer = server.receive(decode_push(raw))
            if answer is not None:
                answers.append(answer)

    def take(self, answer: Committed) -> None:
        """Take an answer of the server."""
        self._settle(answer)

    def close(self) -> None:
        """Let go of everything."""
        while self._transfers:
            self._transfers.popleft().file.close()
        self._root.close()


@contextmanager
def _no_threads() -> Iterator[None]:
    """While this lasts, threads that are started do not start."""
    with patch.object(Thread, "start", lambda _self: None):
        yield


class Present:
    """One session."""

    def __init__(self, source: Path, state: Path, server: FakeServer, shape: Shape, clock: Clock) -> None:
        self.choices: Counter[str] = Counter()
        self._server = server
        self._clock = clock
        self._posts: list[Post] = []
        self._answers: deque[Committed] = deque()
        metrics = NoMetrics(catalogue=CLIENT_CATALOGUE)
        view = StateView(state)
        index = Index(None, state / "index", read_only=True)
        self._source = CountingSource(Root.open(source), index, SourceOptions(b".dirsyncignore"))
        for _ in self._source.scan():
            pass
        root = self._source.root
        replica = fetch(self._source.tree, server.tree.digest(), server.list, self._source.renames.moved)
        offered = shape.offered
        self._history = History(clock.now, len(replica))
        policy = GuardPolicy(100, shape.max_delete_count)
        self._removals = Removals(self._source, replica, view, "replica", policy, self._history, metrics)
        contents = Contents()
        post = self._posts.append
        with _no_threads():
            self._hasher = _Hasher(root, post)
            self._stream = _Stream(
                cast("Any", _Call()),
                bytes(16),
                root,
                contents,
                offered,
                Compressor("none", frozenset()),
                TokenBucket(0),
                BLOCK_SIZE,
                cast("Any", post),
                lambda _direction, _size: None,
            )
            self._preparer = _Preparer(
                root,
                RememberedSignatures(view.signatures, metrics),
                server.checksums,
                self._stream.outbox.add,
                self._hasher,
                post,
                BLOCK_SIZE,
            )
        self._schedule = Schedule(0.05, _DELETE_SETTLE, _NEVER)
        self._schedule.rescan_started()
        self._schedule.rescan_finished(clock.now, 0)
        renames = Strategy.RENAME in shape.offered
        self._cycle = Cycle(
            self._source,
            replica,
            self._stream.outbox,
            self._hasher,
            Router(self._stream.outbox, self._preparer, contents, self._source.glance, offered),
            Moves(self._source, lambda: renames and not self._removals.foreign, leaves=shape.deletes),
            self._removals,
            self._history,
            self._schedule,
            Accounting(metrics, clock),
            lambda known, digest: fetch(known, digest, server.list),
            deletes=shape.deletes,
            now=clock,
        )
        self._cycle.compare_all()

    @property
    def hashed_bytes(self) -> int:
        """Bytes that were read only to know their digest."""
        return self._source.hashed_bytes + self._hasher.hashed_bytes

    @property
    def state(self) -> tuple[bool, int, int]:
        """As the protocol says."""
        hold = self._removals.hold
        problems = self._cycle.problems | self._source.problems
        return self._cycle.equal, len(hold.operations) if hold else 0, len(problems)

    @property
    def source_tree(self) -> Tree:
        """The source, as the client sees it."""
        return self._source.tree

    def notice(self, paths: Sequence[RelPath]) -> None:
        """Look at paths."""
        self._compare([*self._source.look(paths), *(path for path in paths if self._cycle.forget_problem(path))])

    def look_everywhere(self) -> None:
        """Look at everything."""
        self._compare([path for step in self._source.scan() for path in step])
        self._removals.stale = bool(self._removals)
        self._stream.outbox.rescan()

    def available(self) -> list[Work]:
        """What work is there."""
        idle = {
            Work.READ: self._hasher.idle,
            Work.COMPARE: self._preparer.idle,
            Work.SEND: self._stream.idle,
            Work.ANSWER: not self._answers,
        }
        return [work for work, is_idle in idle.items() if not is_idle]

    def perform(self, work: Work) -> None:
        """Do a piece of it."""
        match work:
            case Work.READ:
                self._posts.append(self._hasher.step())
            case Work.COMPARE:
                self._preparer.step()
            case Work.SEND:
                self._stream.step(self._server, self._answers)
            case _:
                self._stream.take(self._answers.popleft())

    def decide(self) -> None:
        """One turn of the engine."""
        posts = self._posts[:]
        self._posts.clear()
        for each in posts:
            match each:
                case Settled():
                    self._count(each)
                    self._cycle.settled(each)
                case Unsent():
                    self._cycle.unsent(each)
                case Hashed():
                    self._cycle.hashed(each)
                case _:
                    raise AssertionError(each)
        due = self._schedule.due(self._clock.now)
        if due:
            self.notice(due.paths)
        self._cycle.advance()
        for _ in range(_TURNS):
            # It is impatient too while it can only wait for answers before it fetches the replica's tree again.
            if not self._cycle.impatient:
                break
            self._cycle.advance()
        self._cycle.remove(at_once=False)
        if not self._busy:
            if self._cycle.equal:
                self._removals.settled()
            self._cycle.rest()

    def wakeup(self) -> float | None:
        """When something is due."""
        wait = self._schedule.next_wakeup(self._clock.now)
        return wait if wait is not None and wait < _NEVER / 2 else None

    def approve(self) -> bool:
        """Release what is held."""
        hold = self._removals.hold
        if hold is None:
            return False
        released = self._removals.approve(hold.id)
        self.decide()
        return released > 0

    def close(self) -> None:
        """Let go of everything."""
        self._stream.close()
        self._hasher.close()
        self._preparer.close()
        self._source.close()

    @property
    def _busy(self) -> bool:
        settling = self._removals.stale and bool(self._removals)
        return self._cycle.working or settling or self._stream.outbox.rescanning or bool(self._posts)

    def _compare(self, changed: list[RelPath]) -> None:
        if changed:
            self._cycle.compare(changed, self._clock.now)

    def _count(self, settled: Settled) -> None:
        for ticket in settled.applied:
            if isinstance(ticket.operation, PutFile | CopyContent | Move):
                self.choices[choice_name(ticket.choice)] += 1
