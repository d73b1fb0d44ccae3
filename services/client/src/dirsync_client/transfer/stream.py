"""The push stream: one open ``PushChanges`` call, its sending thread and its receiving thread."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grpc

from dirsync.clock import monotonic
from dirsync.rpc.service import Caller
from dirsync.rpc.status import from_rpc_error
from dirsync.wire.push.messages import encode_stream_open
from dirsync.wire.push.results import decode_committed
from dirsync_client.lifecycle.activity import Activities, Part
from dirsync_client.reconcile.events import Settled, Unsent
from dirsync_client.session.stream_ended import StreamEnded
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.opening.parts import OnWire
from dirsync_client.transfer.send_queue import SendAction, SendQueue
from dirsync_client.transfer.sender import Sender


class StreamParts(NamedTuple):
    """What a stream shares with those before and after it."""

    on_wire: OnWire
    bandwidth: TokenBucket
    activities: Activities


Post = Callable[[Settled | Unsent | StreamEnded], None]


class PushStream:
    """Made and closed with the session."""

    def __init__(
        self,
        caller: Caller,
        session_id: bytes,
        sender: Sender,
        queue: SendQueue,
        post: Post,
        parts: StreamParts,
    ) -> None:
        """Open the stream. It owns ``sender``; ``post`` takes what happens, from any thread."""
        self._sender = sender
        self._queue = queue
        self._post = post
        self._on_wire = parts.on_wire
        self._bandwidth = parts.bandwidth
        self._pause = threading.Event()
        self._activities = parts.activities
        self._reading = parts.activities.add("reading files to send")
        self._call: Any = caller.open("PushChanges", self._messages(session_id), sender.traces.stream_headers)
        self._call.add_callback(self._stop)
        self._receiver = threading.Thread(target=self._receive, name="dirsync-receive", daemon=True)
        self._receiver.start()

    def close(self) -> None:
        """End the stream and wait for its reader; what was not settled is unknown."""
        self._stop()
        self._call.cancel()
        self._receiver.join()
        self._sender.traces.close()
        self._activities.remove(self._reading)

    def _stop(self) -> None:
        self._pause.set()
        self._queue.stop()

    def _messages(self, session_id: bytes) -> Iterator[bytes]:
        """Runs in gRPC's sending thread."""
        try:
            yield self._account(encode_stream_open(session_id))
            while (work := self._queue.take()).action is not SendAction.STOP:
                messages = self._sender.messages(work)
                while (message := self._next(messages)) is not None:
                    yield self._account(message)
        except Exception as error:  # noqa: BLE001  # a bug here must end the stream, not hang it
            self._post(StreamEnded(error))
            self._call.cancel()
        finally:
            self._sender.close()

    def _next(self, messages: Iterator[bytes]) -> bytes | None:
        """Make the next message, which may have to wait for the source."""
        self._reading.begin(Part.SOURCE)
        try:
            return next(messages, None)
        finally:
            self._reading.rest()

    def _account(self, message: bytes) -> bytes:
        pause = self._bandwidth.take(len(message), monotonic())
        if pause:
            self._pause.wait(pause)
        self._on_wire("sent", len(message))
        return message

    def _receive(self) -> None:
        error: Exception | None = None
        try:
            for raw in self._call:
                self._on_wire("received", len(raw))
                committed = decode_committed(raw)
                settled = self._sender.in_flight.settle(committed)
                # Posted first: where nothing waits for a commit any more, all results are in the mailbox.
                self._post(settled)
                if committed.requested:
                    self._sender.traces.committed(settled)
                    self._queue.committed()
        except grpc.RpcError as rpc_error:
            error = from_rpc_error(rpc_error)
        except Exception as other:  # noqa: BLE001  # a message that is refused, or a bug: either ends the stream
            error = other
            self._call.cancel()
        self._stop()
        self._post(StreamEnded(error))
