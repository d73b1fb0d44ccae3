"""Messages of ``ReplicaService``: the content of a replica, without a session."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.errors import InvalidMessage, RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import DIGEST_SIZE, Entry
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath, parse_path, unescape
from dirsync.v1 import replica_service_pb2 as pb
from dirsync.wire.entries import decode_current, decode_options, encode_options, encode_path_entry
from dirsync.wire.parse import parse
from dirsync.wire.session import SessionMode, decode_mode, encode_mode


class ReplicaStatus(NamedTuple):
    """Whether a replica can be used, and what it holds."""

    ready: bool
    root_digest: bytes
    entries: int
    bytes: int
    options: TreeOptions
    replica_id: str
    writer: str
    generation: int
    server_version: str
    seconds_since_commit: float | None
    not_ready_reason: str
    writers: tuple[str, ...] = ()
    """Ids of all clients that are writers, the newest session first."""
    mode: SessionMode = SessionMode.MIRROR
    """Of their sessions."""


class ListRequest(NamedTuple):
    """Which entries to list."""

    namespace: str
    path: RelPath
    recursive: bool


class VerifyRequest(NamedTuple):
    """What to verify, and the digest that the client expects."""

    namespace: str
    deep: bool
    options: TreeOptions
    root_digest: bytes


class Summary(NamedTuple):
    """What a verification found."""

    root_digest: bytes
    entries: int
    bytes_read: int
    repaired: int


def encode_status_request(namespace: str) -> bytes:
    """A question for a replica's status."""
    return pb.ReplicaServiceGetStatusRequest(namespace=namespace).SerializeToString()


def decode_status_request(raw: bytes) -> str:
    """The namespace whose status is asked for; the default one if none is named."""
    return parse(pb.ReplicaServiceGetStatusRequest, raw).namespace or "default"


def encode_status(status: ReplicaStatus) -> bytes:
    """A replica's status."""
    return pb.ReplicaServiceGetStatusResponse(
        ready=status.ready,
        root_digest=status.root_digest,
        root_digest_hex=status.root_digest.hex(),
        entries=status.entries,
        bytes=status.bytes,
        options=encode_options(status.options),
        replica_id=status.replica_id,
        writer=status.writer,
        generation=status.generation,
        server_version=status.server_version,
        seconds_since_commit=status.seconds_since_commit,
        not_ready_reason=status.not_ready_reason,
        writers=status.writers,
        mode=encode_mode(status.mode),
    ).SerializeToString()


def decode_status(raw: bytes) -> ReplicaStatus:
    """Validate a replica's status."""
    message = parse(pb.ReplicaServiceGetStatusResponse, raw)
    return ReplicaStatus(
        ready=message.ready,
        root_digest=message.root_digest,
        entries=message.entries,
        bytes=message.bytes,
        options=decode_options(message.options),
        replica_id=message.replica_id,
        writer=message.writer,
        generation=message.generation,
        server_version=message.server_version,
        seconds_since_commit=message.seconds_since_commit if message.HasField("seconds_since_commit") else None,
        not_ready_reason=message.not_ready_reason,
        writers=tuple(message.writers),
        mode=decode_mode(message.mode),
    )


def encode_list_entries(request: ListRequest) -> bytes:
    """A request to list entries."""
    return pb.ListEntriesRequest(
        namespace=request.namespace, path=request.path, recursive=request.recursive
    ).SerializeToString()


def decode_list_entries(raw: bytes) -> ListRequest:
    """Validate a request to list entries."""
    message = parse(pb.ListEntriesRequest, raw)
    path = _path(message.path, message.path_text)
    return ListRequest(message.namespace or "default", path, message.recursive)


def decode_stat_entry(raw: bytes) -> tuple[str, RelPath]:
    """Validate a request for one entry."""
    message = parse(pb.StatEntryRequest, raw)
    return message.namespace or "default", _path(message.path, message.path_text)


def encode_stat_entry(path: RelPath, entry: Entry) -> bytes:
    """One entry."""
    return pb.StatEntryResponse(entry=encode_path_entry(path, entry)).SerializeToString()


def encode_entries(entries: Iterable[tuple[RelPath, Entry]]) -> Iterator[bytes]:
    """Entries in pages of about ``LIMITS.listing_bytes``."""
    for page in _paged(entries):
        response = pb.ListEntriesResponse()
        response.entries.extend(encode_path_entry(path, entry) for path, entry in page)
        yield response.SerializeToString()


def decode_entries(raw: bytes) -> list[tuple[RelPath, Entry]]:
    """One page of entries."""
    message = parse(pb.ListEntriesResponse, raw)
    return [(parse_path(entry.path), decode_current(entry.entry)) for entry in message.entries]


def encode_verify(request: VerifyRequest) -> bytes:
    """A request to verify."""
    return pb.VerifyContentRequest(
        namespace=request.namespace,
        deep=request.deep,
        options=encode_options(request.options),
        root_digest=request.root_digest,
    ).SerializeToString()


def decode_verify(raw: bytes) -> VerifyRequest:
    """Validate a request to verify."""
    message = parse(pb.VerifyContentRequest, raw)
    if message.root_digest and len(message.root_digest) != DIGEST_SIZE:
        msg = f"a digest has {DIGEST_SIZE} bytes"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    return VerifyRequest(
        message.namespace or "default", message.deep, decode_options(message.options), message.root_digest
    )


def encode_verified(entries: Iterable[tuple[RelPath, Entry]], summary: Summary) -> Iterator[bytes]:
    """The answer to a verification: entries in pages, then the summary."""
    for page in _paged(entries):
        response = pb.VerifyContentResponse()
        response.entries.extend(encode_path_entry(path, entry) for path, entry in page)
        yield response.SerializeToString()
    digest = summary.root_digest
    yield pb.VerifyContentResponse(
        summary=pb.VerifyContentResponse.Summary(
            root_digest=digest,
            root_digest_hex=digest.hex(),
            entries=summary.entries,
            bytes_read=summary.bytes_read,
            repaired=summary.repaired,
        )
    ).SerializeToString()


def decode_verified(raw: bytes) -> tuple[list[tuple[RelPath, Entry]], Summary | None]:
    """One message of the answer to a verification."""
    message = parse(pb.VerifyContentResponse, raw)
    entries = [(parse_path(entry.path), decode_current(entry.entry)) for entry in message.entries]
    if not message.HasField("summary"):
        return entries, None
    summary = message.summary
    if len(summary.root_digest) != DIGEST_SIZE:
        msg = "the server's verification has no root digest"
        raise RemoteError(msg)
    return entries, Summary(summary.root_digest, summary.entries, summary.bytes_read, summary.repaired)


def _path(path: bytes, text: str) -> RelPath:
    return parse_path(path or unescape(text))


def _paged(entries: Iterable[tuple[RelPath, Entry]]) -> Iterator[list[tuple[RelPath, Entry]]]:
    page: list[tuple[RelPath, Entry]] = []
    size = 0
    for path, entry in entries:
        page.append((path, entry))
        # The path travels twice, as bytes and as text, in which a byte may take four characters.
        size += 5 * len(path) + len(entry.target) + 160
        if size >= LIMITS.listing_bytes:
            yield page
            page, size = [], 0
    if page:
        yield page
