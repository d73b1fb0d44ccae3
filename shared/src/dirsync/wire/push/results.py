"""Messages of the push stream, from server to client: what became of the operations."""

from collections.abc import Iterator
from typing import NamedTuple

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import DIGEST_SIZE
from dirsync.tree.outcome import Failure, Outcome
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import UnknownKind, decode_current, encode_entry
from dirsync.wire.parse import parse

MAX_MESSAGE_CHARACTERS = 1000
"""Longest sentence that a failure may carry."""

CONTENT_NOT_FOUND = "CONTENT_NOT_FOUND"
"""Reason of a MISMATCH, and of the status of ``GetSignature``: the replica has no content of the digest that was named.
The client sends the file whole."""


UPLOAD_NOT_FOUND = "UPLOAD_NOT_FOUND"
"""Reason of a MISMATCH: the server has not kept the content that a file continues. The client sends it from the
beginning."""


class Committed(NamedTuple):
    """A commit: every operation up to ``settled_number`` is settled, save files that are still open.

    Those that are not among the ``failures`` were applied; of files that came in frames, those named in ``files``.
    """

    settled_number: int
    failures: list[Failure]
    root_digest: bytes
    entries: int
    requested: bool
    files: list[int]
    version: int = 0
    """The moment that the digest is of; 0: the server does not say."""


def encode_committed(committed: Committed) -> Iterator[bytes]:
    """A commit's results; more failures than a message should hold go ahead in messages of their own."""
    message = pb.PushChangesResponse(
        root_digest=committed.root_digest, entries=committed.entries, version=committed.version
    )
    size = 0
    for failure in sorted(committed.failures, key=lambda failure: failure.number):
        if size >= LIMITS.listing_bytes:
            # Whatever has a number up to that of the last failure so far is settled too.
            message.settled_number = message.failures[-1].number
            yield message.SerializeToString()
            del message.failures[:]
            size = 0
        encoded = _encode_failure(failure)
        message.failures.append(encoded)
        size += encoded.ByteSize()
    message.settled_number = committed.settled_number
    message.requested = committed.requested
    message.files.extend(committed.files)
    yield message.SerializeToString()


def _encode_failure(failure: Failure) -> pb.Failure:
    return pb.Failure(
        number=failure.number,
        outcome=int(failure.outcome),  # type: ignore[arg-type]  # the numbers are those of the wire
        current=None if failure.current is None else encode_entry(failure.current),
        reason=failure.reason,
        message=failure.message[:MAX_MESSAGE_CHARACTERS],
    )


def decode_committed(raw: bytes) -> Committed:
    """Validate a commit's results."""
    message = parse(pb.PushChangesResponse, raw)
    if len(message.root_digest) != DIGEST_SIZE:
        msg = "the server's commit has no root digest"
        raise RemoteError(msg)
    return Committed(
        message.settled_number,
        [_decode_failure(failure) for failure in message.failures],
        message.root_digest,
        message.entries,
        message.requested,
        list(message.files),
        message.version,
    )


def _decode_failure(failure: pb.Failure) -> Failure:
    known = failure.outcome in (o.value for o in Outcome)
    try:
        current = decode_current(failure.current) if failure.HasField("current") else None
    except UnknownKind:
        current = None
    return Failure(
        failure.number,
        Outcome(failure.outcome) if known else Outcome.UNKNOWN,
        current,
        failure.reason[:MAX_MESSAGE_CHARACTERS],
        failure.message[:MAX_MESSAGE_CHARACTERS],
    )
