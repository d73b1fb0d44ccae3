"""Deltas on the wire: any list of pieces fits into frames, and what no file could be made of is refused."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.errors import InvalidMessage
from dirsync.limits import LIMITS
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import MAX_SIZE
from dirsync.wire.push.messages import FileDelta, decode_push, delta_frames, encode_delta
from tests.property.wire.values import pieces

uint64 = st.integers(0, (1 << 64) - 1) | st.sampled_from((0, 1, MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1, (1 << 64) - 1))
Said = pb.PushChangesRequest.Piece
anything = (
    st.builds(lambda literal: Said(literal=literal), st.binary(max_size=3))
    | st.builds(lambda first, count: Said(copy=pb.BlockRange(first=first, count=count)), uint64, uint64)
    | st.builds(lambda length: Said(zeros=length), uint64)
    | st.just(Said())
)
literals = st.integers(1, 3 * LIMITS.frame_bytes).map(lambda length: memoryview(bytes(length)))


def possible(piece: Said) -> bool:
    """Whether some file could have such a piece: by the rules of PROTOCOL.md."""
    match piece.WhichOneof("piece"):
        case "literal":
            return len(piece.literal) > 0
        case "copy":
            return piece.copy.count >= 1 and piece.copy.first + piece.copy.count < 1 << 63
        case "zeros":
            return 1 <= piece.zeros < 1 << 63
        case _:
            return False


def content(some: Iterable[Piece]) -> list[bytes | BlockRange | Zeros]:
    """The pieces with neighbouring literals joined: what they are, however they were cut."""
    joined: list[bytes | BlockRange | Zeros] = []
    for piece in some:
        if isinstance(piece, BlockRange | Zeros):
            joined.append(piece)
        elif joined and isinstance(joined[-1], bytes):
            joined[-1] += bytes(piece)
        else:
            joined.append(bytes(piece))
    return joined


@pytest.mark.case("I06")
@given(said=st.lists(anything, max_size=4))
def test_possible_or_refused(said: Sequence[Said]) -> None:
    """A frame is taken exactly if every piece of it could be one of a file; no number is taken that could overflow."""
    data = pb.PushChangesRequest.FileData(number=1, delta=pb.PushChangesRequest.Delta(pieces=said))
    raw = pb.PushChangesRequest(data=data).SerializeToString()
    if not all(map(possible, said)):
        with pytest.raises(InvalidMessage) as refused:
            decode_push(raw)

        assert "INVALID_DELTA" == refused.value.reason
        return
    frame = decode_push(raw)

    assert isinstance(frame, FileDelta)
    assert len(said) == len(frame.pieces)


@settings(max_examples=30)
@given(said=st.lists(pieces | literals, max_size=8))
def test_frames(said: list[Piece]) -> None:
    """Any pieces come out of frames as they went in, save where literals are cut, and each frame is one message."""
    raws = [encode_delta(1, frame)[0] for frame in delta_frames(said)]
    frames = [decode_push(raw) for raw in raws]

    assert content(said) == content(piece for f in frames if isinstance(f, FileDelta) for piece in f.pieces)
    assert all(len(raw) <= LIMITS.max_message_bytes for raw in raws)


PIECES: dict[str, tuple[Piece, int]] = {
    "copies": (BlockRange(MAX_SIZE - 1, 1), 40_000),
    "zeros": (Zeros(MAX_SIZE), 40_000),
    "bytes": (b"x", 40_000),
    "small": (b"x" * 127, 40_000),
    "large": (b"x" * 20_000, 200),
}


@pytest.mark.parametrize("piece, times", PIECES.values(), ids=PIECES)
def test_full_frames(piece: Piece, times: int) -> None:
    """However small or large pieces are, no frame has too many of them or more bytes than a message."""
    said = [piece] * times
    frames = list(delta_frames(said))

    assert said == [each for frame in frames for each in frame]
    assert len(frames) > 1
    assert all(len(frame) <= LIMITS.max_frame_pieces for frame in frames)
    assert all(len(encode_delta(1 << 63, frame)[0]) <= LIMITS.max_message_bytes for frame in frames)


def test_frames_are_given_early() -> None:
    """A full frame is given before the pieces end, so that a file is under way while it is still compared."""
    taken = 0

    def endless() -> Iterable[Piece]:
        nonlocal taken
        while True:
            taken += 1
            yield BlockRange(taken, 1)

    first = next(iter(delta_frames(endless())))

    assert LIMITS.max_frame_pieces == len(first)
    assert LIMITS.max_frame_pieces + 1 == taken
