"""Deltas, moves and copies that no correct client sends: they end the stream, and nothing of it is published."""

import zlib

import pytest

from dirsync.limits import LIMITS, MIB
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import (
    ABSENT,
    FILE,
    Request,
    batch,
    begin,
    commit,
    digest,
    directory,
    file,
    put,
    seen,
)
from tests.support.peers.wire import OK, Wire

CONTENT = b"content"
BASIS = digest(b"basis")
MAX = (1 << 63) - 1
KNOWN_DIRECTORY = entry_pb2.Entry(kind=entry_pb2.KIND_DIRECTORY, digest=digest(b"directory"))


def based(block_size: int, basis: bytes) -> Request:
    """The beginning of a file with a basis."""
    message = begin(3, b"hostile", MIB)
    message.begin.block_size, message.begin.basis = block_size, basis
    return message


def delta(*pieces: Request.Piece) -> Request:
    """A frame of the file that is open."""
    return Request(data=Request.FileData(number=2, delta=Request.Delta(pieces=pieces)))


def copy(first: int, count: int) -> Request:
    """A frame of one copy."""
    return delta(Request.Piece(copy=pb.BlockRange(first=first, count=count)))


def zeros(length: int) -> Request:
    """A frame of one run of zeros."""
    return delta(Request.Piece(zeros=length))


def compressed(size: int) -> Request:
    """A compressed delta of 10,006 bytes that says it has ``size``."""
    payload = Request.Delta(pieces=[Request.Piece(literal=bytes(10_000))]).SerializeToString()
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = compressor.compress(payload) + compressor.flush()
    what = Request.Compressed(compression=entry_pb2.COMPRESSION_GZIP, size=size, payload=packed)
    return Request(data=Request.FileData(number=2, compressed_delta=what))


def move(
    path: bytes,
    source: bytes,
    moved: pb.Expected | None = None,
    expected: pb.Expected = ABSENT,
    *,
    exchange: bool = False,
) -> Request:
    """A move, of a file where nothing else is said."""
    what = pb.Operation.Move(source=source, source_expected=moved or seen(file(CONTENT)), exchange=exchange)
    return batch(pb.Operation(number=3, path=path, expected=expected, move=what))


def copy_content(entry: entry_pb2.Entry) -> Request:
    """A copy of content that the replica should have."""
    what = pb.Operation.CopyContent(entry=entry)
    return batch(pb.Operation(number=3, path=b"hostile", expected=ABSENT, copy_content=what))


def sized(size: int) -> entry_pb2.Entry:
    """The entry of a file that claims some size."""
    return entry_pb2.Entry(kind=FILE, size=size, digest=digest(CONTENT))


