"""One push stream at the server, as a state machine that is driven from outside.

:meth:`IngestHandler.receive` takes one message as bytes, does all that it asks for in the caller's thread, and returns
the responses that are due, usually none: a commit has one, or more if it had many failures. There is no thread, queue
or generator in here, so the caller decides when anything happens::

    handler = IngestHandler(sessions, call, metrics)
    try:
        for message in messages:                # the first one names the session
            for response in handler.receive(message):
                send(response)
    finally:
        handler.close()                         # drops what was not committed; the session goes on

``receive`` raises a :class:`~dirsync.errors.DirsyncError` where the stream has to end with that status; after it the
handler is closed. A message that no correct client sends (``RemoteError``) ends the session as well. One thread at a
time.
"""

from dirsync.errors import RemoteError
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.trace.tracer import NO_TRACER, Tracer
from dirsync.wire.push.messages import Commit, Open, PushMessage, WithCommit, decode_push
from dirsync.wire.push.results import encode_committed
from dirsync_server.call import Call
from dirsync_server.ingest.observed_commit import ObservedCommitter
from dirsync_server.ingest.protocol import PushState
from dirsync_server.ingest.upload_store import UploadStore
from dirsync_server.sessions import Session, Sessions


class _Stream:
    """What a push stream has once its session is known."""

    def __init__(self, sessions: Sessions, call: Call, metrics: Metrics, opening: Open) -> None:
        session, replica = sessions.authorized(opening.session_id, call.authorize)
        self.session: Session = session
        self._sessions = sessions
        self._number = sessions.attach(session, call.end)
        try:
            self.require_allowed = call.recheck(session.request.namespace)
            self._replica = replica
            self._committer = ObservedCommitter(replica, self._fence, session.id)
        except BaseException:
            sessions.detach(session, self._number)
            raise
        try:
            self.store = UploadStore(replica, self._committer, metrics, session.generation, call.cancelled)
        except BaseException:
            self._committer.close()
            sessions.detach(session, self._number)
            raise

    def rescan(self) -> None:
        self._replica.scanner.rescan()

    def drop_uploads(self) -> None:
        self._replica.uploads.drop_all()

    def close(self) -> None:
        try:
            self.store.close()
            self._committer.close()
        finally:
            self._sessions.detach(self.session, self._number)

    def _fence(self) -> None:
        self.require_allowed()
        self._sessions.check(self.session)


class IngestHandler:
    """One push stream, from its first message to its end."""

    def __init__(self, sessions: Sessions, call: Call, metrics: Metrics, tracer: Tracer = NO_TRACER) -> None:
        self._sessions = sessions
        self._call = call
        self._tracer = tracer
        self._metrics = metrics
        self._state = PushState()
        self._stream: _Stream | None = None

    def receive(self, message: bytes) -> list[bytes]:
        """Take in one message; returns the responses that are due now.

        Raises:
            OutOfTurn, LimitExceeded: the message may not come now.
            InvalidMessage: no correct client sends it.
            SessionError, StorageError: nothing can be committed.
            Unauthenticated, PermissionDenied, NotFound: the caller may not, or not any more.
        """
        try:
            if self._stream is not None:
                self._stream.require_allowed()
            return self._receive(decode_push(message))
        except RemoteError:
            # A peer that breaks the protocol once is not trusted again. This stream ends with the error, not with that
            # of its session.
            session = None if self._stream is None else self._stream.session
            self.close()
            if session is not None:
                self._sessions.close(session.id)
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop what was not committed, and let go of everything; nothing is received after that."""
        self._state.close()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _receive(self, message: PushMessage) -> list[bytes]:
        self._state.receive(message)
        if isinstance(message, Open):
            self._stream = _Stream(self._sessions, self._call, self._metrics, message)
            return []
        assert self._stream is not None
        match message:
            case Commit():
                return self._commit(self._stream, message)
            case WithCommit(message=before, commit=commit):
                self._stream.store.take(before)
                return self._commit(self._stream, commit)
            case _:
                self._stream.store.take(message)
                return self._commit(self._stream, None) if self._stream.store.is_full else []

    def _commit(self, stream: _Stream, asked: Commit | None) -> list[bytes]:
        """Commit what is there; ``None`` if the client has not asked for it."""
        if asked is not None and asked.drop_uploads:
            stream.drop_uploads()
        if asked is not None and asked.rescan:
            stream.rescan()
        # A commit that the client has not asked for belongs to the stream.
        parent = (asked.traceparent if asked is not None else "") or self._call.traceparent
        namespace = stream.session.request.namespace
        span = self._tracer.start("publish", parent=parent, namespace=namespace)
        try:
            committed = stream.store.commit(self._state.last_number, requested=asked is not None)
        except BaseException as error:
            span.end(str(error) or type(error).__name__)
            raise
        span.set(failed=len(committed.failures), entries=committed.entries)
        span.end()
        return list(encode_committed(committed))
