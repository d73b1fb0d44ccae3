"""The server's APIs without a server: called in the test's own thread, nothing in between."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.location import Location
from dirsync.runtime.metrics.catalogue import SERVER_CATALOGUE
from dirsync.runtime.metrics.metrics import Metrics, NoMetrics
from dirsync.tree.entry import Entry
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT, RelPath
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.replica import ReplicaStatus, decode_status, encode_status_request
from dirsync.wire.session import OpenRequest, SessionMode, decode_opened, decode_page, encode_list, encode_open
from dirsync_server.call import Call
from dirsync_server.ingest.handler import IngestHandler
from dirsync_server.namespaces.slot import Hold
from dirsync_server.replica_metrics import ReplicaMetrics
from dirsync_server.services.replica import ReplicaServicer
from dirsync_server.services.write_api import WriteApi
from dirsync_server.sessions import Sessions
from dirsync_server.tenancy.authority import Authority
from dirsync_server.tenancy.registry import TenantRegistry
from tests.support.peers.wire import stream_open

NAMESPACE = "default"
QUOTA = Quota(max_file_size=1 << 20, max_bytes=1 << 22, max_entries=1000, min_free_bytes=0)


class _NoContext:
    """A call that shows nothing and never ends."""

    @staticmethod
    def invocation_metadata() -> tuple[()]:
        return ()

    @staticmethod
    def cancel() -> None:
        return

    @staticmethod
    def add_callback(_callback: Callable[[], None]) -> bool:
        return True


NO_CONTEXT: Any = _NoContext()
"""For calls where no credentials are asked for."""


class FixedReplicas:
    """Replicas that stay open."""

    def __init__(self, replicas: Mapping[str, Replica]) -> None:
        self._replicas = replicas

    def use(self, namespace: str, _hold: Hold) -> Replica:
        """The replica of a namespace."""
        return self._replicas[namespace]


class Direct(NamedTuple):
    """One replica and its APIs."""

    place: Path
    """The replica's directory."""
    replica: Replica
    metrics: Metrics
    sessions: Sessions
    api: WriteApi
    reader: ReplicaServicer
    call: Call

    def open(
        self, options: TreeOptions | None = None, client: str = "client", mode: SessionMode = SessionMode.MIRROR
    ) -> bytes:
        """Open a session; returns its id."""
        request = OpenRequest(NAMESPACE, client, "1", options or TreeOptions(), Location("", ()), mode=mode)
        return decode_opened(self.api.open_session(encode_open(request), self.call)).session_id

    def push(self, session_id: bytes) -> IngestHandler:
        """A push stream of the session."""
        handler = self.api.push_changes(self.call)
        assert [] == handler.receive(stream_open(session_id).SerializeToString())
        return handler

    def list(self, session_id: bytes, path: RelPath = ROOT) -> list[tuple[bytes, Entry]]:
        """The names and entries in a directory."""
        pages = self.api.list_directories(encode_list(session_id, [path]), self.call)
        return [child for page in pages for child in decode_page(page).children]

    def status(self) -> ReplicaStatus:
        """What the read API says."""
        return decode_status(self.reader.get_status(encode_status_request(NAMESPACE), NO_CONTEXT))


@contextmanager
def direct(place: Path, quota: Quota = QUOTA, end: Callable[[], object] = lambda: None) -> Iterator[Direct]:
    """A replica in ``place`` that was scanned, and its APIs; ``end`` is called where a stream is to be ended."""
    root = place / "replica"
    root.mkdir(exist_ok=True)
    metrics, policy = NoMetrics(catalogue=SERVER_CATALOGUE), ReplicaPolicy(quota)
    replica = Replica.open(NAMESPACE, root, place, policy, ReplicaMetrics(metrics))
    try:
        replica.scan()
        replicas = {NAMESPACE: replica}
        sessions = Sessions(4)
        authority = Authority(
            TenantRegistry.single(root, policy, None), FixedReplicas(replicas), requires_credentials=False
        )
        call = Call(authorize=replicas.__getitem__, end=end)
        reader = ReplicaServicer(authority, sessions)
        yield Direct(root, replica, metrics, sessions, WriteApi(sessions, metrics), reader, call)
    finally:
        replica.close()


def send(handler: IngestHandler, *messages: pb.PushChangesRequest) -> list[Any]:
    """Give the messages to a push stream; returns the responses."""
    raw = [response for message in messages for response in handler.receive(message.SerializeToString())]
    return [pb.PushChangesResponse.FromString(response) for response in raw]
