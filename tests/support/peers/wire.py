"""A peer that sends any bytes in any order to a real process, and reads what comes back.

It speaks ``dirsync.v1`` messages directly and shares no code with the client, so what it proves is true of the wire.
How a call ended is a :class:`Status`, never an exception: for a hostile peer a refusal is a result like any other.
"""

import contextlib
import queue
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb

SYNC = "/dirsync.v1.SyncService/"
REPLICA = "/dirsync.v1.ReplicaService/"
AGENT = "/dirsync.v1.AgentService/"
SECONDS = 20.0
"""How long anything here is waited for, unless a test says otherwise."""
_DETAILS = "grpc-status-details-bin"
Options = Sequence[tuple[str, Any]]
_OWN = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
"""A connection of its own: channels to one target share one otherwise, and its streams."""
_NO_BOUND = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

M = TypeVar("M", bound=Message)


class Status(NamedTuple):
    """How a call ended; ``reason`` and ``domain`` are those of its ErrorInfo."""

    code: str
    reason: str = ""
    domain: str = ""
    message: str = ""
    details: bytes = b""
    """The whole ``google.rpc.Status``, serialized."""


OK = Status("OK")


class Answer(NamedTuple):
    """All messages of a call, and how it ended."""

    messages: list[bytes]
    status: Status

    def as_messages(self, message_type: type[M]) -> list[M]:
        """The messages, parsed."""
        return [message_type.FromString(raw) for raw in self.messages]


class Push:
    """An open push stream: messages go out when they are sent, answers are read when they are wanted."""

    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...], seconds: float = SECONDS) -> None:
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._call = stub(iter(self._queue.get, None), metadata=metadata, timeout=seconds)

    def send(self, *messages: pb.PushChangesRequest | bytes) -> Self:
        """Send messages, or bytes that claim to be some."""
        for message in messages:
            self._queue.put(message if isinstance(message, bytes) else message.SerializeToString())
        return self

    def receive(self) -> pb.PushChangesResponse:
        """Wait for the next answer; the call must not have ended."""
        return pb.PushChangesResponse.FromString(next(self._call))

    def finish(self) -> tuple[list[pb.PushChangesResponse], Status]:
        """Half-close, and read to the end."""
        self._queue.put(None)
        return self.drain()

    def drain(self) -> tuple[list[pb.PushChangesResponse], Status]:
        """Read to the end, which the server makes."""
        answer = _read(self._call)
        self._queue.put(None)
        return answer.as_messages(pb.PushChangesResponse), answer.status

    def cancel(self) -> None:
        """Break the stream off, as a lost connection does, and wait until gRPC knows."""
        self._call.cancel()
        self._queue.put(None)
        self._call.code()


class Wire:
    """A raw peer of one process."""

    def __init__(
        self,
        target: str,
        token: str | None = None,
        *,
        seconds: float = SECONDS,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """``seconds`` is how long each call may take; ``options`` are those of the channel."""
        self._seconds = seconds
        self._channel = grpc.insecure_channel(target, options=[*options, *_NO_BOUND, *_OWN])
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: str, request: Message | bytes = b"") -> Answer:
        """Call a method of one request; whether one or many answers come makes no difference on the wire."""
        stub: Any = self._channel.unary_stream(method)
        return _read(stub(_raw(request), metadata=self._metadata, timeout=self._seconds))

    def stream(self, method: str, requests: Iterable[Message | bytes]) -> Answer:
        """Call a method with these requests, and read to the end."""
        stub: Any = self._channel.stream_stream(method)
        return _read(stub(map(_raw, list(requests)), metadata=self._metadata, timeout=self._seconds))

    def ask(self, method: str, request: Message, response_type: type[M]) -> M:
        """Call a method that must succeed with one answer."""
        answer = self.call(method, request)
        assert answer.status == OK, answer.status
        return response_type.FromString(answer.messages[0])

    def open_session(
        self,
        *,
        namespace: str = "default",
        client_id: str = "tester",
        instance_id: str = "first",
        ignore: Iterable[bytes] = (),
    ) -> pb.OpenSessionResponse:
        """Become the writer of a replica; modes and mtimes count."""
        options = entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True, ignore_rules=ignore)
        request = pb.OpenSessionRequest(
            protocol_version=1, namespace=namespace, client_id=client_id, instance_id=instance_id, options=options
        )
        return self.ask(SYNC + "OpenSession", request, pb.OpenSessionResponse)

    def close_session(self, session_id: bytes) -> Status:
        """Stop being the writer."""
        return self.call(SYNC + "CloseSession", pb.CloseSessionRequest(session_id=session_id)).status

    def push(self, session_id: bytes | None = None) -> Push:
        """An open push stream; with a session its first message is sent already."""
        stub: Any = self._channel.stream_stream(SYNC + "PushChanges")
        push = Push(stub, self._metadata, self._seconds)
        return push if session_id is None else push.send(stream_open(session_id))

    def list(self, session_id: bytes, *paths: bytes) -> Answer:
        """List directories."""
        return self.call(SYNC + "ListDirectories", pb.ListDirectoriesRequest(session_id=session_id, paths=paths))


def stream_open(session_id: bytes) -> pb.PushChangesRequest:
    """The first message of a push stream."""
    return pb.PushChangesRequest(open=pb.PushChangesRequest.Open(session_id=session_id))


def status_of(call: grpc.Call) -> Status:
    """How a call ended."""
    raw = next((bytes(v) for k, v in call.trailing_metadata() or () if k == _DETAILS and isinstance(v, bytes)), b"")
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(raw).details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
    return Status(call.code().name, info.reason, info.domain, call.details() or "", raw)


def _read(call: Any) -> Answer:
    """All that comes; the messages that came before an error count."""
    messages: list[bytes] = []
    with contextlib.suppress(grpc.RpcError):
        messages += call
    return Answer(messages, status_of(call))


def _raw(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()
