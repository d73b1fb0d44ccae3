"""One stream of ``WatchReplica``: what others change in a replica, as reports.

It is driven from outside, like a push stream, so the caller decides when anything happens::

    watch = ReplicaWatch(sessions, call, session_id)
    try:
        while watch.wait():                     # or without waiting, where somebody else knows when to ask
            for message in watch.take():
                send(message)
    finally:
        watch.close()

The first report is due at once. A report says what the tree has when it is made, so a reader that is slow gets fewer
and newer ones, and the memory that it takes is bounded.
"""

from dirsync.runtime.metrics.metrics import Metrics
from dirsync.wire.watch import Report, ReportedChange, encode_report
from dirsync_server.call import Call
from dirsync_server.sessions import Sessions, StreamKind


class ReplicaWatch:
    """Reports to one session until :meth:`close`, which may come from any thread."""

    def __init__(self, sessions: Sessions, call: Call, session_id: bytes, metrics: Metrics) -> None:
        """Begin to watch.

        Raises:
            OutOfTurn: the session is no two-way session, or is watching already.
            SessionError, Unavailable: there is no such session, or the server is stopping.
            Unauthenticated, PermissionDenied, NotFound: the caller may not.
        """
        session, replica = sessions.authorized(session_id, call.authorize)
        self._sessions = sessions
        self._session = session
        self._replica = replica
        self._require_allowed = call.recheck(session.request.namespace)
        self._reports = metrics.family("dirsync_reports_total")
        self._number = sessions.attach(session, call.end, StreamKind.WATCH)
        self._subscription = replica.changes.subscribe(session.id)
        self._subscription.tell((), session.id)
        call.on_end(self.close)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a report is due; false if none was in that time, or the stream is over."""
        return self._subscription.wait(seconds)

    def take(self) -> list[bytes]:
        """The messages of the report that is due.

        Raises:
            SessionError: the session is over.
            Unauthenticated, PermissionDenied, NotFound: the caller may not watch any more.
        """
        self._require_allowed()
        self._sessions.check(self._session)
        dirty = self._subscription.take()
        # In byte order a directory comes before what is in it.
        digest, entries, found, version = self._replica.state.moment(sorted(dirty.paths))
        changes = tuple(ReportedChange(path, entry) for path, entry in found)
        self._reports["everything" if dirty.everything else "changes" if changes else "digest",].inc()
        return list(encode_report(Report(digest, entries, changes, dirty.everything, version=version)))

    def close(self) -> None:
        """Watch no longer."""
        self._replica.changes.unsubscribe(self._subscription)
        self._sessions.detach(self._session, self._number)
