"""What a client may ask of ``ReadContent``, and what it takes as the answer, to the last value beside every bound."""

from collections.abc import Sequence

import pytest

from dirsync.errors import InvalidMessage, RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import unread_digest
from dirsync.tree.path import ROOT, RelPath
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression
from dirsync.wire.content import (
    ByteRange,
    ContentPiece,
    ContentRequest,
    check_content_pieces,
    content_ranges,
    decode_content_piece,
    decode_content_request,
    encode_content_request,
)
from dirsync.wire.entries import MAX_SIZE

SESSION, DIGEST = b"s" * 16, b"d" * 32


def request(*ranges: tuple[int, int]) -> ContentRequest:
    """A request for these ranges."""
    return ContentRequest(SESSION, DIGEST, ROOT, tuple(ByteRange(*one) for one in ranges))


def reason(
    session: bytes = SESSION, digest: bytes = DIGEST, path: bytes = b"", ranges: Sequence[tuple[int, int]] = ()
) -> str:
    """Why a request is refused; empty if it is taken."""
    asked = [pb.ByteRange(offset=offset, length=length) for offset, length in ranges]
    message = pb.ReadContentRequest(session_id=session, digest=digest, path=path, ranges=asked)
    try:
        decode_content_request(message.SerializeToString())
    except RemoteError as error:
        return error.reason
    return ""


@pytest.mark.case("I08")
@pytest.mark.parametrize(
    "digest",
    [b"", b"d" * 31, b"d" * 33, bytes(32), unread_digest(b"some state of a file")],
    ids=["0", "31", "33", "unknown", "unread"],
)
def test_digest(digest: bytes) -> None:
    """Content is named by its SHA-256, and never by a digest that means a file that nobody has read."""
    assert "INVALID_DIGEST" == reason(digest=digest)


@pytest.mark.case("I01")
@pytest.mark.parametrize("path", [b"../a", b"/a", b"a//b", b"a/./b", b"a\0b", b"a/", b"."])
def test_path(path: bytes) -> None:
    """A path that leads out of the replica, or is not written in the one way, is no hint."""
    assert "INVALID_PATH" == reason(path=path)


@pytest.mark.case("I03")
@pytest.mark.parametrize(
    "count, expected",
    [(0, ""), (LIMITS.max_content_ranges, ""), (LIMITS.max_content_ranges + 1, "MAX_CONTENT_RANGES")],
    ids=["none", "most", "too_many"],
)
def test_number_of_ranges(count: int, expected: str) -> None:
    """As many ranges as the limit says may be named, and one more is refused by the limit's name."""
    assert expected == reason(ranges=[(2 * number, 1) for number in range(count)])


@pytest.mark.case("I03")
@pytest.mark.parametrize(
    "ranges, expected",
    [
        ([(0, 1), (1, 1)], ""),
        ([(0, MAX_SIZE)], ""),
        ([(MAX_SIZE - 1, 1)], ""),
        ([(0, 0)], "INVALID_RANGE"),
        ([(0, 2), (1, 1)], "INVALID_RANGE"),
        ([(5, 1), (0, 1)], "INVALID_RANGE"),
        ([(5, 1), (5, 1)], "INVALID_RANGE"),
        ([(0, MAX_SIZE + 1)], "INVALID_RANGE"),
        ([(MAX_SIZE, 1)], "INVALID_RANGE"),
        ([((1 << 64) - 1, (1 << 64) - 1)], "INVALID_RANGE"),
    ],
)
def test_ranges(ranges: list[tuple[int, int]], expected: str) -> None:
    """Ranges are not empty, ascend, do not overlap, and end where a file can."""
    assert expected == reason(ranges=ranges)


def test_session() -> None:
    """The session is named by an id that can be one."""
    assert "INVALID_SESSION_ID" == reason(session=b"short")


def test_unknown_compressions_are_left_out() -> None:
    """A client may decode what this version does not know."""
    message = pb.ReadContentRequest.FromString(encode_content_request(request()))
    message.compressions.extend([entry_pb2.COMPRESSION_ZSTD, 77, 0])  # type: ignore[list-item]

    assert {Compression.ZSTD} == decode_content_request(message.SerializeToString()).compressions


