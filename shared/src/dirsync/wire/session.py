"""Messages of ``SyncService`` except the push stream: opening and closing a session, listing directories."""

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dirsync.errors import InvalidMessage, LimitExceeded, RemoteError
from dirsync.limits import LIMITS
from dirsync.location import MAX_DIRECTORIES, Location
from dirsync.tree.entry import DIGEST_SIZE, Entry
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath, escape, parse_name, parse_path
from dirsync.tree.strategy import Strategy
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, known_compressions
from dirsync.wire.entries import UnknownKind, decode_current, decode_options, encode_entry, encode_options
from dirsync.wire.parse import parse
from dirsync.wire.push.frames import check_upload_id

PROTOCOL_VERSION = 1
SESSION_ID_SIZE = 16
"""Bytes of a session's id: 128 random bits."""
MAX_IDENTIFIER_CHARACTERS = 128
"""Longest namespace, client id or instance id."""
MAX_LISTED_DIRECTORIES = 10_000
"""Directories that one call may list."""

_STRATEGY_NUMBERS = {
    Strategy.WHOLE: pb.STRATEGY_WHOLE,
    Strategy.DELTA: pb.STRATEGY_DELTA,
    Strategy.DEDUP: pb.STRATEGY_DEDUP,
    Strategy.RENAME: pb.STRATEGY_RENAME,
    Strategy.METADATA: pb.STRATEGY_METADATA,
}
_STRATEGIES: dict[int, Strategy] = {number: strategy for strategy, number in _STRATEGY_NUMBERS.items()}


class SessionMode(enum.Enum):
    """How a session changes the replica. The values are those of the setting MODE."""

    MIRROR = "mirror"
    """The replica is made equal to the source; no other client has a session meanwhile."""
    TWO_WAY = "two-way"
    """Changes go both ways; other clients may have two-way sessions at the same time."""


_MODE_NUMBERS = {SessionMode.MIRROR: pb.SESSION_MODE_UNSPECIFIED, SessionMode.TWO_WAY: pb.SESSION_MODE_TWO_WAY}
_MODES: dict[int, SessionMode] = {number: mode for mode, number in _MODE_NUMBERS.items()}


class OpenRequest(NamedTuple):
    """A client asks to become a writer of a replica."""

    namespace: str
    client_id: str
    instance_id: str
    options: TreeOptions
    location: Location
    """Where the client's source is."""
    client_version: str = ""
    protocol_version: int = PROTOCOL_VERSION
    mode: SessionMode = SessionMode.MIRROR


class KeptUpload(NamedTuple):
    """The beginning of a file whose upload was interrupted."""

    id: bytes
    """The one that the client gave it."""
    size: int
    """Bytes that are kept."""
    digest: bytes = b""
    """SHA-256 of them; empty if it is not known at present."""


class Opened(NamedTuple):
    """What the server answered: the session, what it agreed to, and what the replica holds."""

    session_id: bytes
    generation: int
    replica_id: str
    options: TreeOptions
    root_digest: bytes
    entries: int
    reserved_names: frozenset[bytes]
    strategies: frozenset[Strategy]
    compressions: frozenset[Compression]
    max_message_bytes: int
    max_file_bytes: int
    server_version: str
    protocol_version: int = PROTOCOL_VERSION
    keeps_uploads: bool = False
    """An upload with an id can be continued after an interruption."""
    kept_uploads: tuple[KeptUpload, ...] = ()
    mode: SessionMode = SessionMode.MIRROR
    """The mode of the session, which may not be the one that was asked for: a server may know no other."""
    takes_commit_after: bool = False
    """A commit may come in the message with the last of what it is to commit."""
    builds_directories: bool = False
    """New directories may come in sections."""


class Page(NamedTuple):
    """Children of one directory, in byte order of their names; ``directory`` is its position in the request."""

    directory: int
    children: list[tuple[bytes, Entry]]
    last: bool
    unknown: list[bytes]
    """Names whose kind this version does not know."""


def encode_open(request: OpenRequest) -> bytes:
    """A request to open a session."""
    return pb.OpenSessionRequest(
        protocol_version=request.protocol_version,
        namespace=request.namespace,
        client_id=request.client_id,
        instance_id=request.instance_id,
        options=encode_options(request.options),
        client_version=request.client_version,
        location=_encode_location(request.location),
        mode=encode_mode(request.mode),
    ).SerializeToString()


