"""The names of log events: a contract that queries and alerts rely on, so they change only by adding.

What each of them carries is in :mod:`dirsync.runtime.log.schema`.
"""

from enum import StrEnum


class Event(StrEnum):
    """What can be in the key ``event`` of a log line."""

    SERVER_STARTED = "server.started"
    SERVER_STOPPING = "server.stopping"
    CLIENT_STARTED = "client.started"
    CLIENT_STOPPING = "client.stopping"
    CLIENT_STOPPED = "client.stopped"
    """What was not at the server when the client ended: ``left`` (how many paths), ``paths`` (the first of them),
    ``looked`` (whether the source was looked at to its end), ``held`` and ``problems`` (how many of each),
    ``problem`` (why the server is lost, if it is)."""
    CONFIG_EFFECTIVE = "config.effective"
    """``settings``: every setting as it would be written, secrets only as set or not."""
    CONFIG_OVERRIDDEN = "config.overridden"
    """A flag that says where was given once more on the command line, and the later value counts: ``problem``."""
    CONFIG_RELOADED = "config.reloaded"
    """A file that we read again (certificate, token, tenants) has changed and is in force: ``setting``."""
    CONFIG_REJECTED = "config.rejected"
    """Such a file is gone, or cannot be used (now): ``setting``, ``problem``. The last good one stays in force, except
    that without the files that name the allowed callers no call is accepted."""

    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    CONNECTION_LOST = "connection.lost"
    CONNECTION_RESTORED = "connection.restored"
    TARGET_FAILED = "target.failed"
    """One of several servers gets nothing any more, until the client is started again: ``reason``, ``problem``."""
    AUTH_REJECTED = "auth.rejected"
    """``method``, ``reason``, ``problem``; with the reason ``RATE_LIMITED`` once the network instead (``peer``)."""
    REQUEST_REJECTED = "request.rejected"

    NAMESPACE_OPENED = "namespace.opened"
    """A namespace was opened for a call: ``entries`` (what its replica holds)."""
    NAMESPACE_CLOSED = "namespace.closed"
    """It was closed: ``reason`` (``idle``, ``wanted`` by another server, ``lost`` to one)."""
    NAMESPACE_UNAVAILABLE = "namespace.unavailable"
    """It cannot be opened now: ``problem``. The next call tries again."""

    SYNC_STARTED = "sync.started"
    SYNC_STALLED = "sync.stalled"
    """Something stands still: ``part`` (``source``, ``server``, ``client``), ``problem``."""
    SYNC_RESUMED = "sync.resumed"
    SYNC_COMPLETED = "sync.completed"
    """``files``, ``deletes``, ``logical_bytes``, ``literal_bytes``, ``saved_bytes``, ``wire_bytes``, ``duration_ms``,
    ``root_digest``; also when nothing changed."""
    FILE_SYNCED = "file.synced"
    """``path``, ``strategy``, ``size``, ``literal_bytes``, ``saved_bytes``, ``duration_ms``."""
    FILE_DELETED = "file.deleted"
    """``path``."""
    FILE_RECEIVED = "file.received"
    """In two-way mode, at the source: ``path``, ``operation``, ``size``, ``received_bytes``, ``reused_bytes``,
    ``saved_bytes``."""
    CONFLICT_KEPT = "conflict.kept"
    """Both sides had changed ``path``: ``winner`` (``source``, ``replica``), ``resolution``, ``kept_as`` (the conflict
    name of the other version)."""
    FILE_LEFT_OUT = "file.left_out"
    """What was at ``path`` got a ``name`` that is left out, so the replica loses it; ``problem`` says why."""
    FILE_PROBLEM = "file.problem"
    """``path``, ``kind``, ``problem``."""
    GUARD_HELD = "guard.held"
    GUARD_RELEASED = "guard.released"

    REPLICA_EDITED = "replica.edited"
    """Others than clients changed files of a replica that a two-way client watches: ``paths`` (how many), ``path`` (the
    first)."""
    WATCH_OVERFLOW = "watch.overflow"
    WATCH_DEGRADED = "watch.degraded"
    RESCAN_COMPLETED = "rescan.completed"

    HOOK_SUCCEEDED = "hook.succeeded"
    """A hook was run for a state: ``hook`` (``command``, ``webhook``), ``namespace``, ``root_digest``, ``paths`` (how
    many it was told), ``truncated``, ``duration_ms``."""
    HOOK_FAILED = "hook.failed"
    """It failed, or took too long: as above, ``kind`` (``failed``, ``timed_out``), ``problem``, ``retry_s`` (the pause
    before the next try)."""
    HOOK_UNDELIVERED = "hook.undelivered"
    """The program ends, and the hook does not know the last state of a ``namespace``: ``hook``, ``root_digest``. The
    next start runs it."""

    TRACE_UNAVAILABLE = "trace.unavailable"
    """Variables of OpenTelemetry ask for traces that cannot be made: ``problem``."""

    LOG_UNTRACKED = "log.untracked"
    """Our own log is a file in what is mirrored, and is left out: ``path``, ``problem``."""
    LOG_DROPPED = "log.dropped"
    """Nobody read stderr for so long that lines were dropped here: ``dropped``, their number."""
    AGENT_DEGRADED = "agent.degraded"
    """The agent has no socket in STATE_DIR."""
    LIBRARY_MESSAGE = "library.message"
    """A message of a library, a warning or an uncaught exception: ``logger``, ``message``, perhaps ``exception``."""


REPEATED = frozenset(
    {
        Event.FILE_PROBLEM,
        Event.CONNECTION_LOST,
        Event.AUTH_REJECTED,
        Event.REQUEST_REJECTED,
        Event.CONFIG_REJECTED,
        Event.REPLICA_EDITED,
        Event.WATCH_OVERFLOW,
        Event.HOOK_FAILED,
        Event.LIBRARY_MESSAGE,
    }
)
"""Events that a fault or a peer can cause without end, and that are therefore rate-limited by kind."""
