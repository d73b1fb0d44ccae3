"""Frames of every kind make one file, and a request for an impossible signature is refused."""

import zlib
from collections.abc import Iterable

import pytest

from dirsync.limits import LIMITS, MIB
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import Request, begin, data, digest, end
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, SYNC, Wire

DIGEST = digest(b"what nobody has")
TOO_MANY_RANGES = LIMITS.max_signature_ranges + 1


def delta(number: int, *pieces: Request.Piece) -> Request:
    """A delta frame."""
    return Request(data=Request.FileData(number=number, delta=Request.Delta(pieces=pieces)))


def compressed(number: int, *pieces: Request.Piece) -> Request:
    """A delta frame, compressed."""
    payload = Request.Delta(pieces=pieces).SerializeToString()
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = compressor.compress(payload) + compressor.flush()
    what = Request.Compressed(compression=entry_pb2.COMPRESSION_GZIP, size=len(payload), payload=packed)
    return Request(data=Request.FileData(number=number, compressed_delta=what))


def test_frames_mix(bench: Bench) -> None:
    """Literals and zeros, plain and compressed, in frames of all kinds, are one file in their order."""
    content = b"one" + bytes(5000) + b"two" + bytes(10_000) + b"three"
    one, two = Request.Piece(literal=b"one"), Request.Piece(literal=b"two")
    committed = bench.settle(
        begin(2, bench.at("mixed"), len(content)),
        delta(2, one, Request.Piece(zeros=5000), two),
        compressed(2, Request.Piece(literal=bytes(10_000))),
        delta(2),
        data(2, b"three"),
        end(2, digest(content)),
    )

    assert ([], [2]) == (list(committed.failures), list(committed.files))
    assert content == (bench.place / "mixed").read_bytes()


def asking(
    content: bytes = DIGEST, block_size: int = 4096, ranges: Iterable[tuple[int, int]] = ()
) -> pb.GetSignatureRequest:
    """A request for a signature, without its session."""
    blocks = [pb.BlockRange(first=first, count=count) for first, count in ranges]
    return pb.GetSignatureRequest(digest=content, block_size=block_size, ranges=blocks)


HOSTILE = {
    "no_digest": ("I08", asking(b""), "INVALID_DIGEST"),
    "digest_31": ("I08", asking(DIGEST[:31]), "INVALID_DIGEST"),
    "digest_33": ("I08", asking(DIGEST + b"d"), "INVALID_DIGEST"),
    "digest_64k": ("I08", asking(b"d" * 65_536), "INVALID_DIGEST"),
    "unknown": ("I08", asking(bytes(32)), "INVALID_DIGEST"),
    "no_block": ("I07", asking(block_size=0), "INVALID_BLOCK_SIZE"),
    "block_of_a_byte": ("I07", asking(block_size=1), "INVALID_BLOCK_SIZE"),
    "huge_block": ("I07", asking(block_size=16 * MIB + 1), "INVALID_BLOCK_SIZE"),
    "empty_range": ("I06", asking(ranges=[(0, 0)]), "INVALID_RANGE"),
    "overlapping": ("I06", asking(ranges=[(0, 2), (1, 1)]), "INVALID_RANGE"),
    "descending": ("I06", asking(ranges=[(5, 1), (0, 1)]), "INVALID_RANGE"),
    "beyond_numbers": ("I06", asking(ranges=[((1 << 64) - 1, (1 << 64) - 1)]), "INVALID_RANGE"),
    "ranges": ("I03", asking(ranges=((n, 1) for n in range(TOO_MANY_RANGES))), "MAX_SIGNATURE_RANGES"),
}


@pytest.mark.parametrize(
    "asked, reason",
    [
        pytest.param(said, reason, id=name, marks=pytest.mark.case(case))
        for name, (case, said, reason) in HOSTILE.items()
    ],
)
def test_signature_refused(wire: Wire, asked: pb.GetSignatureRequest, reason: str) -> None:
    """A signature of what cannot be is refused by name, and the session goes on."""
    session_id = asked.session_id = wire.open_session().session_id
    status = wire.call(SYNC + "GetSignature", asked).status
    code = "RESOURCE_EXHAUSTED" if reason.startswith("MAX_") else "INVALID_ARGUMENT"

    assert (code, reason, "dirsync") == status[:3]
    assert OK == wire.list(session_id, b"").status


def test_signature_of_content_that_is_not_there(wire: Wire) -> None:
    """Of content that the replica does not have there is no signature, and the reason says so."""
    request = asking()
    request.session_id = wire.open_session().session_id

    assert ("NOT_FOUND", "CONTENT_NOT_FOUND") == wire.call(SYNC + "GetSignature", request).status[:2]
