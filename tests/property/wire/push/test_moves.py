"""Moves on the wire: taken exactly if the protocol has such a move."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dirsync.errors import InvalidMessage
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Move
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.push.messages import Batch, decode_push

FILE, DIRECTORY, LINK = entry_pb2.KIND_FILE, entry_pb2.KIND_DIRECTORY, entry_pb2.KIND_SYMLINK
DIGEST = b"d" * 32

places = st.sampled_from((b"a", b"a/b", b"a/b/c", b"ab", b"b"))
digests = st.sampled_from((b"", bytes(32), DIGEST))
states = (
    st.just(pb.Expected(absent=True))
    | st.just(pb.Expected())
    | st.builds(lambda digest: pb.Expected(entry=entry_pb2.Entry(kind=FILE, size=1, digest=digest)), digests)
    | st.builds(lambda digest: pb.Expected(entry=entry_pb2.Entry(kind=DIRECTORY, digest=digest)), digests)
    | st.just(pb.Expected(entry=entry_pb2.Entry(kind=LINK, target=b"t")))
)


def nested(first: bytes, second: bytes) -> bool:
    """Whether the paths are the same, or one lies in the other."""
    shorter, longer = sorted((first.split(b"/"), second.split(b"/")), key=len)
    return longer[: len(shorter)] == shorter


def possible(path: bytes, expected: pb.Expected, source: bytes, moved: pb.Expected, *, exchange: bool) -> bool:
    """Whether there is such a move: by the rules of PROTOCOL.md."""
    if nested(path, source) or moved.WhichOneof("state") != "entry" or expected.WhichOneof("state") is None:
        return False
    if moved.entry.kind != LINK and moved.entry.digest != DIGEST:
        return False
    replaced = expected.entry.kind if expected.WhichOneof("state") == "entry" else None
    if exchange:
        return replaced is not None
    return replaced is None or DIRECTORY not in (moved.entry.kind, replaced)


@given(path=places, expected=states, source=places, moved=states, exchange=st.booleans())
@example(path=b"a", expected=pb.Expected(absent=True), source=b"a/b", moved=pb.Expected(absent=True), exchange=True)
def test_possible_or_refused(
    *, path: bytes, expected: pb.Expected, source: bytes, moved: pb.Expected, exchange: bool
) -> None:
    """A move is taken as it was said if there is such a one, and ends the stream if not."""
    move = pb.Operation.Move(source=source, source_expected=moved, exchange=exchange)
    operation = pb.Operation(number=1, path=path, expected=expected, move=move)
    raw = pb.PushChangesRequest(batch=pb.PushChangesRequest.Batch(operations=[operation])).SerializeToString()
    if not possible(path, expected, source, moved, exchange=exchange):
        with pytest.raises(InvalidMessage) as refused:
            decode_push(raw)

        assert refused.value.reason in ("INVALID_MOVE", "INVALID_DIGEST", "NO_EXPECTATION")
        return
    batch = decode_push(raw)

    assert isinstance(batch, Batch)
    taken = batch.items[0].operation
    assert isinstance(taken, Move)
    assert (path, RelPath(source), exchange) == (taken.path, taken.source, taken.exchange)
    assert (int(moved.entry.kind), moved.entry.size) == (int(taken.source_expected.kind), taken.source_expected.size)
    assert (expected.WhichOneof("state") == "absent") is (taken.expected is None)
