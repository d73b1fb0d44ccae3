"""The write API without its transport: plain functions from bytes to bytes.

Everything ``SyncService`` does is here; :mod:`dirsync_server.services.sync` only carries it over gRPC. A simulation
that runs client and server in one thread drives it directly::

    api = WriteApi(Sessions(max_sessions), PrometheusMetrics(catalogue=SERVER_CATALOGUE))
    call = Call(authorize=replicas.__getitem__)     # replicas: Mapping[str, Replica], each after Replica.scan()

    opened = api.open_session(request, call)        # bytes -> bytes
    pages = api.list_directories(request, call)     # bytes -> iterator of bytes
    pages = api.get_signature(request, call)        # bytes -> iterator of bytes
    stream = api.push_changes(call)                 # see dirsync_server.ingest.handler
    responses = stream.receive(message)             # bytes -> list of bytes, once for each message
    stream.close()
    watch = api.watch_replica(request, call)        # see dirsync_server.services.watch
    pieces = api.read_content(request, call)        # bytes -> iterator of bytes
    api.close_session(request, call)                # bytes -> bytes

Errors that a peer is told are :class:`~dirsync.errors.DirsyncError`.
"""

from collections.abc import Iterator

from dirsync import __version__
from dirsync.endpoint.replica import Replica
from dirsync.errors import RootsOverlap
from dirsync.fs.write.durable import can_build
from dirsync.limits import LIMITS
from dirsync.location import overlap
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.trace.tracer import NO_TRACER, Tracer
from dirsync.tree.strategy import Strategy
from dirsync.wire.compression import Compression
from dirsync.wire.content import decode_content_request
from dirsync.wire.session import (
    CLOSED,
    Opened,
    OpenRequest,
    decode_close,
    decode_list,
    decode_open,
    encode_opened,
    encode_pages,
)
from dirsync.wire.signature import decode_signature_request
from dirsync.wire.watch import decode_watch
from dirsync_server.call import Call
from dirsync_server.ingest.handler import IngestHandler
from dirsync_server.services.content import content_pieces
from dirsync_server.services.signature import signature_pages
from dirsync_server.services.watch import ReplicaWatch
from dirsync_server.sessions import Session, Sessions, StreamKind

STRATEGIES = frozenset(Strategy)
"""What this server understands."""


class WriteApi:
    """The API of the writers of each replica. Thread-safe: each call may come from a thread of its own."""

    def __init__(self, sessions: Sessions, metrics: Metrics, tracer: Tracer = NO_TRACER) -> None:
        self._sessions = sessions
        self._metrics = metrics
        self._tracer = tracer
        self._log = get_logger()

    def open_session(self, raw: bytes, call: Call) -> bytes:
        """Make the caller a writer of a replica."""
        request = decode_open(raw)
        replica = call.authorize(request.namespace)
        if overlap(replica.location, request.location):
            msg = (
                "the replica and the source are one directory, or one lies in the other; choose another SOURCE or ROOT"
            )
            raise RootsOverlap(msg)
        replica.require_ready()
        self._sessions.admit(request)
        replica.scanner.rescan_if_due()
        with replica.writer:
            fellows = self._sessions.fellows(request)
            if fellows:
                replica.require_options(request.options)
            session = self._sessions.open(request, replica.next_generation())
            opened = self._opened(session, replica, request)
        # Nothing that superseded sessions have staged can be committed any more. What they have is continued here.
        replica.uploads.take_over(session.generation, [fellow.generation for fellow in fellows])
        opened = opened._replace(kept_uploads=replica.uploads.listing())
        self._log.info(
            Event.SESSION_OPENED,
            namespace=request.namespace,
            session=session.id.hex()[:8],
            client=request.client_id,
            generation=session.generation,
            mode=request.mode.value,
        )
        return encode_opened(opened)

    def list_directories(self, raw: bytes, call: Call) -> Iterator[bytes]:
        """List directories, page by page."""
        session_id, paths = decode_list(raw)
        _, replica = self._sessions.authorized(session_id, call.authorize)
        for position, path in enumerate(paths):
            yield from encode_pages(position, replica.children(path))

    def get_signature(self, raw: bytes, call: Call) -> Iterator[bytes]:
        """Checksums of blocks of content that the replica has, page by page."""
        request = decode_signature_request(raw)
        _, replica = self._sessions.authorized(request.session_id, call.authorize)
        yield from signature_pages(replica, request, call.cancelled)

    def push_changes(self, call: Call) -> IngestHandler:
        """The handler of one push stream. The caller closes it."""
        return IngestHandler(self._sessions, call, self._metrics, self._tracer)

    def watch_replica(self, raw: bytes, call: Call) -> ReplicaWatch:
        """What others change in a replica, as reports. The caller closes it."""
        return ReplicaWatch(self._sessions, call, decode_watch(raw), self._metrics)

    def read_content(self, raw: bytes, call: Call) -> Iterator[bytes]:
        """Content that the replica has, piece by piece."""
        request = decode_content_request(raw)
        session, replica = self._sessions.authorized(request.session_id, call.authorize)
        number = self._sessions.attach(session, call.end, StreamKind.READ)

        def ended() -> None:
            self._sessions.detach(session, number)

        call.on_end(ended)
        try:
            yield from content_pieces(replica, request, self._metrics, call.cancelled)
        finally:
            ended()

    def close_session(self, raw: bytes, call: Call) -> bytes:
        """End a session."""
        session_id = decode_close(raw)
        session = self._sessions.find(session_id)
        if session is not None:
            call.authorize(session.request.namespace)
            self._sessions.close(session_id)
            self._log.info(Event.SESSION_CLOSED, namespace=session.request.namespace, session=session_id.hex()[:8])
        return CLOSED

    def _opened(self, session: Session, replica: Replica, request: OpenRequest) -> Opened:
        options = replica.agree(request.options)
        totals = replica.totals()
        return Opened(
            session_id=session.id,
            generation=session.generation,
            replica_id=replica.id,
            options=options,
            root_digest=totals.root_digest,
            entries=totals.entries,
            reserved_names=replica.staging.reserved_names,
            strategies=STRATEGIES,
            compressions=frozenset(Compression),
            max_message_bytes=LIMITS.max_message_bytes,
            max_file_bytes=replica.policy.quota.max_file_size,
            server_version=__version__,
            keeps_uploads=True,
            takes_commit_after=True,
            mode=request.mode,
            builds_directories=can_build(replica.policy.fsync),
        )