@pytest.mark.parametrize(
    "asked, size, expected",
    [
        (request(), 10, (ByteRange(0, 10),)),
        (request(), 0, ()),
        (request((2, 3), (9, 1)), 10, (ByteRange(2, 3), ByteRange(9, 1))),
    ],
    ids=["all", "all of nothing", "some"],
)
def test_ranges_of_content(asked: ContentRequest, size: int, expected: tuple[ByteRange, ...]) -> None:
    """What is asked for is what is named, or all that there is."""
    assert expected == content_ranges(asked, size)


def test_range_behind_the_end() -> None:
    """Bytes that the content does not have are refused, not left out."""
    with pytest.raises(InvalidMessage) as refused:
        content_ranges(request((9, 2)), 10)

    assert "INVALID_RANGE" == refused.value.reason


WANTED = [ByteRange(2, 3), ByteRange(5, 1), ByteRange(10, 4)]
GOOD = [ContentPiece(2, b"ab"), ContentPiece(4, b"cd"), ContentPiece(10, b"", 3), ContentPiece(13, b"z")]


def test_pieces_that_were_asked_for() -> None:
    """Pieces that have every byte asked for, in order, are passed on; ranges that touch are one."""
    assert GOOD == list(check_content_pieces(GOOD, WANTED))


@pytest.mark.case("J01")
@pytest.mark.parametrize(
    "pieces, expected",
    [
        ([ContentPiece(0, b"ab")], "CONTENT_OUT_OF_ORDER"),
        ([ContentPiece(2, b"abcde")], "CONTENT_OUT_OF_ORDER"),
        ([ContentPiece(2, b"", MAX_SIZE - 2)], "CONTENT_OUT_OF_ORDER"),
        ([ContentPiece(2, b"")], "CONTENT_OUT_OF_ORDER"),
        ([*GOOD, ContentPiece(14, b"more")], "CONTENT_OUT_OF_ORDER"),
        ([*GOOD, GOOD[-1]], "CONTENT_OUT_OF_ORDER"),
        (GOOD[::-1], "CONTENT_OUT_OF_ORDER"),
        (GOOD[:-1], "CONTENT_INCOMPLETE"),
        ([], "CONTENT_INCOMPLETE"),
    ],
    ids=["before", "beyond", "zeros beyond", "empty", "after the end", "twice", "order", "early end", "none"],
)
def test_other_pieces(pieces: list[ContentPiece], expected: str) -> None:
    """A server that sends bytes that were not asked for, or too few, is refused by what it did."""
    with pytest.raises(RemoteError) as refused:
        list(check_content_pieces(pieces, WANTED))

    assert expected == refused.value.reason


@pytest.mark.case("J01")
@pytest.mark.parametrize(
    "message, expected",
    [
        (pb.ReadContentResponse(), "INVALID_MESSAGE"),
        (pb.ReadContentResponse(literal=b""), "INVALID_RANGE"),
        (pb.ReadContentResponse(zeros=0), "INVALID_RANGE"),
        (pb.ReadContentResponse(zeros=MAX_SIZE + 1), "INVALID_RANGE"),
        (pb.ReadContentResponse(offset=MAX_SIZE, literal=b"a"), "INVALID_RANGE"),
        (
            pb.ReadContentResponse(compressed=pb.PushChangesRequest.Compressed(compression=99, size=1)),  # type: ignore[arg-type]
            "UNKNOWN_COMPRESSION",
        ),
        (
            pb.ReadContentResponse(
                compressed=pb.PushChangesRequest.Compressed(compression=entry_pb2.COMPRESSION_ZSTD, size=1 << 30)
            ),
            "MAX_MESSAGE_BYTES",
        ),
    ],
    ids=["nothing", "no byte", "no zeros", "too many zeros", "too far", "compression", "bomb"],
)
def test_pieces_that_cannot_be(message: pb.ReadContentResponse, expected: str) -> None:
    """A piece that no file has, or that this version cannot read."""
    with pytest.raises(RemoteError) as refused:
        decode_content_piece(message.SerializeToString())

    assert expected == refused.value.reason


def test_path_is_a_hint() -> None:
    """A request says where the content may be, or nothing of that."""
    named = request()._replace(path=RelPath(b"a/b"))

    assert named == decode_content_request(encode_content_request(named))
    assert request() == decode_content_request(encode_content_request(request()))
