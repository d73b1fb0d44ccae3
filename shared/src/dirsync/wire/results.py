"""Messages of the push stream, from server to client: what became of the operations."""

import enum
from typing import NamedTuple

from dirsync.errors import RemoteError
from dirsync.tree.entry import DIGEST_SIZE, Entry
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import UnknownKind, decode_entry, encode_entry
from dirsync.wire.parse import parse

MAX_MESSAGE_CHARACTERS = 1000
"""Longest sentence that a failure may carry."""


class Outcome(enum.IntEnum):
    """Why an operation was not applied; the numbers are those of the wire."""

    UNKNOWN = 0
    CHANGED = 1
    MISMATCH = 2
    STORAGE = 3
    REFUSED = 4
    LIMIT = 5
    UNSUPPORTED = 6


class Failure(NamedTuple):
    """An operation that was not applied, and what is at its path now."""

    number: int
    outcome: Outcome
    current: Entry | None
    reason: str
    message: str


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


def encode_committed(committed: Committed) -> bytes:
    """A commit's results."""
    return pb.PushChangesResponse(
        settled_number=committed.settled_number,
        failures=[
            pb.Failure(
                number=failure.number,
                outcome=int(failure.outcome),  # type: ignore[arg-type]  # the numbers are those of the wire
                current=None if failure.current is None else encode_entry(failure.current),
                reason=failure.reason,
                message=failure.message[:MAX_MESSAGE_CHARACTERS],
            )
            for failure in committed.failures
        ],
        root_digest=committed.root_digest,
        entries=committed.entries,
        requested=committed.requested,
        files=committed.files,
    ).SerializeToString()


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
    )


def _decode_failure(failure: pb.Failure) -> Failure:
    known = failure.outcome in (o.value for o in Outcome)
    try:
        current = decode_entry(failure.current) if failure.HasField("current") else None
    except UnknownKind:
        current = None
    return Failure(
        failure.number,
        Outcome(failure.outcome) if known else Outcome.UNKNOWN,
        current,
        failure.reason[:MAX_MESSAGE_CHARACTERS],
        failure.message[:MAX_MESSAGE_CHARACTERS],
    )
