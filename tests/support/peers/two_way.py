"""Raw two-way peers: sessions beside others, streams of reports, and reads of content."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import grpc

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.wire import SECONDS, SYNC, Status, Wire, status_of


class Seen(NamedTuple):
    """One page of a report, and when it came."""

    at: float
    """By ``time.perf_counter``."""
    page: pb.WatchReplicaResponse

    @property
    def paths(self) -> list[bytes]:
        """The paths that it names."""
        return [change.path for change in self.page.changes]


class Watch:
    """A stream of reports that has begun; a thread reads them as they come."""

    def __init__(self, wire: Wire, session_id: bytes) -> None:
        stub: Any = wire._channel.unary_stream(SYNC + "WatchReplica")
        request = pb.WatchReplicaRequest(session_id=session_id).SerializeToString()
        self._call = stub(request, metadata=wire._metadata)
        self._seen: queue.SimpleQueue[Seen | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.first = self.next()
        """The first page: from now on everything is reported."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._call.cancel()
        self._thread.join()

    def next(self, seconds: float = SECONDS) -> pb.WatchReplicaResponse:
        """The next page; the stream must not have ended."""
        seen = self._seen.get(timeout=seconds)
        assert seen is not None, self.status()
        return seen.page

    def wait_for(self, path: bytes, seconds: float = SECONDS) -> Seen:
        """The page that names a path; those before it are dropped."""
        until = time.monotonic() + seconds
        while True:
            seen = self._seen.get(timeout=max(0.001, until - time.monotonic()))
            assert seen is not None, self.status()
            if path in seen.paths:
                return seen

    def nothing(self, seconds: float = 0.3) -> bool:
        """Whether no page comes for so long."""
        try:
            return self._seen.get(timeout=seconds) is None
        except queue.Empty:
            return True

    def status(self) -> Status:
        """How it ended; waits for that."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the stream goes on"
        return status_of(self._call)

    def _read(self) -> None:
        try:
            for raw in self._call:
                self._seen.put(Seen(time.perf_counter(), pb.WatchReplicaResponse.FromString(raw)))
        except grpc.RpcError:
            pass
        self._seen.put(None)


def opening(
    client_id: str, *, two_way: bool = True, namespace: str = "default", ignore: Iterable[bytes] = ()
) -> pb.OpenSessionRequest:
    """A request to open a session."""
    return pb.OpenSessionRequest(
        protocol_version=1,
        namespace=namespace,
        client_id=client_id,
        instance_id="first",
        options=entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True, ignore_rules=ignore),
        mode=pb.SESSION_MODE_TWO_WAY if two_way else pb.SESSION_MODE_UNSPECIFIED,
    )


def open_two_way(wire: Wire, client_id: str, **options: Any) -> bytes:
    """Open a two-way session; returns its id."""
    opened = wire.ask(SYNC + "OpenSession", opening(client_id, **options), pb.OpenSessionResponse)
    assert opened.mode == pb.SESSION_MODE_TWO_WAY
    return opened.session_id


@contextmanager
def two_way(wire: Wire, client_id: str, **options: Any) -> Iterator[bytes]:
    """A two-way session, closed in the end."""
    session_id = open_two_way(wire, client_id, **options)
    try:
        yield session_id
    finally:
        wire.close_session(session_id)


def reading(session_id: bytes, digest: bytes, *ranges: tuple[int, int], path: bytes = b"") -> pb.ReadContentRequest:
    """A request for content."""
    asked = [pb.ByteRange(offset=offset, length=length) for offset, length in ranges]
    return pb.ReadContentRequest(session_id=session_id, digest=digest, path=path, ranges=asked)


def read(wire: Wire, request: pb.ReadContentRequest) -> tuple[bytes, Status]:
    """The bytes that come, and how the call ends."""
    answer = wire.call(SYNC + "ReadContent", request)
    pieces = answer.as_messages(pb.ReadContentResponse)
    return b"".join(piece.literal or bytes(piece.zeros) for piece in pieces), answer.status
