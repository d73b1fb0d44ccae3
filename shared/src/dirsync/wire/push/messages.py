"""Messages of the push stream, from client to server: the hot path of the wire.

A message is one of a closed set of values (:data:`PushMessage`). This module parses the stream; its parts are in
``operations`` (the steps of a batch) and ``frames`` (files that come in pieces).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from dirsync.errors import InvalidMessage
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, decompress, smaller
from dirsync.wire.parse import parse
from dirsync.wire.push.frames import (
    FileAbort,
    FileBegin,
    FileData,
    FileDelta,
    FileEnd,
    Upload,
    decode_begin,
    decode_data,
    decode_end,
    encode_abort,
    encode_begin,
    encode_data,
    encode_delta,
    encode_end,
    slice_data,
)
from dirsync.wire.push.operations import Item, Unsupported, decode_operation, fill_operation
from dirsync.wire.push.pieces import delta_frames
from dirsync.wire.push.sections import DirectorySection, decode_sections
from dirsync.wire.session import check_session_id

__all__ = [
    "Batch",
    "Commit",
    "DirectorySection",
    "FileAbort",
    "FileBegin",
    "FileData",
    "FileDelta",
    "FileEnd",
    "Item",
    "Open",
    "PushMessage",
    "Unsupported",
    "Upload",
    "WithCommit",
    "decode_push",
    "delta_frames",
    "encode_abort",
    "encode_batch",
    "encode_begin",
    "encode_commit",
    "encode_data",
    "encode_delta",
    "encode_end",
    "encode_stream_open",
    "encode_with_commit",
]


_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class Open(NamedTuple):
    """First message of a stream: the session that it belongs to."""

    session_id: bytes


class Commit(NamedTuple):
    """Make everything so far durable and answer; before that, with ``rescan``, look at the replica's files again."""

    rescan: bool = False
    drop_uploads: bool = False
    """The uploads that are kept are not continued."""
    traceparent: str = ""
    """The client's span; empty if there is none, or it is malformed."""


class Batch(NamedTuple):
    """Small operations in the order in which they are to be applied."""

    items: list[Item]
    saved: int = 0
    """Bytes that compression saved."""


class WithCommit(NamedTuple):
    """A batch or the end of a file, and a commit right after it."""

    message: Batch | FileEnd
    commit: Commit


PushMessage = (
    Open | Batch | FileBegin | FileData | FileDelta | FileEnd | FileAbort | DirectorySection | Commit | WithCommit
)


def encode_stream_open(session_id: bytes) -> bytes:
    """The first message of a push stream."""
    return pb.PushChangesRequest(open=pb.PushChangesRequest.Open(session_id=session_id)).SerializeToString()


def encode_batch(items: Iterable[Item], compression: Compression = Compression.NONE) -> tuple[bytes, int]:
    """A batch, and how many bytes compression saved."""
    request = pb.PushChangesRequest()
    batch = request.batch
    batch.SetInParent()
    for item in items:
        fill_operation(batch.operations.add(), item)
    if compression is Compression.NONE:
        return request.SerializeToString(), 0
    raw = batch.SerializeToString()
    packed = smaller(compression, raw)
    if packed is None:
        return request.SerializeToString(), 0
    compressed = pb.PushChangesRequest.CompressedBatch(
        compression=int(compression),  # type: ignore[arg-type]  # the numbers are those of the wire
        size=len(raw),
        payload=packed,
    )
    return pb.PushChangesRequest(compressed_batch=compressed).SerializeToString(), len(raw) - len(packed)


def encode_commit(commit: Commit) -> bytes:
    """A request to commit."""
    return pb.PushChangesRequest(commit=_fill_commit(commit)).SerializeToString()


def encode_with_commit(message: bytes, commit: Commit) -> bytes:
    """A batch or the end of a file, as it was encoded, and a commit right after it."""
    # Serialised messages that are put together are one message with the fields of both (Protocol Buffers, encoding).
    return message + pb.PushChangesRequest(commit_after=_fill_commit(commit)).SerializeToString()


def _fill_commit(commit: Commit) -> pb.PushChangesRequest.Commit:
    return pb.PushChangesRequest.Commit(
        rescan=commit.rescan, drop_uploads=commit.drop_uploads, traceparent=commit.traceparent
    )


def decode_push(raw: bytes) -> PushMessage:
    """Validate one message of the push stream.

    Raises:
        InvalidMessage: no correct client sends this.
        LimitExceeded: more than a message may hold.
    """
    frame = slice_data(raw)
    if frame is not None:
        return frame
    request = parse(pb.PushChangesRequest, raw)
    message = _decode(request)
    if not request.HasField("commit_after"):
        return message
    if not isinstance(message, Batch | FileEnd):
        msg = "a commit comes with a batch or with the end of a file, or alone"
        raise InvalidMessage(msg, reason="COMMIT_AFTER")
    return WithCommit(message, _decode_commit(request.commit_after))


def _decode(message: pb.PushChangesRequest) -> PushMessage:
    match message.WhichOneof("message"):
        case "batch" | "compressed_batch":
            return _decode_batches(message)
        case "section" | "compressed_section":
            return decode_sections(message)
        case "begin":
            return decode_begin(message.begin)
        case "data":
            return decode_data(message.data)
        case "end":
            return decode_end(message.end)
        case "abort":
            return FileAbort(message.abort.number)
        case "commit":
            return _decode_commit(message.commit)
        case "open":
            return Open(check_session_id(message.open.session_id))
        case _:
            msg = "a push message of a kind that this version does not know"
            raise InvalidMessage(msg, reason="UNKNOWN_MESSAGE")


def _decode_commit(commit: pb.PushChangesRequest.Commit) -> Commit:
    return Commit(commit.rescan, commit.drop_uploads, check_traceparent(commit.traceparent))


def check_traceparent(text: str) -> str:
    """The text if it is a traceparent, otherwise an empty one: a mistake in a trace must not harm the sync."""
    return text if _TRACEPARENT.fullmatch(text) else ""


def _decode_batches(message: pb.PushChangesRequest) -> Batch:
    """A batch that comes as it is, or compressed."""
    if message.WhichOneof("message") == "batch":
        return _decode_batch(message.batch)
    packed = message.compressed_batch
    payload = decompress(packed.compression, packed.payload, packed.size)
    batch = _decode_batch(parse(pb.PushChangesRequest.Batch, payload))
    return batch._replace(saved=max(0, packed.size - len(packed.payload)))


def _decode_batch(batch: pb.PushChangesRequest.Batch) -> Batch:
    return Batch([decode_operation(message) for message in batch.operations])
