"""What stands around the client's engine in a world: its state directory, its mailbox, and its way to the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Self, cast

from dirsync.delta.blocks import block_size_for
from dirsync.delta.signature.built import BuiltSignature
from dirsync.delta.signature.signature import Signature
from dirsync.delta.signature.stored import dump_signature, load_signature
from dirsync.errors import DirsyncError
from dirsync.tree.guards.approvals import Released
from dirsync.wire.push.messages import encode_stream_open
from dirsync.wire.push.results import decode_committed
from dirsync.wire.watch import Report, decode_report, encode_watch, join_reports
from dirsync_client import agreed_tree
from dirsync_client.agreed_tree import AgreedTree, file_name, nothing_to_settle
from dirsync_client.mailbox import Mailbox
from dirsync_client.receive.results import ReplicaReported
from dirsync_client.session.stream_ended import StreamEnded
from dirsync_client.state import ReplicaPairing
from dirsync_client.transfer.send_queue import SendAction, SendQueue
from dirsync_client.transfer.sender import Sender
from tests.simulation.machine.memory_index import MemoryIndex, Store
from tests.simulation.machine.patching import wall_ns
from tests.simulation.sides.transport import Network

if TYPE_CHECKING:
    from dirsync.fs.index.index import Index


class State:
    """A state directory: what a client remembers when it ends."""

    def __init__(self, random: Random) -> None:
        self.store = Store()
        self.client_id = f"client-{random.getrandbits(32):08x}"
        self.signatures: dict[bytes, bytes] = {}
        self.path = self
        """Where a two-way client keeps what was agreed on: here."""
        self.agreed: dict[str, Store] = {}
        self.boot = b"first"
        """Changes when the power was cut."""
        self._pairings: dict[str, ReplicaPairing] = {}
        self._approvals: set[str] = set()

    def cut_power(self, random: Random) -> None:
        """Nothing of it was ever synced."""
        self.boot = b"boot %d" % random.getrandbits(30)
        for store in (self.store, *self.agreed.values()):
            store.cut_power(random)

    def pairing(self, replica_id: str) -> ReplicaPairing:
        """What is known of a replica."""
        return self._pairings.get(replica_id, ReplicaPairing(adopted=False, identity=None))

    def agree(self, replica_id: str, pairing: ReplicaPairing) -> None:
        """Remember it."""
        self._pairings[replica_id] = pairing

    def approve(self, hold_id: str) -> None:
        """Somebody approved a hold."""
        self._approvals.add(hold_id)

    def approvals(self) -> set[str]:
        """What was approved and not used."""
        return set(self._approvals)

    def spend(self, hold_id: str) -> None:
        """It was used."""
        self._approvals.discard(hold_id)


class Signatures:
    """As :class:`RememberedSignatures`, in memory."""

    def __init__(self, kept: dict[bytes, bytes]) -> None:
        self._kept = kept

    def load(self, digest: bytes, size: int, wanted: int) -> Signature | None:
        """The signature of this content."""
        stored = self._kept.get(digest)
        signature = None if stored is None else load_signature(stored)
        fits = signature is not None and (signature.size, signature.block_size) == (size, block_size_for(size, wanted))
        return signature if fits else None

    def save(self, digest: bytes, signature: BuiltSignature) -> None:
        """Remember it."""
        self._kept[digest] = dump_signature(signature)


class WakingMailbox(Mailbox):
    """A mailbox that nobody sleeps on: what comes in, and how long there is nothing to do, goes to the scheduler."""

    def __init__(self, wake: Callable[[float], None], now: Callable[[], float]) -> None:
        super().__init__(now)
        self.has_waited = False
        self._wake = wake

    def hints(self, batch: Any) -> None:
        """Something may have changed."""
        super().hints(batch)
        self._wake(0.0)

    def complete(self, session: int, result: Any, target: int = 0) -> None:
        """A worker is done."""
        super().complete(session, result, target)
        self._wake(0.0)

    def approve(self, hold_id: str, answer: Callable[[Released], None], target: str = "") -> None:
        """Somebody approved a hold."""
        super().approve(hold_id, answer, target)
        self._wake(0.0)

    def wait(self, seconds: float | None) -> None:
        """Nothing is to be done for so long."""
        self.has_waited = True
        if seconds is not None:
            self._wake(seconds)


class Channels:
    """The way to the server."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def channel(self) -> Any:
        """A channel of our own kind."""
        return self._network

    def metadata(self) -> tuple[()]:
        """Nobody asks who we are."""
        return ()

    def close(self) -> None:
        """Nothing is kept."""


