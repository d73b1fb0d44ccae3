"""The push stream: one call that stays open, fed from the outbox, answered by commits.

Two threads belong to it: gRPC's own, which runs the generator of messages (and so reads the source), and one that
reads the answers. Both only post to the engine's inbox; the engine alone decides. Wire numbers are given when a message
is made, because small operations overtake large files.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from dirsync.clock import monotonic
from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.errors import DirsyncError
from dirsync.fs.failure import TooLarge
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.rpc.service import Caller
from dirsync.rpc.status import from_rpc_error
from dirsync.tree.plan import PutFile
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Strategy
from dirsync.wire.compression import Compression, shares, shrinks
from dirsync.wire.push.messages import (
    Item,
    encode_abort,
    encode_batch,
    encode_begin,
    encode_commit,
    encode_data,
    encode_delta,
    encode_end,
    encode_stream_open,
)
from dirsync.wire.push.pieces import delta_frames
from dirsync.wire.push.results import Committed, decode_committed
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.ticket import Differ, Settled, StreamEnded, Ticket, Unsent
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.inline import promise, resolve
from dirsync_client.transfer.reader import LargeFile, is_zeros, read_content
from dirsync_client.transfer.send_queue import Outbox, Turn, Work
from dirsync_client.transfer.signature_store import builder_for

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder
    from dirsync.tree.outcome import Failure

SAMPLE_BYTES = 64 * 1024
"""How much of some content is compressed to see whether it shrinks."""

Event = Settled | Unsent | StreamEnded
Post = Callable[[Event], None]


class Compressor:
    """Which compression a piece of content travels with."""

    def __init__(self, setting: str, offered: frozenset[Compression]) -> None:
        """``setting`` is that of COMPRESSION; what the server did not offer is not used."""
        wanted = Compression.GZIP if setting == "gzip" else Compression.ZSTD
        usable = setting != "none" and wanted in offered
        self._compression = wanted if usable else Compression.NONE
        self._sample = setting == "auto"

    def choose(self, sample: bytes) -> Compression:
        """The compression for content that starts like ``sample``."""
        if self._compression is Compression.NONE or not sample:
            return Compression.NONE
        if self._sample and not shrinks(sample[:SAMPLE_BYTES]):
            return Compression.NONE
        return self._compression


class _Transfer:
    """A large file that is open on the stream."""

    def __init__(self, number: int, ticket: Ticket, file: LargeFile) -> None:
        self.number = number
        self.ticket = ticket
        self.file = file
        self.messages: Iterator[bytes] = iter(())
        self.builder: SignatureBuilder | None = None
        self.compression: Compression | None = None


class PushStream:
    """One open ``PushChanges`` call. Made and closed by the engine."""

    def __init__(  # the parts that the engine joins
        self,
        caller: Caller,
        session_id: bytes,
        root: Root,
        contents: Contents,
        offered: frozenset[Strategy],
        compressor: Compressor,
        bandwidth: TokenBucket,
        block_size: int,
        post: Post,
        on_wire: Callable[[str, int], None],
    ) -> None:
        """Open the stream.

        A clone of ``root`` is read from; small files whose content is among ``contents`` are copied at the replica, as
        far as the strategies that the server ``offered`` go; signatures of large files that go whole are made of blocks
        of ``block_size`` bytes. ``post`` takes what happens; ``on_wire`` is told ``sent`` or ``received`` and
        the bytes of each message; both from any thread.
        """
        self.outbox = Outbox()
        self._root = root.clone()
        self._contents = contents
        self._dedups = Strategy.DEDUP in offered
        self._deltas = Strategy.DELTA in offered
        self._block_size = block_size
        self._compressor = compressor
        self._bandwidth = bandwidth
        self._post = post
        self._on_wire = on_wire
        self._number = 0
        self._batched: deque[tuple[int, Ticket]] = deque()
        self._files: dict[int, Ticket] = {}
        self._transfers: deque[_Transfer] = deque()
        self._rescans: deque[bool] = deque()
        self._pause = threading.Event()
        self._call: Any = caller.open("PushChanges", self._messages(session_id))
        self._call.add_callback(self._stop)
        self._receiver = threading.Thread(target=self._receive, name="dirsync-receive", daemon=True)
        self._receiver.start()

    def close(self) -> None:
        """End the stream and wait for its reader; what was not settled is unknown."""
        self._stop()
        self._call.cancel()
        self._receiver.join()

    def _stop(self) -> None:
        self._pause.set()
        self.outbox.stop()

    # The sender's side: runs in gRPC's thread.

    def _messages(self, session_id: bytes) -> Iterator[bytes]:
        try:
            yield self._account(encode_stream_open(session_id))
            while (work := self.outbox.take()).turn is not Turn.STOP:
                for message in self._perform(work):
                    yield self._account(message)
        except Exception as error:  # noqa: BLE001  # a bug here must end the stream, not hang it
            self._post(StreamEnded(error))
            self._call.cancel()
        finally:
            while self._transfers:
                self._transfers.popleft().file.close()
            self._root.close()

    def _account(self, message: bytes) -> bytes:
        pause = self._bandwidth.take(len(message), monotonic())
        if pause:
            self._pause.wait(pause)
        self._on_wire("sent", len(message))
        return message

    def _perform(self, work: Work) -> Iterator[bytes]:
        match work.turn:
            case Turn.BATCH:
                yield from self._batch(work.tickets)
            case Turn.FRAME:
                yield from self._frame()
            case Turn.COMMIT:
                self._rescans.append(work.rescan)
                yield encode_commit(rescan=work.rescan)
            case Turn.STOP:
                return

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _batch(self, tickets: tuple[Ticket, ...]) -> Iterator[bytes]:
        # A directory that was renamed since the last batch must not be read through an old descriptor.
        self._root.forget_all()
        items: list[Item] = []
        sample = b""
        size = 0
        for ticket in tickets:
            item = self._item(ticket)
            if item is not None:
                items.append(item)
                sample = sample if len(sample) > len(item.content) else item.content
                size += len(item.content)
        if not items:
            return
        message, saved = encode_batch(items, self._compressor.choose(sample))
        if saved:
            _share(saved, items, tickets)
        self.outbox.sent(len(items), size)
        yield message

    def _item(self, ticket: Ticket) -> Item | None:
        """The ticket's operation with its content, numbered; ``None`` if it cannot go in a batch."""
        operation, data = ticket.operation, b""
        ticket.started = monotonic()
        ticket.sent = ticket.planned
        if isinstance(operation, PutFile):
            try:
                content = read_content(self._root, operation.path)
            except TooLarge:
                self.outbox.grown(ticket)
                return None
            except DirsyncError as error:
                self._unsent(ticket, error)
                return None
            operation, data = resolve(ticket, content, self._contents, dedups=self._dedups)
        number = self._next_number()
        self._batched.append((number, ticket))
        return Item(number, operation, data)

    def _frame(self) -> Iterator[bytes]:
        if len(self._transfers) < LIMITS.max_open_files:
            ticket = self.outbox.take_large()
            if ticket is not None:
                yield from self._begin(ticket)
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

    def _begin(self, ticket: Ticket) -> Iterator[bytes]:
        operation = ticket.operation
        assert isinstance(operation, PutFile)
        self._root.forget_all()
        ticket.started = monotonic()
        ticket.literal_bytes = ticket.compressed_bytes = 0
        try:
            file = LargeFile(self._root, operation.path)
        except DirsyncError as error:
            self.outbox.closed_file()
            self._unsent(ticket, error)
            return
        number = self._next_number()
        self._files[number] = ticket
        transfer = _Transfer(number, ticket, file)
        self._transfers.append(transfer)
        operation = operation._replace(entry=file.entry)
        if ticket.delta is None:
            transfer.builder = builder_for(file.entry.size, self._block_size) if self._deltas else None
            transfer.messages = self._whole(transfer, transfer.builder)
            yield encode_begin(number, operation)
        else:
            basis, block_size, differ, transfer.builder = ticket.delta
            transfer.messages = self._delta(transfer, differ)
            yield encode_begin(number, operation, block_size, basis.digest)

    def _whole(self, transfer: _Transfer, builder: "SignatureBuilder | None") -> Iterator[bytes]:
        for frame in transfer.file.frames():
            if builder is not None:
                builder.feed(frame)
            if self._deltas and is_zeros(frame):
                yield self._pieces(transfer, [Zeros(len(frame))])
                continue
            if transfer.compression is None:
                transfer.compression = self._compressor.choose(frame)
            message, saved = encode_data(transfer.number, frame, transfer.compression)
            transfer.ticket.literal_bytes += len(frame)
            transfer.ticket.compressed_bytes += saved
            yield message

    def _delta(self, transfer: _Transfer, differ: Differ) -> Iterator[bytes]:
        for frame in transfer.file.frames():
            for pieces in delta_frames(differ.feed(frame)):
                yield self._pieces(transfer, pieces)
        for pieces in delta_frames(differ.finish()):
            yield self._pieces(transfer, pieces)

    def _pieces(self, transfer: _Transfer, pieces: list[Piece]) -> bytes:
        """A message with pieces of a file; zeros count as content that compression saved."""
        ticket = transfer.ticket
        zeros = sum(piece.length for piece in pieces if isinstance(piece, Zeros))
        literals = [piece for piece in pieces if not isinstance(piece, Zeros | BlockRange)]
        if literals and transfer.compression is None:
            transfer.compression = self._compressor.choose(bytes(max(literals, key=len)))
        compression = (transfer.compression if literals else None) or Compression.NONE
        message, saved = encode_delta(transfer.number, pieces, compression)
        ticket.literal_bytes += zeros + sum(len(piece) for piece in literals)
        # Compression may save on the copies too, which are no content: that counts for nothing.
        ticket.compressed_bytes = min(ticket.compressed_bytes + zeros + saved, ticket.literal_bytes)
        return message

    def _end(self, transfer: _Transfer) -> bytes:
        record = transfer.file.finish()
        if record is None:
            msg = "the file changed while it was read; it is tried again"
            return self._give_up(transfer, DirsyncError(msg))
        ticket = transfer.ticket
        ticket.sent = record
        ticket.signature = transfer.builder.finish() if transfer.builder is not None else None
        transfer.file.close()
        promise(ticket, transfer.file.entry, self._contents)
        self.outbox.closed_file()
        self.outbox.sent(1, transfer.file.entry.size)
        return encode_end(transfer.number, transfer.file.entry.digest)

    def _give_up(self, transfer: _Transfer, error: DirsyncError) -> bytes:
        transfer.file.close()
        self._files.pop(transfer.number, None)
        self.outbox.closed_file()
        self._unsent(transfer.ticket, error)
        return encode_abort(transfer.number)

    def _unsent(self, ticket: Ticket, error: DirsyncError) -> None:
        kind = getattr(error, "kind", ProblemKind.CHANGING)
        self.outbox.settled(1, requested=False)
        self._post(Unsent(ticket, Problem(ticket.path, kind, str(error))))

    # The receiver's side.

    def _receive(self) -> None:
        error: Exception | None = None
        try:
            for raw in self._call:
                self._on_wire("received", len(raw))
                self._settle(decode_committed(raw))
        except grpc.RpcError as rpc_error:
            error = from_rpc_error(rpc_error)
        except DirsyncError as remote_error:
            error = remote_error
            self._call.cancel()
        self._stop()
        self._post(StreamEnded(error))

    def _settle(self, committed: Committed) -> None:
        failures: dict[int, Failure] = {failure.number: failure for failure in committed.failures}
        applied: list[Ticket] = []
        failed: list[tuple[Ticket, Failure]] = []
        while self._batched and self._batched[0][0] <= committed.settled_number:
            number, ticket = self._batched.popleft()
            failure = failures.pop(number, None)
            if failure is None:
                applied.append(ticket)
            else:
                failed.append((ticket, failure))
        applied.extend(t for n in committed.files if (t := self._files.pop(n, None)) is not None)
        failed.extend((t, f) for n, f in failures.items() if (t := self._files.pop(n, None)) is not None)
        rescanned = committed.requested and bool(self._rescans) and self._rescans.popleft()
        self.outbox.settled(len(applied) + len(failed), requested=committed.requested)
        self._post(Settled(applied, failed, committed.root_digest, committed.entries, rescanned))


def _share(saved: int, items: list[Item], tickets: tuple[Ticket, ...]) -> None:
    """Spread what compression saved on a batch over its files, by their size."""
    by_path = {ticket.path: ticket for ticket in tickets}
    for item, share in zip(items, shares(saved, [len(item.content) for item in items]), strict=True):
        by_path[item.operation.path].compressed_bytes = share
