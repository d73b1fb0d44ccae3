"""What each event carries: a contract beside the names (:mod:`dirsync.runtime.log.events`); it changes only by adding.

``docs/events.md`` is made of it, and the tests hold every event of every program that they start against it: a field
that is not listed here fails them. No program reads it while it runs.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from dirsync.runtime.log.events import Event


class FieldType(StrEnum):
    """What a value can be."""

    TEXT = "text"
    PATH = "path"
    """Text. Relative to the root, unless the meaning says otherwise. What is no printable UTF-8 is escaped."""
    PATHS = "list of paths"
    COUNT = "count"
    """An integer that is not negative."""
    BYTES = "bytes"
    """An integer that is not negative."""
    MILLISECONDS = "milliseconds"
    """A number that is not negative."""
    SECONDS = "seconds"
    """A number that is not negative."""
    DIGEST = "digest"
    """64 hexadecimal digits."""
    FLAG = "true or false"
    OBJECT = "object"


class Field(NamedTuple):
    """One field of an event."""

    type: FieldType
    meaning: str
    optional: bool = False
    """It is not always there; the meaning says when it is."""


class EventSchema(NamedTuple):
    """One event: when it is logged, by whom, how severe it is, and its fields beside :data:`HEAD`."""

    meaning: str
    services: tuple[str, ...]
    levels: tuple[str, ...]
    fields: dict[str, Field]


_T = FieldType
_CLIENT, _SERVER, _BOTH = ("client",), ("server",), ("client", "server")
_INFO, _WARNING, _ERROR = ("info",), ("warning",), ("error",)
_PROBLEM = Field(_T.TEXT, "what is wrong and what to do, for people")
_PATH = Field(_T.PATH, "where")
_HOOK = {
    "hook": Field(_T.TEXT, "`command` or `webhook`"),
    "root_digest": Field(_T.DIGEST, "of the state"),
    "paths": Field(_T.COUNT, "changed paths that it was told"),
    "truncated": Field(_T.FLAG, "whether there were more"),
    "duration_ms": Field(_T.MILLISECONDS, "time that it took"),
}

HEAD: Final = {
    "timestamp": Field(_T.TEXT, "when, RFC 3339 in UTC with milliseconds"),
    "level": Field(_T.TEXT, "`debug`, `info`, `warning`, `error` or `critical`"),
    "event": Field(_T.TEXT, "the name of the event"),
    "service": Field(_T.TEXT, "`client` or `server`"),
    "version": Field(_T.TEXT, "version of the program"),
    "namespace": Field(_T.TEXT, "the replica that it is about; null if it is about none"),
    "session": Field(_T.TEXT, "the session that it is about; null if it is about none"),
    "target": Field(
        _T.TEXT,
        "the server that it is about, by the name that `SERVER` gives it; only of a client whose servers have names",
        optional=True,
    ),
}
"""What every event begins with."""
EXCEPTION: Final = Field(_T.TEXT, "a traceback, if an exception caused the event", optional=True)
"""Any event may have the field ``exception``."""
DROPPED: Final = {
    "kind": Field(_T.TEXT, "of the dropped events: their `kind`, `reason` or `logger`; null without one"),
    "suppressed": Field(_T.COUNT, "how many were dropped"),
    "message": Field(_T.TEXT, "the same, for people"),
}
"""In place of its own fields: an event that repeats without end is limited, and at the end of a minute says so."""

SCHEMA: Final[dict[Event, EventSchema]] = {
    Event.SERVER_STARTED: EventSchema(
        "The server listens. It reads its replicas before it is ready.",
        _SERVER,
        _INFO,
        {
            "listen": Field(_T.TEXT, "address for gRPC"),
            "metrics_listen": Field(_T.TEXT, "address for metrics, health and the status page, with its real port"),
        },
    ),
    Event.NAMESPACE_OPENED: EventSchema(
        "A namespace was opened for a call, by a server that opens them on demand.",
        _SERVER,
        _INFO,
        {"entries": Field(_T.COUNT, "what its replica holds")},
    ),
    Event.NAMESPACE_CLOSED: EventSchema(
        "A namespace was closed. The next call opens it again, on the server that the call reaches.",
        _SERVER,
        _INFO,
        {
            "reason": Field(
                _T.TEXT, "`idle`: no client used it; `wanted` by another server; `lost`: another server has taken it"
            )
        },
    ),
    Event.NAMESPACE_UNAVAILABLE: EventSchema(
        "A namespace cannot be opened now. The next call tries again.", _SERVER, _WARNING, {"problem": _PROBLEM}
    ),
    Event.SERVER_STOPPING: EventSchema(
        "The server ends.", _SERVER, _INFO, {"reason": Field(_T.TEXT, "the signal, or what failed")}
    ),
    Event.CLIENT_STARTED: EventSchema(
        "The client listens, and begins to look at the source.",
        _CLIENT,
        _INFO,
        {
            "source": Field(_T.PATH, "the source, as the setting names it"),
            "server": Field(_T.TEXT, "address of the server"),
            "listen": Field(_T.TEXT, "address of the agent"),
            "metrics_listen": Field(_T.TEXT, "address for metrics, health and the status page, with its real port"),
        },
    ),
    Event.CLIENT_STOPPING: EventSchema(
        "The client ends: it looks once more and sends what differs.",
        _CLIENT,
        _INFO,
        {"reason": Field(_T.TEXT, "the signal, or what failed")},
    ),
    Event.CLIENT_STOPPED: EventSchema(
        "What was not at the server when the client ended. A warning if anything was left or is not known.",
        _CLIENT,
        ("info", "warning"),
        {
            "looked": Field(_T.FLAG, "whether the source was looked at to its end"),
            "problem": Field(_T.TEXT, "why the server is lost, or why nothing is known; empty otherwise"),
            "left": Field(_T.COUNT, "paths that differ; not there if the source does not answer", optional=True),
            "paths": Field(_T.PATHS, "the first of them; with `left`", optional=True),
            "held": Field(_T.COUNT, "operations that a guard holds; with `left`", optional=True),
            "problems": Field(_T.COUNT, "paths that have a problem; with `left`", optional=True),
        },
    ),
    Event.CONFIG_EFFECTIVE: EventSchema(
        "All settings, once at start.",
        _BOTH,
        _INFO,
        {"settings": Field(_T.OBJECT, "each setting as it would be written; secrets only as set or not")},
    ),
    Event.CONFIG_OVERRIDDEN: EventSchema(
        "A flag that says where was given once more on the command line, and the later value counts.",
        _BOTH,
        _WARNING,
        {"problem": _PROBLEM},
    ),
    Event.CONFIG_RELOADED: EventSchema(
        "A file that is read again (certificate, token, tenants) has changed and is in force.",
        _BOTH,
        _INFO,
        {"setting": Field(_T.TEXT, "the settings that name the files")},
    ),
    Event.CONFIG_REJECTED: EventSchema(
        "Such a file is gone, or cannot be used (now). The last good one stays in force, except that without the files "
        "that name the allowed callers no call is accepted.",
        _BOTH,
        ("warning", "error"),
        {
            "setting": Field(_T.TEXT, "the settings that name the files"),
            "problem": _PROBLEM,
            "kind": Field(_T.TEXT, "what repeats are counted by"),
        },
    ),
    Event.SESSION_OPENED: EventSchema(
        "A client has become a writer of a replica.",
        _BOTH,
        _INFO,
        {
            "generation": Field(_T.COUNT, "number of the session; an older one can write no more"),
            "replica": Field(_T.TEXT, "id of the replica; at the client", optional=True),
            "client": Field(_T.TEXT, "id of the client; at the server", optional=True),
            "mode": Field(_T.TEXT, "`mirror` or `two-way`; at the server", optional=True),
        },
    ),
    Event.SESSION_CLOSED: EventSchema("A session has ended in order.", _BOTH, _INFO, {}),
    Event.CONNECTION_LOST: EventSchema(
        "A session was lost, or could not be opened. It is tried again.",
        _CLIENT,
        _WARNING,
        {"reason": Field(_T.TEXT, "the kind of error, in capitals"), "problem": _PROBLEM},
    ),
    Event.CONNECTION_RESTORED: EventSchema("After that, something has passed over a connection.", _CLIENT, _INFO, {}),
    Event.TARGET_FAILED: EventSchema(
        "One of several servers gets nothing any more, until the client is started again; the others go on.",
        _CLIENT,
        _WARNING,
        {"reason": Field(_T.TEXT, "the kind of error, in capitals"), "problem": _PROBLEM},
    ),
    Event.AUTH_REJECTED: EventSchema(
        "A caller was refused for their credentials, or a network for too many wrong ones.",
        _BOTH,
        _WARNING,
        {
            "reason": Field(_T.TEXT, "the kind of error, in capitals; `RATE_LIMITED` for too many"),
            "problem": _PROBLEM,
            "method": Field(_T.TEXT, "the method that was called; not with `RATE_LIMITED`", optional=True),
            "peer": Field(_T.TEXT, "the network of the callers; with `RATE_LIMITED`", optional=True),
        },
    ),
    Event.REQUEST_REJECTED: EventSchema(
        "A request was refused for any other reason.",
        _BOTH,
        _WARNING,
        {
            "method": Field(_T.TEXT, "the method that was called"),
            "reason": Field(_T.TEXT, "the kind of error, in capitals"),
            "problem": _PROBLEM,
        },
    ),
    Event.SYNC_STARTED: EventSchema("Something differs, or may.", _CLIENT, _INFO, {}),
    Event.SYNC_STALLED: EventSchema(
        "Something stands still.",
        _CLIENT,
        _WARNING,
        {"part": Field(_T.TEXT, "`source`, `server` or `client`"), "problem": _PROBLEM},
    ),
    Event.SYNC_RESUMED: EventSchema("After that, it goes on.", _CLIENT, _INFO, {}),
    Event.SYNC_COMPLETED: EventSchema(
        "Everything that was known to differ was settled, held, or found to be a problem; also when nothing changed. "
        "The sums are of what was done since the last such event.",
        _CLIENT,
        _INFO,
        {
            "files": Field(_T.COUNT, "files, directories and links that were brought over"),
            "deletes": Field(_T.COUNT, "removals"),
            "logical_bytes": Field(_T.BYTES, "content of the files"),
            "literal_bytes": Field(_T.BYTES, "content that the replica did not have, before compression"),
            "saved_bytes": Field(_T.BYTES, "bytes that did not have to be sent"),
            "wire_bytes": Field(_T.BYTES, "bytes of all messages, in both directions"),
            "duration_ms": Field(_T.MILLISECONDS, "time since the first sign of a difference"),
            "root_digest": Field(_T.DIGEST, "of the replica"),
        },
    ),
    Event.FILE_SYNCED: EventSchema(
        "A file was brought over, or a directory was renamed.",
        _CLIENT,
        _INFO,
        {
            "path": _PATH,
            "strategy": Field(_T.TEXT, "as in `dirsync_files_transferred_total`"),
            "reason": Field(_T.TEXT, "why so, as in `dirsync_strategy_choices_total`"),
            "size": Field(_T.BYTES, "content of the file, or of all files below a directory"),
            "literal_bytes": Field(_T.BYTES, "content that the replica did not have, before compression"),
            "saved_bytes": Field(_T.BYTES, "bytes that did not have to be sent"),
            "duration_ms": Field(_T.MILLISECONDS, "time from when it was taken up to its acknowledgement"),
            "source": Field(_T.PATH, "of a rename: where it was before", optional=True),
            "files": Field(_T.COUNT, "of a rename: how many files came along", optional=True),
        },
    ),
    Event.FILE_RECEIVED: EventSchema(
        "In two-way mode: a change of the replica was applied at the source.",
        _CLIENT,
        _INFO,
        {
            "path": _PATH,
            "operation": Field(_T.TEXT, "`put_file`, `put_symlink`, `make_directory`, `set_metadata` or `delete`"),
            "size": Field(_T.BYTES, "of the file; 0 for an operation without content"),
            "received_bytes": Field(_T.BYTES, "content that the server sent, before compression"),
            "reused_bytes": Field(_T.BYTES, "content that the source had"),
            "saved_bytes": Field(_T.BYTES, "that, and what compression saved"),
        },
    ),
    Event.CONFLICT_KEPT: EventSchema(
        "In two-way mode: both sides had changed a path ([two-way.md](two-way.md)).",
        _CLIENT,
        _WARNING,
        {
            "path": _PATH,
            "winner": Field(_T.TEXT, "the side whose version gets the name: `source` or `replica`"),
            "resolution": Field(_T.TEXT, "the policy, as CONFLICTS names it"),
            "kept_as": Field(
                _T.PATH, "where both sides keep the other version; absent if it is not kept", optional=True
            ),
        },
    ),
    Event.FILE_DELETED: EventSchema("Something was removed at the replica.", _CLIENT, _INFO, {"path": _PATH}),
    Event.FILE_LEFT_OUT: EventSchema(
        "Something got a name that is left out, so the replica loses it.",
        _CLIENT,
        _WARNING,
        {"path": _PATH, "name": Field(_T.PATH, "what it is called now"), "problem": _PROBLEM},
    ),
    Event.FILE_PROBLEM: EventSchema(
        "A path cannot be synced; it is tried again.",
        _CLIENT,
        _WARNING,
        {
            "path": _PATH,
            "kind": Field(_T.TEXT, "as in `dirsync_problems`, or `mismatch`"),
            "problem": _PROBLEM,
            "strategy": Field(_T.TEXT, "with `mismatch`: what did not work; the file is sent whole", optional=True),
        },
    ),
    Event.GUARD_HELD: EventSchema(
        "A guard holds operations until they are approved.",
        _CLIENT,
        _WARNING,
        {
            "hold": Field(_T.TEXT, "the id to approve"),
            "guard": Field(_T.TEXT, "as in `dirsync_guard_holds_total`"),
            "paths": Field(_T.COUNT, "how many operations"),
            "problem": _PROBLEM,
        },
    ),
    Event.GUARD_RELEASED: EventSchema(
        "Nothing of it is held any more: it was approved, or there is no reason any more.",
        _CLIENT,
        _INFO,
        {"hold": Field(_T.TEXT, "the id"), "guard": Field(_T.TEXT, "as in `dirsync_guard_holds_total`")},
    ),
    Event.REPLICA_EDITED: EventSchema(
        "Others than clients have changed files of a replica that a two-way client watches.",
        _SERVER,
        _INFO,
        {
            "paths": Field(_T.COUNT, "how many were found at once"),
            "path": Field(_T.PATH, "the first of them"),
        },
    ),
    Event.WATCH_OVERFLOW: EventSchema(
        "The kernel dropped events of changes. Everything is looked at.", _BOTH, _WARNING, {}
    ),
    Event.WATCH_DEGRADED: EventSchema(
        "The source, or a replica that two-way clients use, cannot be watched, so it is polled.",
        _BOTH,
        _WARNING,
        {"reason": Field(_T.TEXT, "why")},
    ),
    Event.RESCAN_COMPLETED: EventSchema(
        "A whole tree was looked at.",
        _BOTH,
        _INFO,
        {
            "entries": Field(_T.COUNT, "what the tree has"),
            "duration_ms": Field(_T.MILLISECONDS, "time that it took"),
            "found": Field(_T.COUNT, "paths that had changed; at the client", optional=True),
            "cost_ms": Field(_T.MILLISECONDS, "time spent on it, without other work; at the client", optional=True),
        },
    ),
    Event.HOOK_SUCCEEDED: EventSchema("A hook was run for a state.", _BOTH, _INFO, _HOOK),
    Event.HOOK_FAILED: EventSchema(
        "A hook failed, or took too long. It is tried again.",
        _BOTH,
        _WARNING,
        {
            **_HOOK,
            "kind": Field(_T.TEXT, "`failed` or `timed_out`"),
            "problem": _PROBLEM,
            "retry_s": Field(_T.SECONDS, "the pause before the next try"),
        },
    ),
    Event.HOOK_UNDELIVERED: EventSchema(
        "The program ends, and the hook does not know the last state. The next start runs it.",
        _BOTH,
        _WARNING,
        {"hook": _HOOK["hook"], "root_digest": _HOOK["root_digest"]},
    ),
    Event.TRACE_UNAVAILABLE: EventSchema(
        "Variables of OpenTelemetry ask for traces that cannot be made.", _BOTH, _WARNING, {"problem": _PROBLEM}
    ),
    Event.LOG_UNTRACKED: EventSchema(
        "Our own log is a file in what is mirrored, and is left out.",
        _CLIENT,
        _WARNING,
        {"path": Field(_T.PATH, "the log, from the root of the file system"), "problem": _PROBLEM},
    ),
    Event.LOG_DROPPED: EventSchema(
        "Nobody read stderr for so long that lines were dropped here.",
        _BOTH,
        _WARNING,
        {"dropped": Field(_T.COUNT, "how many")},
    ),
    Event.AGENT_DEGRADED: EventSchema(
        "The agent has no socket in STATE_DIR; the commands ask it at its address.",
        _CLIENT,
        _WARNING,
        {"reason": Field(_T.TEXT, "why")},
    ),
    Event.LIBRARY_MESSAGE: EventSchema(
        "A message of a library, a warning of Python, or an exception that nothing caught.",
        _BOTH,
        ("info", "warning", "error", "critical"),
        {"logger": Field(_T.TEXT, "who says it"), "message": Field(_T.TEXT, "what")},
    ),
}