def decode_open(raw: bytes) -> OpenRequest:
    """Validate a request to open a session."""
    message = parse(pb.OpenSessionRequest, raw)
    for field in ("namespace", "client_id", "instance_id"):
        _check_identifier(field, getattr(message, field))
    if message.protocol_version < PROTOCOL_VERSION:
        msg = f"protocol version {message.protocol_version} is not supported; use {PROTOCOL_VERSION}"
        raise InvalidMessage(msg, reason="PROTOCOL_VERSION")
    return OpenRequest(
        namespace=message.namespace,
        client_id=message.client_id,
        instance_id=message.instance_id,
        options=decode_options(message.options),
        location=_decode_location(message.location),
        client_version=message.client_version[:MAX_IDENTIFIER_CHARACTERS],
        protocol_version=PROTOCOL_VERSION,
        mode=decode_mode(message.mode),
    )


def encode_mode(mode: SessionMode) -> "pb.SessionMode.ValueType":
    """The number of a mode."""
    return _MODE_NUMBERS[mode]


def decode_mode(number: int) -> SessionMode:
    """The mode that a number stands for.

    Raises:
        InvalidMessage: only a newer peer knows it.
    """
    mode = _MODES.get(number)
    if mode is None:
        msg = f"session mode {number} is not known here"
        raise InvalidMessage(msg, reason="INVALID_MODE")
    return mode


def _check_identifier(field: str, value: str) -> None:
    if not 0 < len(value) <= MAX_IDENTIFIER_CHARACTERS or not value.isprintable():
        msg = f"{field} must have 1 to {MAX_IDENTIFIER_CHARACTERS} printable characters"
        raise InvalidMessage(msg, reason="INVALID_IDENTIFIER")


def _encode_location(location: Location) -> pb.Location:
    directories = [pb.Location.Directory(device=device, inode=inode) for device, inode in location.directories]
    return pb.Location(host=location.host, directories=directories)


def _decode_location(message: pb.Location) -> Location:
    if len(message.directories) > MAX_DIRECTORIES or len(message.host) > MAX_IDENTIFIER_CHARACTERS:
        msg = f"a location has at most {MAX_DIRECTORIES} directories"
        raise LimitExceeded("max_directories", msg)
    return Location(message.host, tuple((d.device, d.inode) for d in message.directories))


def encode_opened(opened: Opened) -> bytes:
    """The answer to a request to open a session."""
    return pb.OpenSessionResponse(
        protocol_version=opened.protocol_version,
        session_id=opened.session_id,
        generation=opened.generation,
        replica_id=opened.replica_id,
        options=encode_options(opened.options),
        root_digest=opened.root_digest,
        entries=opened.entries,
        reserved_names=sorted(opened.reserved_names),
        strategies=sorted(_STRATEGY_NUMBERS[strategy] for strategy in opened.strategies),
        compressions=sorted(opened.compressions),  # type: ignore[arg-type]
        max_message_bytes=opened.max_message_bytes,
        max_file_bytes=opened.max_file_bytes,
        server_version=opened.server_version,
        keeps_uploads=opened.keeps_uploads,
        builds_directories=opened.builds_directories,
        kept_uploads=[
            pb.KeptUpload(upload_id=kept.id, size=kept.size, digest=kept.digest) for kept in opened.kept_uploads
        ],
        takes_commit_after=opened.takes_commit_after,
        mode=encode_mode(opened.mode),
    ).SerializeToString()


def decode_opened(raw: bytes) -> Opened:
    """Validate a server's answer; strategies and compressions that this version does not know are left out."""
    message = parse(pb.OpenSessionResponse, raw)
    if message.protocol_version != PROTOCOL_VERSION:
        msg = f"the server speaks protocol version {message.protocol_version}; this client speaks {PROTOCOL_VERSION}"
        raise InvalidMessage(msg, reason="PROTOCOL_VERSION")
    if len(message.session_id) != SESSION_ID_SIZE or len(message.root_digest) != len(message.session_id) * 2:
        msg = "the server's answer has no valid session id and root digest"
        raise InvalidMessage(msg)
    return Opened(
        session_id=message.session_id,
        generation=message.generation,
        replica_id=message.replica_id[:MAX_IDENTIFIER_CHARACTERS],
        options=decode_options(message.options),
        root_digest=message.root_digest,
        entries=message.entries,
        reserved_names=frozenset(parse_name(name) for name in message.reserved_names[:16]),
        strategies=frozenset(_STRATEGIES[number] for number in message.strategies if number in _STRATEGIES),
        compressions=known_compressions(message.compressions),
        max_message_bytes=min(message.max_message_bytes, LIMITS.max_message_bytes),
        max_file_bytes=message.max_file_bytes,
        server_version=message.server_version[:MAX_IDENTIFIER_CHARACTERS],
        keeps_uploads=message.keeps_uploads,
        builds_directories=message.builds_directories,
        kept_uploads=tuple(_decode_kept(kept) for kept in message.kept_uploads[: LIMITS.max_kept_uploads]),
        takes_commit_after=message.takes_commit_after,
        mode=decode_mode(message.mode),
    )