HOSTILE: dict[str, tuple[str, Request, str]] = {
    "copy_nothing": ("I06", copy(0, 0), "INVALID_DELTA"),
    "copy_to_the_end_of_numbers": ("I06", copy(MAX, 1), "INVALID_DELTA"),
    "copy_from_the_end_of_numbers": ("I06", copy((1 << 64) - 1, 1), "INVALID_DELTA"),
    "copy_all_numbers": ("I06", copy((1 << 64) - 1, (1 << 64) - 1), "INVALID_DELTA"),
    "no_zeros": ("I06", zeros(0), "INVALID_DELTA"),
    "zeros_beyond_any_file": ("I06", zeros(1 << 63), "INVALID_DELTA"),
    "empty_literal": ("I06", delta(Request.Piece(literal=b"")), "INVALID_DELTA"),
    "no_piece": ("I06", delta(Request.Piece()), "INVALID_DELTA"),
    "pieces": ("I03", delta(*[Request.Piece(zeros=1)] * (LIMITS.max_frame_pieces + 1)), "MAX_FRAME_PIECES"),
    "tiny_pieces": ("I03", delta(*[Request.Piece()] * 500_000), "MAX_FRAME_PIECES"),
    "no_block_size": ("I07", based(0, BASIS), "INVALID_BLOCK_SIZE"),
    "block_of_a_byte": ("I07", based(1, BASIS), "INVALID_BLOCK_SIZE"),
    "huge_block": ("I07", based((1 << 32) - 1, BASIS), "INVALID_BLOCK_SIZE"),
    "blocks_of_nothing": ("I07", based(4096, b""), "INVALID_BLOCK_SIZE"),
    "basis_1": ("I08", based(4096, b"b"), "INVALID_DIGEST"),
    "basis_31": ("I08", based(4096, BASIS[:31]), "INVALID_DIGEST"),
    "basis_33": ("I08", based(4096, BASIS + b"b"), "INVALID_DIGEST"),
    "basis_64k": ("I08", based(4096, b"b" * 65_536), "INVALID_DIGEST"),
    "basis_unknown": ("I08", based(4096, bytes(32)), "INVALID_DIGEST"),
    "bomb": ("I09", compressed(100), "INVALID_COMPRESSION"),
    "bomb_of_1_gib": ("I09", compressed(1 << 30), "MAX_MESSAGE_BYTES"),
    "copy_of_no_content": ("I08", copy_content(entry_pb2.Entry(kind=FILE, size=1)), "INVALID_DIGEST"),
    "copy_of_unknown": ("I08", copy_content(entry_pb2.Entry(kind=FILE, size=1, digest=bytes(32))), "INVALID_DIGEST"),
    "copy_of_31": ("I08", copy_content(entry_pb2.Entry(kind=FILE, size=1, digest=BASIS[:31])), "INVALID_DIGEST"),
    "copy_of_a_directory": ("I08", copy_content(KNOWN_DIRECTORY), "INVALID_KIND"),
    "copy_of_2_63": ("I10", copy_content(sized(1 << 63)), "INVALID_SIZE"),
    "move_of_unknown": ("I08", move(b"b", b"a", seen(directory())), "INVALID_DIGEST"),
}
MOVES: dict[str, tuple[Request, str]] = {
    "move_of_nothing": (move(b"b", b"a", ABSENT), "INVALID_MOVE"),
    "move_onto_itself": (move(b"a", b"a"), "INVALID_MOVE"),
    "move_into_itself": (move(b"a/b", b"a", seen(KNOWN_DIRECTORY)), "INVALID_MOVE"),
    "move_onto_its_directory": (move(b"a", b"a/b", expected=seen(directory())), "INVALID_MOVE"),
    "move_over_a_directory": (move(b"b", b"a", expected=seen(directory())), "INVALID_MOVE"),
    "directory_over_a_file": (move(b"b", b"a", seen(KNOWN_DIRECTORY), seen(file(b""))), "INVALID_MOVE"),
    "exchange_with_nothing": (move(b"b", b"a", exchange=True), "INVALID_MOVE"),
    "move_climbs": (move(b"b", b"../a"), "INVALID_PATH"),
    "move_of_the_root": (move(b"b", b"", seen(KNOWN_DIRECTORY)), "INVALID_PATH"),
}


@pytest.mark.parametrize(
    "message, reason",
    [pytest.param(m, reason, id=name, marks=pytest.mark.case(case)) for name, (case, m, reason) in HOSTILE.items()]
    + [pytest.param(m, reason, id=name) for name, (m, reason) in MOVES.items()],
)
def test_refused(wire: Wire, message: Request, reason: str) -> None:
    """The stream ends with the reason, what came before it without a commit is dropped, and the next one goes on."""
    session = wire.open_session()
    opening = [batch(put(1, b"before", b"x")), begin(2, b"open", MIB)]
    answers, status = wire.push(session.session_id).send(*opening, message, commit()).finish()
    code = "RESOURCE_EXHAUSTED" if reason.startswith("MAX_") else "INVALID_ARGUMENT"
    again = wire.open_session()

    assert ([], code, reason, "dirsync") == (answers, *status[:3])
    assert session.root_digest == again.root_digest
    assert OK == wire.push(again.session_id).send(commit()).finish()[1]
