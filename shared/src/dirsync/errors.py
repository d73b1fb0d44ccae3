"""Every error that dirsync raises on purpose, ordered by its cause.

::

    DirsyncError
    ├── UsageError            the user: bad setting, unusable directory
    │   ├── RootsOverlap          replica and source are one directory, or one lies in the other
    │   └── OptionsDiffer         other two-way clients of the replica have set other options
    ├── RemoteError           the peer
    │   ├── InvalidMessage        bytes that no correct peer sends
    │   │   └── DeltaError            (dirsync.delta) checksums or pieces that do not fit the basis
    │   ├── OutOfTurn             a message that the protocol does not allow at this point
    │   └── LimitExceeded         a limit is exceeded
    ├── SessionError          the session that the request names
    │   ├── SessionUnknown        closed, expired, or never opened
    │   ├── SessionBusy           another writer holds the replica
    │   └── SessionSuperseded     fenced: a newer session of the same client took over
    ├── AccessError           the caller's credentials
    │   ├── Unauthenticated
    │   └── PermissionDenied
    ├── NotFound              a namespace or path that does not exist
    ├── StorageError          the local disk: full, read-only, failing
    ├── Unavailable           temporary: scanning, draining, not connected
    └── PathError             one path; it becomes a Problem, and the others go on

Each class owns one gRPC status (``status``, a name of ``grpc.StatusCode``) and each error one ``reason``, the stable
word that is sent in ``google.rpc.ErrorInfo`` and that programs may test. ``str(error)`` is the message for people: what
happened, to which path, and what to do.
"""

from typing import ClassVar


class DirsyncError(Exception):
    """An error of dirsync."""

    status: ClassVar[str] = "INTERNAL"
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason


class UsageError(DirsyncError):
    """A setting, an argument or a directory that cannot be used."""

    status = "INVALID_ARGUMENT"
    default_reason = "USAGE"


class RemoteError(DirsyncError):
    """The peer violated the protocol."""

    status = "INVALID_ARGUMENT"
    default_reason = "INVALID_MESSAGE"


class InvalidMessage(RemoteError):
    """Bytes that do not parse, or fields that no correct peer sends."""


class OutOfTurn(RemoteError):
    """A message that the protocol does not allow in the present state."""

    status = "FAILED_PRECONDITION"
    default_reason = "OUT_OF_TURN"


class LimitExceeded(RemoteError):
    """A limit is exceeded; the reason is the name of the limit."""

    status = "RESOURCE_EXHAUSTED"
    default_reason = "LIMIT"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message, reason=limit.upper())
        self.limit = limit


class SessionError(DirsyncError):
    """The session that the request names cannot be used."""

    status = "FAILED_PRECONDITION"
    default_reason = "SESSION"


class SessionUnknown(SessionError):
    """The session was closed, has expired, or was never opened here."""

    default_reason = "SESSION_UNKNOWN"


class SessionBusy(SessionError):
    """Another client is the writer of this replica."""

    default_reason = "REPLICA_BUSY"


class SessionSuperseded(SessionError):
    """A newer session of the same client has taken over; this one may change nothing any more."""

    status = "ABORTED"
    default_reason = "SESSION_SUPERSEDED"


class RootsOverlap(UsageError):
    """The replica is the source, or one of them lies in the other."""

    status = "FAILED_PRECONDITION"
    default_reason = "ROOTS_OVERLAP"


class OptionsDiffer(UsageError):
    """Other two-way clients of the replica count something else as part of the tree."""

    status = "FAILED_PRECONDITION"
    default_reason = "OPTIONS_DIFFER"


class AccessError(DirsyncError):
    """The caller may not do this."""

    status = "PERMISSION_DENIED"
    default_reason = "PERMISSION_DENIED"


class Unauthenticated(AccessError):
    """No valid credentials."""

    status = "UNAUTHENTICATED"
    default_reason = "UNAUTHENTICATED"


class PermissionDenied(AccessError):
    """Valid credentials that do not allow this."""


class NotFound(DirsyncError):
    """A namespace or path that does not exist, or not for this caller."""

    status = "NOT_FOUND"
    default_reason = "NOT_FOUND"


class StorageError(DirsyncError):
    """The local disk cannot store the change: it is full, read-only or failing."""

    status = "RESOURCE_EXHAUSTED"
    default_reason = "STORAGE"


class Unavailable(DirsyncError):
    """The request cannot be served now, but may succeed later."""

    status = "UNAVAILABLE"
    default_reason = "UNAVAILABLE"


class PathError(DirsyncError):
    """One path could not be handled; the others go on."""

    status = "FAILED_PRECONDITION"
    default_reason = "PATH"