def _decode_kept(message: pb.KeptUpload) -> KeptUpload:
    if len(message.digest) not in (0, DIGEST_SIZE):
        msg = f"the digest of a kept upload has {DIGEST_SIZE} bytes"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    return KeptUpload(check_upload_id(message.upload_id), message.size, message.digest)


def encode_close(session_id: bytes) -> bytes:
    """A request to close a session."""
    return pb.CloseSessionRequest(session_id=session_id).SerializeToString()


def decode_close(raw: bytes) -> bytes:
    """The session that is to be closed."""
    return check_session_id(parse(pb.CloseSessionRequest, raw).session_id)


CLOSED = pb.CloseSessionResponse().SerializeToString()
"""The answer to a request to close a session."""


def check_session_id(session_id: bytes) -> bytes:
    """Validate the id of a session."""
    if len(session_id) != SESSION_ID_SIZE:
        msg = f"a session id has {SESSION_ID_SIZE} bytes"
        raise InvalidMessage(msg, reason="INVALID_SESSION_ID")
    return session_id


def encode_list(session_id: bytes, paths: Iterable[RelPath]) -> bytes:
    """A request to list directories."""
    return pb.ListDirectoriesRequest(session_id=session_id, paths=paths).SerializeToString()


def decode_list(raw: bytes) -> tuple[bytes, list[RelPath]]:
    """The session and the directories to list."""
    message = parse(pb.ListDirectoriesRequest, raw)
    if len(message.paths) > MAX_LISTED_DIRECTORIES:
        msg = f"{len(message.paths)} directories in one call; at most {MAX_LISTED_DIRECTORIES} are listed"
        raise LimitExceeded("max_listed_directories", msg)
    return check_session_id(message.session_id), [parse_path(path) for path in message.paths]


def encode_pages(directory: int, children: Iterable[tuple[bytes, Entry]]) -> Iterator[bytes]:
    """The pages of one directory's listing, each of about ``LIMITS.listing_bytes``."""
    page = pb.ListDirectoriesResponse(directory=directory)
    size = 0
    for name, entry in children:
        page.children.append(pb.ListDirectoriesResponse.Child(name=name, entry=encode_entry(entry)))
        size += len(name) + len(entry.target) + 70
        if size >= LIMITS.listing_bytes:
            yield page.SerializeToString()
            page = pb.ListDirectoriesResponse(directory=directory)
            size = 0
    page.last = True
    yield page.SerializeToString()


def decode_page(raw: bytes) -> Page:
    """Decode one page of a listing; :func:`check_pages` checks the order across pages."""
    message = parse(pb.ListDirectoriesResponse, raw)
    children: list[tuple[bytes, Entry]] = []
    unknown: list[bytes] = []
    for child in message.children:
        name = parse_name(child.name)
        try:
            children.append((name, decode_current(child.entry)))
        except UnknownKind:
            unknown.append(name)
    return Page(message.directory, children, message.last, unknown)


def check_pages(pages: Iterable[Page], paths: Sequence[RelPath]) -> Iterator[Page]:
    """Yield pages that list the requested directories: each once, in order, names ascending, nothing after the last.

    Raises:
        RemoteError: the listing is out of order, has a name twice, or ends early. The pages before that are valid.
    """
    directory, last_name = 0, b""
    for page in pages:
        if page.directory != directory or directory >= len(paths):
            msg = f"the server listed directory {page.directory} when {directory} was due"
            raise RemoteError(msg, reason="LISTING_OUT_OF_ORDER")
        for name, _ in page.children:
            if name <= last_name:
                msg = f"the server's listing of {escape(paths[directory])!r} has {escape(name)!r} out of order or twice"
                raise RemoteError(msg, reason="LISTING_OUT_OF_ORDER")
            last_name = name
        if page.last:
            directory, last_name = directory + 1, b""
        yield page
    if directory != len(paths):
        msg = f"the server's listing ended after {directory} of {len(paths)} directories"
        raise RemoteError(msg, reason="LISTING_INCOMPLETE")
