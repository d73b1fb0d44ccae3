"""Does what the reconciler wants of one session: sends, hashes, estimates, and asks for commits."""

from collections.abc import Callable, Iterable, Sequence

from dirsync.clock import monotonic
from dirsync.fs.root import Root
from dirsync.tree.strategy import Strategy
from dirsync_client.reconcile.commands import (
    CompareFile,
    DropEstimate,
    EstimateSimilarity,
    HashFile,
    RequestCommit,
    Sent,
    Transmit,
)
from dirsync_client.reconcile.events import FileHashed, Settled, SimilarityEstimated, Unsent
from dirsync_client.session.link import Link
from dirsync_client.session.stream_ended import StreamEnded
from dirsync_client.transfer.assumed_content import AssumedContent, HasContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.delta.planner import DeltaPlanner
from dirsync_client.transfer.delta.thread import DeltaThread
from dirsync_client.transfer.hasher import Hasher
from dirsync_client.transfer.in_flight import InFlight
from dirsync_client.transfer.opening.parts import TransferParts
from dirsync_client.transfer.send_queue import Outgoing, SendQueue
from dirsync_client.transfer.sender import Sender, SenderOptions
from dirsync_client.transfer.stream import PushStream, StreamParts
from dirsync_client.transfer.uploads.resumption import Resumption

TransferCommand = Transmit | HashFile | CompareFile | EstimateSimilarity | DropEstimate | RequestCommit
TransferResult = FileHashed | SimilarityEstimated | Settled | Unsent | StreamEnded
"""What the threads of a session post."""


class TransferExecutor:
    """The threads of one session. They post what they found; the engine's thread gives the commands."""

    def __init__(
        self,
        queue: SendQueue,
        planner: DeltaThread,
        hasher: Hasher,
        known: AssumedContent,
        in_flight: InFlight,
        close: Callable[[], None],
    ) -> None:
        """``close`` ends whatever takes from ``queue``; ``in_flight`` is what was taken and is not settled."""
        self._queue = queue
        self._planner = planner
        self._hasher = hasher
        self._known = known
        self._in_flight = in_flight
        self._close = close

    def execute(self, commands: Iterable[TransferCommand]) -> None:
        """Do what these say; what is to be sent goes together."""
        outgoing: list[Outgoing] = []
        for command in commands:
            match command:
                case Transmit(choice=choice):
                    delta = self._planner.take(command.path) if choice.strategy is Strategy.DELTA else None
                    outgoing.append(Outgoing(command, delta))
                case HashFile(path=path, planned=planned):
                    self._hasher.add(path, planned)
                case CompareFile():
                    self._planner.compare(command)
                case EstimateSimilarity():
                    self._planner.estimate(command)
                case DropEstimate(path=path):
                    self._planner.take(path)
                case RequestCommit():
                    self._queue.rescan()
        if outgoing:
            self._queue.add(outgoing)

    def taken_over(self, applied: Iterable[Sent], failed: Iterable[Sent]) -> None:
        """The reconciler knows what became of these."""
        applied = list(applied)
        self._known.release((*applied, *failed))
        for sent in applied:
            if sent.signature is not None and sent.record is not None:
                self._planner.remember(sent.content_digest, sent.signature)

    def finish(self) -> None:
        """Begin nothing more: have what was sent committed."""
        self._queue.finish()

    @property
    def is_committed(self) -> bool:
        """Whether nothing that was sent waits for its commit."""
        return self._queue.is_committed

    @property
    def unsettled(self) -> Sequence[Sent]:
        """What was sent and is not settled."""
        return self._in_flight.unsettled

    def drop_uploads(self) -> None:
        """Nothing that was interrupted is to be continued any more."""
        self._queue.drop_uploads()

    def warm_up(self) -> None:
        """Load what the first delta would have to wait for."""
        self._planner.warm_up()

    def close(self) -> None:
        """End the threads; what was not settled is unknown."""
        self._close()
        self._hasher.close()
        self._planner.close()


def open_transfer(
    link: Link, root: Root, parts: TransferParts, has_content: HasContent, post: Callable[[TransferResult], None]
) -> TransferExecutor:
    """Open the push stream of a session, and start its threads.

    Files are read from clones of ``root``; ``post`` takes what happens, from any thread.
    """
    opened, block_size = link.opened, parts.options.block_size
    waiting = parts.activities.add("waiting for a commit")
    queue, known = SendQueue(monotonic, waiting), AssumedContent(has_content)
    compressor = Compressor(parts.options.compression, opened.compressions)
    resumption = Resumption(parts.uploads, opened.kept_uploads, offered=opened.keeps_uploads)
    sending = SenderOptions(
        opened.strategies,
        compressor,
        block_size,
        resumption,
        parts.tracer,
        parts.hashes,
        commits_after=opened.takes_commit_after,
    )
    sender = Sender(root, queue, known, sending, post)
    hasher = Hasher(root, post, parts.activities)

    def make_planner(cancelled: Callable[[], bool]) -> DeltaPlanner:
        return DeltaPlanner(root, parts.signatures, link.checksums, block_size, cancelled)

    shared = StreamParts(parts.on_wire, parts.bandwidth, parts.activities)
    planner = DeltaThread(make_planner, hasher, post, parts.activities)
    stream = PushStream(link.caller, opened.session_id, sender, queue, post, shared)

    def close() -> None:
        stream.close()
        parts.activities.remove(waiting)

    return TransferExecutor(queue, planner, hasher, known, sender.in_flight, close)
