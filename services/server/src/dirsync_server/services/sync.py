"""``SyncService``: the writer's door. Bytes come in, the wire validates them, replicas do the work."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc

from dirsync import __version__
from dirsync.endpoint.apply.commit import Committer
from dirsync.endpoint.replica import Replica
from dirsync.errors import OutOfTurn, RemoteError, RootsOverlap
from dirsync.limits import LIMITS
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.location import overlap
from dirsync.wire.compression import Compression
from dirsync.wire.push.messages import Open, decode_push
from dirsync.wire.push.results import encode_committed
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
from dirsync.wire.strategy import Strategy
from dirsync_server.ingest.handler import Intake
from dirsync_server.services.signature import signature_pages
from dirsync_server.sessions import Session, Sessions
from dirsync_server.tenancy.authority import Authority

STRATEGIES = frozenset(Strategy)
"""What this server understands."""


class SyncServicer:
    """Handlers of ``SyncService``; each takes raw bytes."""

    def __init__(self, authority: Authority, sessions: Sessions, metrics: Metrics) -> None:
        self._authority = authority
        self._sessions = sessions
        self._metrics = metrics
        self._log = get_logger()

    def open_session(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Make the caller the writer of a replica."""
        request = decode_open(raw)
        replica = self._authority.authorize(request.namespace, context)
        if overlap(replica.location, request.location):
            msg = (
                "the replica and the source are one directory, or one lies in the other; choose another SOURCE or ROOT"
            )
            raise RootsOverlap(msg)
        replica.require_ready()
        self._sessions.admit(request)
        replica.look.again()
        with replica.lock:
            session = self._sessions.open(request, replica.next_generation())
            opened = self._opened(session, replica, request)
        self._log.info(
            Event.SESSION_OPENED,
            namespace=request.namespace,
            session=session.id.hex()[:8],
            client=request.client_id,
            generation=session.generation,
        )
        return encode_opened(opened)

    def list_directories(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """List directories, page by page."""
        session_id, paths = decode_list(raw)
        _, replica = self._session(session_id, context)
        for position, path in enumerate(paths):
            yield from encode_pages(position, replica.children(path))

    def get_signature(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Checksums of blocks of content that the replica has, page by page."""
        request = decode_signature_request(raw)
        _, replica = self._session(request.session_id, context)
        yield from signature_pages(replica, request, self._metrics, lambda: not context.is_active())

    def push_changes(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Apply operations as they come, and answer each commit."""
        first = decode_push(next(requests, b""))
        if not isinstance(first, Open):
            msg = "a push stream starts with its session"
            raise OutOfTurn(msg)
        session, replica = self._session(first.session_id, context)
        number = self._sessions.attach(session, context.cancel)
        try:
            yield from self._push(session, replica, first, requests, context)
        except RemoteError:
            # Whoever breaks the protocol once is not believed again. This stream ends with the error, not with its
            # session.
            self._sessions.detach(session, number)
            self._sessions.close(session.id)
            raise
        finally:
            self._sessions.detach(session, number)

    def close_session(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """End a session."""
        session_id = decode_close(raw)
        session = self._sessions.find(session_id)
        if session is not None:
            self._authority.authorize(session.request.namespace, context)
            self._sessions.close(session_id)
            self._log.info(Event.SESSION_CLOSED, namespace=session.request.namespace, session=session_id.hex()[:8])
        return CLOSED

    def handlers(self) -> dict[str, Any]:
        """The handlers by method name."""
        return {
            "OpenSession": self.open_session,
            "ListDirectories": self.list_directories,
            "GetSignature": self.get_signature,
            "PushChanges": self.push_changes,
            "CloseSession": self.close_session,
        }

    def _push(
        self,
        session: Session,
        replica: Replica,
        first: Open,
        requests: Iterator[bytes],
        context: grpc.ServicerContext,
    ) -> Iterator[bytes]:
        may_go_on = self._authority.keep(session.request.namespace, context)

        def fence() -> None:
            may_go_on()
            self._sessions.check(session)

        with (
            closing(Committer(replica, fence)) as committer,
            closing(Intake(replica, committer, self._metrics, lambda: not context.is_active())) as intake,
        ):
            intake.receive(first)
            for raw in requests:
                may_go_on()
                committed = intake.receive(decode_push(raw))
                if committed is not None:
                    yield from encode_committed(committed)

    def _opened(self, session: Session, replica: Replica, request: OpenRequest) -> Opened:
        options = replica.agree(request.options)
        return Opened(
            session_id=session.id,
            generation=session.generation,
            replica_id=replica.id,
            options=options,
            root_digest=replica.tree.digest(),
            entries=len(replica.tree),
            reserved_names=replica.staging.reserved_names,
            strategies=frozenset(int(strategy) for strategy in STRATEGIES),
            compressions=frozenset(Compression),
            max_message_bytes=LIMITS.max_message_bytes,
            max_file_bytes=replica.policy.quota.max_file_size,
            server_version=__version__,
        )

    def _session(self, session_id: bytes, context: grpc.ServicerContext) -> tuple[Session, Replica]:
        # Using a session keeps it alive, so whoever may not use its namespace must not get that far; where there is no
        # session any more, it says what became of it.
        known = self._sessions.find(session_id) or self._sessions.use(session_id)
        replica = self._authority.authorize(known.request.namespace, context)
        return self._sessions.use(session_id), replica
