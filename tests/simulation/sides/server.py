"""The server's half of a world: the real write API over a replica on a disk in memory, and its deaths."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.errors import DirsyncError
from dirsync.fs.root import Root
from dirsync.fs.write.durable import Fsync
from dirsync.fs.write.staging import Staging
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.plan import Delete
from dirsync.wire.push.messages import Batch, Open, PushMessage, decode_push
from dirsync.wire.push.results import Committed, decode_committed
from dirsync.wire.session import OpenRequest, decode_opened, encode_open
from dirsync_server.call import Call
from dirsync_server.services.write_api import WriteApi
from dirsync_server.sessions import Sessions
from tests.simulation.invariants import Violation
from tests.simulation.machine.disk import Disk
from tests.simulation.machine.fakeos import FakeOs
from tests.simulation.machine.memory_index import MemoryIndex, Store
from tests.simulation.machine.patching import turn
from tests.simulation.machine.process import Crashed, Hook
from tests.simulation.scheduler import Scheduler
from tests.simulation.sides.transport import Network, ServerCall, Stream

if TYPE_CHECKING:
    from dirsync.fs.index.index import Index
    from dirsync_server.ingest.handler import IngestHandler
    from dirsync_server.services.watch import ReplicaWatch

ROOT: Final = b"/data/replica"
UNLIMITED: Final = Quota(1 << 40, 1 << 50, 1 << 30, 0)
RETRY_SECONDS: Final = 3.0

Acknowledged = Callable[[], None]


class Server:
    """A server that can be killed at any call of the kernel, and comes back."""

    def __init__(self, scheduler: Scheduler, network: Network, disk: Disk, random: Random, fsync: Fsync) -> None:
        self.disk = disk
        self.store = Store()
        self.replica: Replica | None = None
        self.process: FakeOs | None = None
        self.acknowledging: Acknowledged = lambda: None
        """Called when a commit is about to be answered."""
        self.deleted: Callable[[int], None] = lambda _count: None
        """Told how many deletes were applied."""
        self.newest = b""
        """The session that was opened last."""
        self.pushes: set[_Push] = set()
        """Push streams of this life that are open."""
        self.watches: dict[_Watch, None] = {}
        """Streams of reports of this life that are open."""
        self.hook: Hook | None = None
        """Told of each of its calls of the kernel."""
        self._scheduler = scheduler
        self._network = network
        self._random = random
        self._policy = ReplicaPolicy(UNLIMITED, fsync)
        self._api: WriteApi | None = None
        self._metrics = NoMetrics()
        network.accept = self._accept

    @property
    def is_up(self) -> bool:
        """Whether it serves."""
        return self._api is not None

    def start(self) -> None:
        """Start, or try again later if the disk does not let us."""
        if self.process is not None:
            return
        process = self.process = FakeOs(self.disk, self._random)
        process.hook = self.hook
        try:
            with turn(process):
                self._open()
        except Crashed:
            return
        except (DirsyncError, OSError) as error:
            self._scheduler.note(f"server cannot start: {error}")
            self.die(power=False)

    def _open(self) -> None:
        root = Root.open(ROOT)
        root.lock()
        index = cast("Index", MemoryIndex(self.store))
        replica = Replica("default", root, Staging.open(root), index, self._policy)
        replica.scan()
        self.replica = replica
        self._api = WriteApi(Sessions(4), self._metrics)
        self._scheduler.note("server is up")

    def die(self, *, power: bool) -> None:
        """End without any warning; with ``power`` the disk forgets what was not synced. It comes back by itself."""
        if self.process is None:
            return
        process, self.process, self.replica, self._api = self.process, None, None, None
        process.kill()
        self.pushes.clear()
        self.watches.clear()
        left = ""
        if power:
            self.disk.cut_power()
            left = f", index {self.store.cut_power(self._random)}"
        self._scheduler.note(f"server dies{' of a power cut' if power else ''}{left}")
        self._network.lose_server()
        self._scheduler.after(RETRY_SECONDS * self._random.random(), "server starts", self.start)

    @contextmanager
    def running(self) -> Iterator[WriteApi]:
        """Its turn."""
        assert self._api is not None
        assert self.process is not None
        with turn(self.process):
            yield self._api

    def _accept(self, method: str, stream: Stream) -> ServerCall | None:
        if self._api is None:
            return None
        if method == "PushChanges":
            return _Push(self, stream)
        if method == "WatchReplica":
            return _Watch(self, stream)
        return _Unary(self, method, stream)

    def intrude(self, request: OpenRequest) -> None:
        """P10: another client asks for the replica; it gets it only if nobody writes."""
        if not self.is_up:
            return
        try:
            with self.running() as api:
                answer = api.open_session(encode_open(request), Call(authorize=self.authorize))
        except DirsyncError as error:
            self._scheduler.note(f"another client is refused: {error.reason}")
            return
        except Crashed:
            return
        if any(push.session == self.newest for push in self.pushes):
            msg = "P10: another client is let in while one is writing"
            raise Violation(msg)
        self.newest = decode_opened(answer).session_id
        self._scheduler.note("another client is let in")

    def may_commit(self, session: bytes) -> bool:
        """Whether a session may commit: of mirror sessions only the newest."""
        return session == self.newest

    def changed(self) -> None:
        """Whoever wants to know of changes is told, if there are any, a little later."""
        for watch in list(self.watches):
            self._scheduler.after(0.01 * self._random.random(), "", watch.tell)

    def authorize(self, _namespace: str) -> Replica:
        """Everybody may use the one replica that there is."""
        assert self.replica is not None
        return self.replica


class _Unary:
    """A call with one request."""

    def __init__(self, server: Server, method: str, stream: Stream) -> None:
        self._server = server
        self._method = method
        self._stream = stream

    def receive(self, message: bytes) -> list[bytes]:
        """Answer, and end."""
        with self._server.running() as api:
            answers = self._answers(api, message)
        if self._method == "OpenSession":
            self._server.newest = decode_opened(answers[0]).session_id
        self._stream.end_after(answers)
        return []

    def _answers(self, api: WriteApi, message: bytes) -> list[bytes]:
        methods: dict[str, Callable[[bytes, Call], bytes | Iterable[bytes]]] = {
            "OpenSession": api.open_session,
            "ListDirectories": api.list_directories,
            "GetSignature": api.get_signature,
            "CloseSession": api.close_session,
            "ReadContent": api.read_content,
        }
        answer: Any = methods[self._method](message, Call(authorize=self._server.authorize))
        return [answer] if isinstance(answer, bytes) else list(answer)

    def close(self) -> None:
        """Nothing is kept."""


class _Push:
    """A push stream."""

    def __init__(self, server: Server, stream: Stream) -> None:
        self._server = server
        self._stream = stream
        self._process = server.process
        self.session = b""
        self._deletes: list[int] = []
        """Numbers of the deletes that were not settled."""
        call = Call(authorize=server.authorize, end=self._end)
        with server.running() as api:
            self._handler: IngestHandler = api.push_changes(call)

    def receive(self, message: bytes) -> list[bytes]:
        """Take a message."""
        with self._server.running():
            responses = self._handler.receive(message)
        self._note(decode_push(message))
        for response in responses:
            self._settle(decode_committed(response))
        if responses:
            self._server.changed()
            if not self._server.may_commit(self.session):
                msg = "P10: a session commits that another one has superseded"
                raise Violation(msg)
            self._server.acknowledging()
        return responses

    def _note(self, message: PushMessage) -> None:
        if isinstance(message, Open):
            self.session = message.session_id
            self._server.pushes.add(self)
        elif isinstance(message, Batch):
            self._deletes += [item.number for item in message.items if isinstance(item.operation, Delete)]

    def _settle(self, committed: Committed) -> None:
        settled = {number for number in self._deletes if number <= committed.settled_number}
        applied = settled - {failure.number for failure in committed.failures}
        self._deletes = [number for number in self._deletes if number not in settled]
        self._server.deleted(len(applied))

    def close(self) -> None:
        """Drop what was not committed."""
        self._server.pushes.discard(self)
        if self._server.process is self._process and self._process is not None:
            with turn(self._process), suppress(Crashed):
                self._handler.close()

    def _end(self) -> None:
        """A newer session took over."""
        self._stream.cut()


class _Watch:
    """A stream of reports."""

    def __init__(self, server: Server, stream: Stream) -> None:
        self._server = server
        self._stream = stream
        self._process = server.process
        self._watch: ReplicaWatch | None = None

    def receive(self, message: bytes) -> list[bytes]:
        """Begin."""
        with self._server.running() as api:
            self._watch = api.watch_replica(message, Call(authorize=self._server.authorize, end=self._stream.cut))
        self._server.watches[self] = None
        return self._reports()

    def tell(self) -> None:
        """Report what has changed, if anything has."""
        if self in self._server.watches:
            with suppress(DirsyncError), self._server.running():
                for report in self._reports():
                    self._stream.answer(report)

    def close(self) -> None:
        """Nobody wants to know any more."""
        self._server.watches.pop(self, None)
        if self._watch is not None and self._server.process is self._process and self._process is not None:
            with turn(self._process), suppress(Crashed):
                self._watch.close()

    def _reports(self) -> list[bytes]:
        return self._watch.take() if self._watch is not None and self._watch.wait(0) else []
