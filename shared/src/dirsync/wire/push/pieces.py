"""The pieces of a delta frame: literals, runs of zeros, and copies of blocks of the basis.

Only a receiver that knows the size of the basis can check that it has the blocks of a copy. Here every number is
bounded so that no sum of two of them overflows 64 bits.
"""

from collections.abc import Iterable, Iterator

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.errors import InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import MAX_SIZE

_LITERAL_COST = 8
"""Bytes of a message that a literal needs beside its content, at most: two tags and two lengths."""
_COPY_COST = 24
"""Bytes of a message that a copy or a run of zeros needs, at most."""


def delta_frames(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Divide pieces into lists that each fit into one frame; a literal that does not fit is cut.

    A list is yielded as soon as it is full, the last one when the pieces end. Without pieces there is no list.
    """
    frame: list[Piece] = []
    room = LIMITS.frame_bytes
    for piece in pieces:
        for part in _parts(piece):
            cost = _COPY_COST if isinstance(part, BlockRange | Zeros) else len(part) + _LITERAL_COST
            if frame and (cost > room or len(frame) >= LIMITS.max_frame_pieces):
                yield frame
                frame, room = [], LIMITS.frame_bytes
            frame.append(part)
            room -= cost
    if frame:
        yield frame


def _parts(piece: Piece) -> Iterator[Piece]:
    most = LIMITS.frame_bytes - _LITERAL_COST
    if isinstance(piece, BlockRange | Zeros) or len(piece) <= most:
        yield piece
        return
    literal = memoryview(piece)
    for at in range(0, len(literal), most):
        yield literal[at : at + most]


def fill_delta(message: pb.PushChangesRequest.Delta, pieces: Iterable[Piece]) -> None:
    """Write pieces into a message that is part of another."""
    # Without this, a delta without pieces would be absent.
    message.SetInParent()
    for piece in pieces:
        _fill_piece(message.pieces.add(), piece)


def _fill_piece(message: pb.PushChangesRequest.Piece, piece: Piece) -> None:
    match piece:
        case BlockRange(first=first, count=count):
            message.copy.first, message.copy.count = first, count
        case Zeros(length=length):
            message.zeros = length
        case _:
            message.literal = bytes(piece)


def decode_pieces(delta: pb.PushChangesRequest.Delta) -> list[Piece]:
    """Validate the pieces of a frame.

    Raises:
        LimitExceeded: more pieces than a frame may have.
        InvalidMessage: a piece that is empty, of no kind, or longer than any file.
    """
    if len(delta.pieces) > LIMITS.max_frame_pieces:
        msg = f"a delta frame of {len(delta.pieces)} pieces; at most {LIMITS.max_frame_pieces} are taken"
        raise LimitExceeded("max_frame_pieces", msg)
    return [_decode_piece(piece) for piece in delta.pieces]


def _decode_piece(piece: pb.PushChangesRequest.Piece) -> Piece:
    kind = piece.WhichOneof("piece")
    match kind:
        case "literal":
            literal = piece.literal
            if literal:
                return literal
        case "copy":
            first, count = piece.copy.first, piece.copy.count
            if count and first + count <= MAX_SIZE:
                return BlockRange(first, count)
        case "zeros":
            length = piece.zeros
            if 0 < length <= MAX_SIZE:
                return Zeros(length)
        case None:
            msg = "a piece of a delta of a kind that this version does not know"
            raise InvalidMessage(msg, reason="INVALID_DELTA")
    msg = f"a delta has a piece ({kind}) that is empty or reaches beyond what any file can hold"
    raise InvalidMessage(msg, reason="INVALID_DELTA")
