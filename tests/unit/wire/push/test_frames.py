"""Files in frames: what begins one and what a frame may hold, to the last value on each side of every bound."""

import zlib

import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.errors import LimitExceeded, RemoteError
from dirsync.limits import LIMITS, MIB
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression
from dirsync.wire.push.messages import FileBegin, FileDelta, decode_push, encode_begin, encode_delta

Request = pb.PushChangesRequest
BASIS = b"b" * 32
MOST = LIMITS.max_frame_pieces


def begin(block_size: int, basis: bytes, size: int = 1) -> Request:
    """The beginning of a file."""
    entry = entry_pb2.Entry(kind=entry_pb2.KIND_FILE, size=size)
    said = Request.FileBegin(
        number=1, path=b"x", expected=pb.Expected(absent=True), entry=entry, block_size=block_size, basis=basis
    )
    return Request(begin=said)


def reason(message: Request) -> str:
    """Why a message is refused; empty if it is taken."""
    try:
        decode_push(message.SerializeToString())
    except RemoteError as error:
        return error.reason
    return ""


@pytest.mark.case("I07")
@pytest.mark.parametrize("block_size", [0, 1, 511, 16 * MIB + 1, (1 << 32) - 1])
def test_block_size_out_of_bounds(block_size: int) -> None:
    """Copies in blocks of any size outside the limits are refused before the first of them."""
    assert "INVALID_BLOCK_SIZE" == reason(begin(block_size, BASIS))


@pytest.mark.case("I07")
@pytest.mark.parametrize("block_size", [512, 513, 4096, 16 * MIB])
def test_block_size(block_size: int) -> None:
    """With a basis any block size within the limits is taken, be it a power of two or not."""
    assert "" == reason(begin(block_size, BASIS))


@pytest.mark.case("I07")
@pytest.mark.parametrize("block_size, expected", [(0, ""), (1, "INVALID_BLOCK_SIZE"), (4096, "INVALID_BLOCK_SIZE")])
def test_block_size_without_a_basis(block_size: int, expected: str) -> None:
    """Without a basis there are no blocks, so a size for them contradicts itself."""
    assert expected == reason(begin(block_size, b""))


@pytest.mark.case("I08")
@pytest.mark.parametrize(
    "basis", [b"b", b"b" * 31, b"b" * 33, b"b" * 65_536, bytes(32)], ids=["1", "31", "33", "64k", "unknown"]
)
def test_basis_that_is_no_digest(basis: bytes) -> None:
    """A basis is named by 32 bytes, and never by those that mean an unknown digest."""
    assert "INVALID_DIGEST" == reason(begin(4096, basis))


@pytest.mark.case("I10")
@pytest.mark.parametrize(
    "size, expected", [((1 << 63) - 1, ""), (1 << 63, "INVALID_SIZE"), ((1 << 64) - 1, "INVALID_SIZE")]
)
def test_announced_size(size: int, expected: str) -> None:
    """A size beyond what off_t holds is no size, with a basis as without."""
    assert [expected, expected] == [reason(begin(4096, BASIS, size)), reason(begin(0, b"", size))]


def test_whole_file_by_default() -> None:
    """A file that is begun without more has no basis."""
    begun = decode_push(begin(0, b"").SerializeToString())

    assert isinstance(begun, FileBegin)
    assert begun == decode_push(encode_begin(1, PutFile(RelPath(b"x"), None, begun.operation.entry)))
    assert (0, b"") == (begun.block_size, begun.basis)


@pytest.mark.case("I03")
@pytest.mark.parametrize("compression", Compression)
def test_number_of_pieces(compression: Compression) -> None:
    """A frame has so many pieces and no more, however small it was made."""
    pieces = [BlockRange(1, 1)] * (MOST + 1)
    most = decode_push(encode_delta(1, pieces[:MOST], compression)[0])
    with pytest.raises(LimitExceeded) as refused:
        decode_push(encode_delta(1, pieces, compression)[0])

    assert isinstance(most, FileDelta)
    assert MOST == len(most.pieces)
    assert "MAX_FRAME_PIECES" == refused.value.reason


@pytest.mark.case("I03")
@pytest.mark.parametrize(
    "piece", [b"\x0a\x00", b"\x0a\x02\x0a\x00", b"\x0a\x02\x18\x01"], ids=["none", "empty", "zeros"]
)
def test_message_of_the_smallest_pieces(piece: bytes) -> None:
    """A message that is nothing but tiny pieces is refused by their number, before any of them is looked at."""
    delta = Request.Delta.FromString(piece * ((MIB - 64) // len(piece)))
    message = Request(data=Request.FileData(number=1, delta=delta))

    assert message.ByteSize() > MIB - 100
    assert "MAX_FRAME_PIECES" == reason(message)


def compressed(payload: bytes, size: int) -> Request:
    """A delta frame that claims to be so many bytes when decompressed."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = Request.Compressed(
        compression=entry_pb2.COMPRESSION_GZIP, size=size, payload=compressor.compress(payload) + compressor.flush()
    )
    return Request(data=Request.FileData(number=1, compressed_delta=packed))


@pytest.mark.case("I09")
@pytest.mark.parametrize(
    "claimed, expected",
    [(-1, "INVALID_COMPRESSION"), (0, ""), (1, "INVALID_COMPRESSION"), (MIB, "MAX_MESSAGE_BYTES")],
)
def test_compressed_delta_of_another_size(claimed: int, expected: str) -> None:
    """A compressed delta has as many bytes as it announced, which a message could hold, or is refused."""
    delta = Request.Delta(pieces=[Request.Piece(literal=bytes(10_000))]).SerializeToString()

    assert expected == reason(compressed(delta, len(delta) + claimed))


@pytest.mark.case("I09")
def test_compressed_delta_that_is_none() -> None:
    """What decompresses to something else than a delta is no message."""
    assert "INVALID_MESSAGE" == reason(compressed(b"\xff" * 100, 100))


def test_unknown_frames_and_pieces() -> None:
    """A frame or a piece of a kind that a newer client might send ends the stream: its content would be lost."""
    unknown = Request.FileData.FromString(b"\x08\x01\x7a\x01x")
    piece = Request.Delta(pieces=[Request.Piece.FromString(b"\x7a\x01x")])

    assert "STRATEGY_NOT_OFFERED" == reason(Request(data=unknown))
    assert "INVALID_DELTA" == reason(Request(data=Request.FileData(number=1, delta=piece)))
