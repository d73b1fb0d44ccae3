"""Turns operations into messages of the push stream. One thread; it waits for nothing but the disk.

Small files are read when their batch is made, large ones frame by frame. A file that changed while it was read is given
up, never sent torn.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.errors import DirsyncError
from dirsync.fs.failure import TooLarge
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.plan import PutFile
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Strategy
from dirsync.wire.compression import Compression, shares
from dirsync.wire.push.messages import (
    Item,
    encode_abort,
    encode_batch,
    encode_begin,
    encode_commit,
    encode_data,
    encode_delta,
    encode_end,
)
from dirsync.wire.push.pieces import delta_frames
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.reconcile.events import Unsent
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.delta.signature_store import builder_for
from dirsync_client.transfer.in_flight import InFlight
from dirsync_client.transfer.reader import LargeFile, is_zeros, read_content
from dirsync_client.transfer.send_queue import Outgoing, SendAction, SendQueue, Work
from dirsync_client.transfer.small_files import decide_small_file

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder


class SenderOptions(NamedTuple):
    """How content is sent."""

    offered: frozenset[Strategy]
    """The strategies that the server understands."""
    compressor: Compressor
    block_size: int
    """Of the signatures of files that are sent whole, in bytes."""


class _Transfer:
    """A large file that is open on the stream."""

    def __init__(self, number: int, transmit: Transmit, file: LargeFile, started: float) -> None:
        self.number = number
        self.transmit = transmit
        self.file = file
        self.started = started
        self.messages: Iterator[bytes] = iter(())
        self.builder: SignatureBuilder | None = None
        self.compression: Compression | None = None
        self.literal_bytes = 0
        self.compressed_bytes = 0

    def draft(self) -> Sent:
        """What is known of the file before it was read to its end."""
        return Sent(self.transmit, self.transmit.operation, self.transmit.choice, None, self.started)


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
        self._root = root.clone()
        self._queue = queue
        self._known = known
        self._dedups = Strategy.DEDUP in options.offered
        self._deltas = Strategy.DELTA in options.offered
        self._compressor = options.compressor
        self._block_size = options.block_size
        self._post_unsent = unsent
        self._now = now
        self._number = 0
        self._transfers: deque[_Transfer] = deque()

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
            case SendAction.COMMIT:
                self.in_flight.commit_asked(rescan=work.rescan)
                yield encode_commit(rescan=work.rescan)
            case SendAction.STOP:
                return

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
        if not items:
            return
        message, saved = encode_batch(items, self._compressor.choose(sample))
        if saved:
            portions = shares(saved, [len(item.content) for item in items])
            sent = [one._replace(compressed_bytes=share) for one, share in zip(sent, portions, strict=True)]
        self.in_flight.batched(zip((item.number for item in items), sent, strict=True))
        self._queue.sent(len(items), size)
        yield message

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

    # Large files.

    def _frame(self) -> Iterator[bytes]:
        if len(self._transfers) < LIMITS.max_open_files:
            outgoing = self._queue.take_large()
            if outgoing is not None:
                yield from self._begin(outgoing)
        if not self._transfers:
            return
        transfer = self._transfers.popleft()
        try:
            message = next(transfer.messages, None)
        except DirsyncError as error:
            yield self._give_up(transfer, error)
            return
        if message is None:
            yield self._end(transfer)
            return
        self._transfers.append(transfer)
        yield message

    def _begin(self, outgoing: Outgoing) -> Iterator[bytes]:
        transmit, delta = outgoing
        operation = transmit.operation
        assert isinstance(operation, PutFile)
        self._root.forget_all()
        started = self._now()
        try:
            file = LargeFile(self._root, operation.path)
        except DirsyncError as error:
            self._queue.closed_file()
            self._unsent(transmit, error)
            return
        number = self._next_number()
        transfer = _Transfer(number, transmit, file, started)
        self.in_flight.file_begun(number, transfer.draft())
        self._transfers.append(transfer)
        operation = operation._replace(entry=file.entry)
        if delta is None:
            transfer.builder = builder_for(file.entry.size, self._block_size) if self._deltas else None
            transfer.messages = self._whole(transfer)
            yield encode_begin(number, operation)
        else:
            transfer.builder = delta.builder
            transfer.messages = self._delta(transfer, outgoing)
            yield encode_begin(number, operation, delta.block_size, delta.basis.digest)

    def _whole(self, transfer: _Transfer) -> Iterator[bytes]:
        builder = transfer.builder
        for frame in transfer.file.frames():
            if builder is not None:
                builder.feed(frame)
            if self._deltas and is_zeros(frame):
                yield self._pieces(transfer, [Zeros(len(frame))])
                continue
            if transfer.compression is None:
                transfer.compression = self._compressor.choose(frame)
            message, saved = encode_data(transfer.number, frame, transfer.compression)
            transfer.literal_bytes += len(frame)
            transfer.compressed_bytes += saved
            yield message

    def _delta(self, transfer: _Transfer, outgoing: Outgoing) -> Iterator[bytes]:
        assert outgoing.delta is not None
        encoder = outgoing.delta.encoder
        for frame in transfer.file.frames():
            for pieces in delta_frames(encoder.feed(frame)):
                yield self._pieces(transfer, pieces)
        for pieces in delta_frames(encoder.finish()):
            yield self._pieces(transfer, pieces)

    def _pieces(self, transfer: _Transfer, pieces: list[Piece]) -> bytes:
        """A message with pieces of a file; zeros count as content that compression saved."""
        zeros = sum(piece.length for piece in pieces if isinstance(piece, Zeros))
        literals = [piece for piece in pieces if not isinstance(piece, Zeros | BlockRange)]
        if literals and transfer.compression is None:
            transfer.compression = self._compressor.choose(bytes(max(literals, key=len)))
        compression = (transfer.compression if literals else None) or Compression.NONE
        message, saved = encode_delta(transfer.number, pieces, compression)
        transfer.literal_bytes += zeros + sum(len(piece) for piece in literals)
        # Compression may save on the copies too, which are no content: that counts for nothing.
        transfer.compressed_bytes = min(transfer.compressed_bytes + zeros + saved, transfer.literal_bytes)
        return message

    def _end(self, transfer: _Transfer) -> bytes:
        record = transfer.file.finish()
        if record is None:
            msg = "the file changed while it was read; it is tried again"
            return self._give_up(transfer, DirsyncError(msg))
        entry = transfer.file.entry
        transfer.file.close()
        sent = transfer.draft()._replace(
            record=record,
            literal_bytes=transfer.literal_bytes,
            compressed_bytes=transfer.compressed_bytes,
            content_assumed=True,
            signature=transfer.builder.finish() if transfer.builder is not None else None,
        )
        if self.in_flight.file_ended(transfer.number, sent):
            self._known.assume(entry)
        self._queue.closed_file()
        self._queue.sent(1, entry.size)
        return encode_end(transfer.number, entry.digest)

    def _give_up(self, transfer: _Transfer, error: DirsyncError) -> bytes:
        transfer.file.close()
        self._queue.closed_file()
        if self.in_flight.file_given_up(transfer.number):
            self._unsent(transfer.transmit, error)
        return encode_abort(transfer.number)

    def _unsent(self, transmit: Transmit, error: DirsyncError) -> None:
        kind = getattr(error, "kind", ProblemKind.CHANGING)
        self._post_unsent(Unsent(transmit, Problem(transmit.path, kind, str(error))))