def uncounted(_direction: str, _size: int) -> None:
    """Nobody counts."""


class SimulatedCaller:
    """As :class:`dirsync.rpc.service.Caller`, over the network of a world."""

    def __init__(self, channel: Network, _service: str, _metadata: object, _on_wire: object) -> None:
        self.network = channel

    def unary(self, name: str, request: bytes, *, timeout: float) -> bytes:
        """Call a method of one response; how long it may take is up to the network."""
        del timeout
        return self.network.call(name, request)[0]

    def stream(self, name: str, request: bytes, *, timeout: float | None = None) -> Iterator[bytes]:
        """Call a method of many responses."""
        del timeout
        return iter(self.network.call(name, request))


class SimulatedStream:
    """As :class:`dirsync_client.transfer.stream.PushStream`, without threads."""

    created: "Callable[[SimulatedStream], None]" = staticmethod(lambda _stream: None)
    """Told of each new one."""

    def __init__(
        self,
        caller: SimulatedCaller,
        session_id: bytes,
        sender: Sender,
        queue: SendQueue,
        post: Callable[[Any], None],
        _parts: object,
    ) -> None:
        self.network = caller.network
        self._sender = sender
        self._queue = queue
        self._post = post
        self._stream = caller.network.open("PushChanges", self._take, self._ended)
        self._stream.send(encode_stream_open(session_id))
        SimulatedStream.created(self)

    def send_some(self) -> bool:
        """Send the next thing, if there is one."""
        work = self._queue.poll()
        if work is None or work.action is SendAction.STOP:
            return False
        for message in self._sender.messages(work):
            self._stream.send(message)
        return True

    def close(self) -> None:
        """End the stream."""
        self._queue.stop()
        self._stream.cancel()
        self._sender.close()

    def _take(self, message: bytes) -> None:
        committed = decode_committed(message)
        settled = self._sender.in_flight.settle(committed)
        if committed.requested:
            self._queue.committed()
        self._post(settled)

    def _ended(self, error: DirsyncError | None) -> None:
        self._queue.stop()
        self._post(StreamEnded(error))


class SimulatedAgreedTree(AgreedTree):
    """As :class:`AgreedTree`, in a state directory in memory."""

    @classmethod
    def open(cls, directory: Any, replica_id: str, settle: Callable[[], None] = nothing_to_settle) -> Self:
        """What is kept for a replica."""
        state: State = directory
        store = state.agreed.setdefault(file_name(replica_id), Store())
        with at_boot(state.boot):
            return cls(cast("Index", MemoryIndex(store)), wall_ns, settle)


@contextmanager
def at_boot(boot: bytes) -> Iterator[None]:
    """While this lasts, the machine was started at this boot."""
    before = agreed_tree._boot_id
    agreed_tree._boot_id = lambda: boot
    try:
        yield
    finally:
        agreed_tree._boot_id = before


class SimulatedWatch:
    """As :class:`dirsync_client.receive.watch.ReplicaWatch`, without a thread."""

    def __init__(self, link: Any, post: Callable[[Any], None]) -> None:
        self._pages: list[Report] = []
        self._post = post
        network: Network = link.caller.network
        self._stream = network.open("WatchReplica", self._take, self._ended)
        self._stream.send(encode_watch(link.opened.session_id))

    def close(self) -> None:
        """End the stream."""
        self._stream.cancel()

    def _take(self, message: bytes) -> None:
        self._pages.append(decode_report(message))
        if self._pages[-1].last:
            pages, self._pages = self._pages, []
            for report in join_reports(pages):
                self._post(ReplicaReported.of(report))

    def _ended(self, error: DirsyncError | None) -> None:
        self._post(StreamEnded(error))
