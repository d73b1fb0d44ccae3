"""Messages of ``ReadContent``: content of the replica, or ranges of it, from the server to a two-way client.

The client names the content by its digest, and compares the SHA-256 of what it has in the end. So a wrong answer costs
bytes, never correctness. Pieces with a literal are put together and taken apart by hand, as in the push stream;
everything else is left to protobuf.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.errors import InvalidMessage, LimitExceeded, RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import is_known
from dirsync.tree.path import ROOT, RelPath, parse_path
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, decompress, known_compressions, smaller
from dirsync.wire.entries import MAX_SIZE
from dirsync.wire.parse import parse
from dirsync.wire.push.frames import check_content_digest
from dirsync.wire.ranges import ascending, runs
from dirsync.wire.session import check_session_id
from dirsync.wire.varint import decode_varint, encode_varint

_OFFSET_TAG = 0x08  # field 1 of ReadContentResponse, varint
_LITERAL_TAG = 0x12  # field 2 of ReadContentResponse, length-delimited


class ByteRange(NamedTuple):
    """Consecutive bytes of some content, at least one."""

    offset: int
    length: int


class ContentRequest(NamedTuple):
    """A request for the content that has this SHA-256."""

    session_id: bytes
    digest: bytes
    path: RelPath = ROOT
    """Where the client knows it to be; the root if it does not know."""
    ranges: tuple[ByteRange, ...] = ()
    """Ascending and disjoint. Empty means all of it."""
    compressions: frozenset[Compression] = frozenset()
    """Encodings that the client can decode, besides none."""


class ContentPiece(NamedTuple):
    """Bytes of some content, at least one: a literal, or a run of zeros if that is empty."""

    offset: int
    literal: memoryview | bytes
    zeros: int = 0
    saved: int = 0
    """Bytes that compression saved."""

    @property
    def length(self) -> int:
        """Number of bytes."""
        return len(self.literal) or self.zeros


def encode_content_request(request: ContentRequest) -> bytes:
    """A request for content."""
    message = pb.ReadContentRequest(
        session_id=request.session_id,
        digest=request.digest,
        path=request.path,
        compressions=sorted(request.compressions),  # type: ignore[arg-type]  # the numbers are those of the wire
    )
    for offset, length in request.ranges:
        message.ranges.add(offset=offset, length=length)
    return message.SerializeToString()


def decode_content_request(raw: bytes) -> ContentRequest:
    """Validate a request for content. :func:`content_ranges` checks that the content has such bytes.

    Raises:
        InvalidMessage: no correct client sends this.
        LimitExceeded: too many ranges.
    """
    message = parse(pb.ReadContentRequest, raw)
    if len(message.ranges) > LIMITS.max_content_ranges:
        msg = f"{len(message.ranges)} ranges of bytes in one call; at most {LIMITS.max_content_ranges} are taken"
        raise LimitExceeded("max_content_ranges", msg)
    return ContentRequest(
        check_session_id(message.session_id),
        _check_digest(message.digest),
        parse_path(message.path),
        tuple(ascending((ByteRange(r.offset, r.length) for r in message.ranges), "{1} bytes from {0} on")),
        known_compressions(message.compressions),
    )


def _check_digest(digest: bytes) -> bytes:
    if not is_known(check_content_digest(digest)):
        msg = "the digest of an unread file names no content"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    return digest


def content_ranges(request: ContentRequest, size: int) -> tuple[ByteRange, ...]:
    """The ranges that a request asks for of content of ``size`` bytes: those that it names, or all of it.

    Raises:
        InvalidMessage: the content has fewer bytes than the ranges.
    """
    if request.ranges and sum(request.ranges[-1]) > size:
        msg = f"byte {sum(request.ranges[-1]) - 1} is asked for of content that has {size}"
        raise InvalidMessage(msg, reason="INVALID_RANGE")
    return request.ranges or ((ByteRange(0, size),) if size else ())


def encode_literal(offset: int, literal: bytes, compression: Compression = Compression.NONE) -> tuple[bytes, int]:
    """A piece that is a literal, and how many bytes compression saved."""
    payload = smaller(compression, literal)
    if payload is not None:
        message = pb.ReadContentResponse(offset=offset)
        packed = message.compressed
        packed.compression = int(compression)  # type: ignore[assignment]  # the numbers are those of the wire
        packed.size, packed.payload = len(literal), payload
        return message.SerializeToString(), len(literal) - len(payload)
    head = bytes((_OFFSET_TAG,)) + encode_varint(offset) + bytes((_LITERAL_TAG,)) + encode_varint(len(literal))
    return head + literal, 0


def encode_zeros(offset: int, count: int) -> bytes:
    """A piece that is a run of zeros."""
    return pb.ReadContentResponse(offset=offset, zeros=count).SerializeToString()


def decode_content_piece(raw: bytes) -> ContentPiece:
    """Decode one piece; :func:`check_content_pieces` checks that it was requested.

    Raises:
        InvalidMessage: no correct server sends this.
        LimitExceeded: a compressed piece says that it is larger than a message.
    """
    sliced = _slice(raw)
    if sliced is not None:
        return sliced
    message = parse(pb.ReadContentResponse, raw)
    offset, literal, zeros, saved = message.offset, message.literal, 0, 0
    match message.WhichOneof("content"):
        case "literal":
            pass
        case "compressed":
            packed = message.compressed
            literal = decompress(packed.compression, packed.payload, packed.size)
            saved = max(0, len(literal) - len(packed.payload))
        case "zeros":
            zeros = message.zeros
        case _:
            msg = "a piece of content of a kind that this version does not know"
            raise InvalidMessage(msg)
    piece = ContentPiece(offset, literal, zeros, saved)
    if not piece.length or offset + piece.length > MAX_SIZE:
        msg = f"a piece of content has {piece.length} bytes from {offset} on, which no file has"
        raise InvalidMessage(msg, reason="INVALID_RANGE")
    return piece


def _slice(raw: bytes) -> ContentPiece | None:
    """A piece with a literal, without a copy of that; ``None`` if it is written in any other way."""
    if not raw or raw[0] != _OFFSET_TAG:
        return None
    try:
        offset, at = decode_varint(raw, 1)
        if raw[at] != _LITERAL_TAG:
            return None
        length, at = decode_varint(raw, at + 1)
    except IndexError:
        return None
    if not length or at + length != len(raw) or offset + length > MAX_SIZE:
        return None
    return ContentPiece(offset, memoryview(raw)[at:])


def check_content_pieces(pieces: Iterable[ContentPiece], wanted: Iterable[ByteRange]) -> Iterator[ContentPiece]:
    """Yield pieces that have exactly the requested bytes, in order.

    ``wanted`` are the ranges, ascending and not overlapping. A piece ends where its range does, unless the next range
    goes on there.

    Raises:
        RemoteError: a piece has a byte that was not asked for or is not due, or the pieces end early.
    """
    due_runs = runs(wanted)
    due, end = next(due_runs, (0, 0))
    for piece in pieces:
        if piece.offset != due or not piece.length or due + piece.length > end:
            msg = f"the server sent {piece.length} bytes from {piece.offset} on when {due} to {end} were due"
            raise RemoteError(msg, reason="CONTENT_OUT_OF_ORDER")
        due += piece.length
        yield piece
        if due == end:
            due, end = next(due_runs, (0, 0))
    if due != end:
        msg = f"the server's content ended before byte {due}"
        raise RemoteError(msg, reason="CONTENT_INCOMPLETE")
