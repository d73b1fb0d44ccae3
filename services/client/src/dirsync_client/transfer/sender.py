"""Turns operations into messages of the push stream. One thread; it waits for nothing but the disk.

Small files are read when their batch is made, large ones frame by frame. A file that was rewritten while it was read is
given up, never sent torn. Of one that grew, the part is sent that was there when it was opened, once a second reading
has proved it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.errors import DirsyncError
from dirsync.fs.failure import TooLarge, shown
from dirsync.fs.read.growing import GrowingFile
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.runtime.trace.tracer import NO_TRACER, Tracer
from dirsync.tree.plan import PutFile
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Strategy
from dirsync.wire.compression import shares
from dirsync.wire.push.messages import (
    Commit,
    Item,
    encode_abort,
    encode_batch,
    encode_commit,
    encode_end,
    encode_with_commit,
)
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.reconcile.events import Unsent
from dirsync_client.reconcile.pacing.pace import NOTHING, Cost
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.directories.sender import DirectorySender, SendingParts
from dirsync_client.transfer.in_flight import InFlight
from dirsync_client.transfer.reader import read_content
from dirsync_client.transfer.send_queue import Outgoing, SendAction, SendQueue, Work
from dirsync_client.transfer.small_files import decide_small_file
from dirsync_client.transfer.traces import CommitTraces
from dirsync_client.transfer.uploads.frame_encoder import FrameEncoder
from dirsync_client.transfer.uploads.messages import UploadMessages
from dirsync_client.transfer.uploads.resumption import Resumption
from dirsync_client.transfer.uploads.transfer import Transfer


class SenderOptions(NamedTuple):
    """How content is sent."""

    offered: frozenset[Strategy]
    """The strategies that the server understands."""
    compressor: Compressor
    block_size: int
    """Of the signatures of files that are sent whole, in bytes."""
    resumption: Resumption
    """What is continued of interrupted uploads."""
    tracer: Tracer = NO_TRACER
    hashes: KnownHashes | None = None
    """What is remembered of contents that were hashed, for the next versions of them."""
    commits_after: bool = False
    """The server takes a commit in the message with the last of what it commits."""


class Sender:
    """The messages for what a queue holds."""

    def __init__(
        self,
        root: Root,
        queue: SendQueue,
        known: AssumedContent,
        options: SenderOptions,
        unsent: Callable[[Unsent], None],
        now: Monotonic = monotonic,
    ) -> None:
        """Files are read from a clone of ``root``. ``unsent`` is told what could not be read."""
        self.in_flight = InFlight()
        self.traces = CommitTraces(options.tracer)
        self._root = root.clone()
        self._queue = queue
        self._known = known
        self._dedups = Strategy.DEDUP in options.offered
        self._commits_after = options.commits_after
        self._compressor = options.compressor
        self._post_unsent = unsent
        self._now = now
        self._number = 0
        self._resumption = options.resumption
        self._hashes = options.hashes
        signed_blocks = options.block_size if Strategy.DELTA in options.offered else 0
        encoder = FrameEncoder(options.compressor, zeros=bool(signed_blocks))
        self._uploads = UploadMessages(encoder, options.resumption, signed_blocks, options.hashes, self._number_of)
        self._transfers: deque[Transfer] = deque()
        self._directory: DirectorySender | None = None
        """The new directory that is being sent."""

    def close(self) -> None:
        """Let go of the files."""
        while self._transfers:
            self._transfers.popleft().file.close()
        self._root.close()

    def messages(self, work: Work) -> Iterator[bytes]:
        """The messages of one piece of work."""
        match work.action:
            case SendAction.BATCH:
                yield from self._batch(work.batch)
            case SendAction.FRAME:
                yield from self._frame()
            case SendAction.SECTION:
                yield from self._section()
            case SendAction.COMMIT:
                yield encode_commit(self._commit(work))
            case SendAction.STOP:
                return

    def _commit(self, work: Work) -> Commit:
        self.in_flight.commit_asked(rescan=work.rescan)
        return Commit(work.rescan, work.drop_uploads, self.traces.commit_asked())

    def _with_commit(self, message: bytes) -> bytes:
        """The message, and the commit of what it ends, if that comes next anyway."""
        work = self._queue.commit_at_once() if self._commits_after else None
        return message if work is None else encode_with_commit(message, self._commit(work))

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    # Small operations.

    def _batch(self, batch: tuple[Outgoing, ...]) -> Iterator[bytes]:
        # A directory that was renamed since the last batch must not be read through an old descriptor.
        self._root.forget_all()
        items: list[Item] = []
        sent: list[Sent] = []
        sample = b""
        size = 0
        for outgoing in batch:
            prepared = self._item(outgoing)
            if prepared is not None:
                item, as_sent = prepared
                items.append(item)
                sent.append(as_sent)
                sample = sample if len(sample) > len(item.content) else item.content
                size += len(item.content)
        self._root.forget_all()  # what is kept open keeps a mount busy
        if not items:
            return
        message, saved = encode_batch(items, self._compressor.choose(sample))
        if saved:
            portions = shares(saved, [len(item.content) for item in items])
            sent = [one._replace(compressed_bytes=share) for one, share in zip(sent, portions, strict=True)]
        self.in_flight.batched(zip((item.number for item in items), sent, strict=True))
        self.traces.sent(sent)
        self._queue.sent(len(items), size)
        yield self._with_commit(message)

    def _item(self, outgoing: Outgoing) -> tuple[Item, Sent] | None:
        """An operation with its content, numbered; ``None`` if it cannot go in a batch."""
        transmit = outgoing.transmit
        operation, started = transmit.operation, self._now()
        if not isinstance(operation, PutFile):
            sent = Sent(transmit, operation, transmit.choice, transmit.planned, started)
            return Item(self._next_number(), operation, b""), sent
        try:
            content = read_content(self._root, operation.path)
        except TooLarge:
            self._queue.requeue_as_large(outgoing)
            return None
        except DirsyncError as error:
            self._unsent(transmit, error)
            return None
        small = decide_small_file(transmit, content, self._known, started, dedups=self._dedups)
        return Item(self._next_number(), small.operation, small.data), small.sent

    # New directories.

    def _section(self) -> Iterator[bytes]:
        directory = self._directory
        if directory is None:
            outgoing = self._queue.take_directory()
            if outgoing is None:
                return
            parts = SendingParts(self._root, self._known, self._compressor, self._dedups)
            directory = DirectorySender(self._next_number(), outgoing.transmit, parts, self._now())
            self._directory = directory
            self.in_flight.file_begun(directory.number, directory.draft())
        self._root.forget_all()
        message = directory.next()
        self._root.forget_all()
        if directory.is_complete:
            self._directory = None
            sent = directory.sent()
            self.in_flight.file_ended(directory.number, sent)
            self.traces.sent((sent,))
            self._queue.closed_directory()
            self._queue.sent(directory.entries, directory.literal_bytes)
        yield message

    # Large files.

    def _frame(self) -> Iterator[bytes]:
        if len(self._transfers) < LIMITS.max_open_files:
            outgoing = self._queue.take_large()
            if outgoing is not None:
                self._begin(outgoing)
        if not self._transfers:
            return
        transfer = self._transfers.popleft()
        try:
            message = next(transfer.messages, None)
            ended = message is None and transfer.file.prove()
        except DirsyncError as error:
            yield from self._give_up(transfer, error)
            return
        if ended:
            yield from self._end(transfer)
            return
        self._transfers.append(transfer)
        if message:
            yield message

    def _begin(self, outgoing: Outgoing) -> None:
        transmit = outgoing.transmit
        self._root.forget_all()
        started = self._now()
        try:
            file = GrowingFile(self._root, transmit.path)
        except DirsyncError as error:
            self._queue.closed_file()
            self._unsent(transmit, error)
            return
        finally:
            self._root.forget_all()
        transfer = Transfer(transmit, file, started)
        transfer.messages = self._uploads.of(transfer, outgoing.delta)
        self._transfers.append(transfer)

    def _number_of(self, transfer: Transfer) -> int:
        """The number of a file that begins to travel."""
        number = self._next_number()
        self.in_flight.file_begun(number, transfer.draft())
        return number

    def _end(self, transfer: Transfer) -> Iterator[bytes]:
        record = transfer.file.finish()
        if record is None:
            msg = f"{shown(transfer.path)} was rewritten while it was read; it is tried again"
            yield from self._give_up(transfer, DirsyncError(msg))
            return
        entry = transfer.file.entry
        transfer.file.close()
        sent = transfer.draft()._replace(
            record=record,
            literal_bytes=transfer.literal_bytes,
            compressed_bytes=transfer.compressed_bytes,
            continued_bytes=transfer.continued_bytes,
            content_assumed=True,
            is_older=transfer.file.is_older,
            signature=transfer.builder.finish() if transfer.builder is not None else None,
            ended=self._now(),
        )
        self._resumption.ended(transfer.path)
        if self._hashes is not None:
            self._hashes.remember(entry.digest, transfer.file.checkpoints)
        if self.in_flight.file_ended(transfer.number, sent):
            self._known.assume(entry)
            self.traces.sent((sent,))
        self._queue.closed_file()
        self._queue.sent(1, entry.size)
        yield self._with_commit(encode_end(transfer.number, entry.digest))

    def _give_up(self, transfer: Transfer, error: DirsyncError) -> Iterator[bytes]:
        transfer.file.close()
        self._queue.closed_file()
        self._resumption.given_up(transfer.path)
        cost = transfer.cost(self._now())
        if not transfer.number:
            self._unsent(transfer.transmit, error, cost)
            return
        if self.in_flight.file_given_up(transfer.number):
            self._unsent(transfer.transmit, error, cost)
        yield encode_abort(transfer.number)

    def _unsent(self, transmit: Transmit, error: DirsyncError, cost: Cost = NOTHING) -> None:
        kind = getattr(error, "kind", ProblemKind.CHANGING)
        self._post_unsent(Unsent(transmit, Problem(transmit.path, kind, str(error)), cost))
