"""Every message of the wire: what is encoded is decoded as it was, and any other bytes are refused by name (T4)."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece
from dirsync.errors import RemoteError
from dirsync.tree.guards.approvals import Released
from dirsync.tree.path import escape
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire import content, replica, session, signature, watch
from dirsync.wire.agent import approve, explain, problems, status, sync
from dirsync.wire.compression import Compression
from dirsync.wire.push import messages as push
from dirsync.wire.push import results
from tests.property.wire.values import (
    agent_statuses,
    begins,
    committed,
    compressions,
    content_pieces,
    content_requests,
    counts,
    deltas,
    digests,
    entry_lists,
    explained,
    identifiers,
    items,
    listings,
    numbers,
    open_requests,
    opened,
    options,
    paths,
    reports,
    session_ids,
    signature_pages,
    signature_requests,
    statuses,
    traceparents,
    words,
)
from tests.support.peers.malformed.mutations import mutated


def batch(drawn: tuple[list[push.Item], Compression]) -> bytes:
    """A batch as it travels."""
    return push.encode_batch(*drawn)[0]


def delta(drawn: tuple[int, list[Piece], Compression]) -> bytes:
    """A delta frame as it travels."""
    return push.encode_delta(*drawn)[0]


def joined(messages: Iterable[bytes]) -> bytes:
    """The one message that there is."""
    (message,) = messages
    return message


commits = st.builds(push.Commit, st.booleans(), st.booleans(), st.just("") | traceparents)


class Codec:
    """A message: what may be said, how it travels, and how it is read. ``encode`` takes what ``values`` draws."""

    def __init__(self, values: st.SearchStrategy[Any], encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]):
        self.values = values
        self.encode = encode
        self.decode = decode


def piece(said: content.ContentPiece) -> bytes:
    """A piece of content as it travels."""
    if said.zeros:
        return content.encode_zeros(said.offset, said.zeros)
    return content.encode_literal(said.offset, bytes(said.literal))[0]


def pushed(values: st.SearchStrategy[Any], encode: Callable[[Any], bytes]) -> Codec:
    """A message of the push stream."""
    return Codec(values, encode, push.decode_push)


CODECS = {
    "open_session": Codec(open_requests, session.encode_open, session.decode_open),
    "opened": Codec(opened, session.encode_opened, session.decode_opened),
    "close_session": Codec(session_ids, session.encode_close, session.decode_close),
    "list": Codec(
        st.tuples(session_ids, st.lists(paths, max_size=4)),
        lambda said: session.encode_list(*said),
        session.decode_list,
    ),
    "page": Codec(
        st.builds(session.Page, st.integers(0, 9), listings, st.just(value=True), st.just([])),
        lambda page: joined(session.encode_pages(page.directory, page.children)),
        session.decode_page,
    ),
    "signature_request": Codec(
        signature_requests, signature.encode_signature_request, signature.decode_signature_request
    ),
    "signature_page": Codec(
        signature_pages,
        lambda page: joined(signature.encode_signature_pages([page])),
        signature.decode_signature_page,
    ),
    "content_request": Codec(content_requests, content.encode_content_request, content.decode_content_request),
    "content_piece": Codec(content_pieces, piece, content.decode_content_piece),
    "watch": Codec(session_ids, watch.encode_watch, watch.decode_watch),
    "report": Codec(reports, lambda said: joined(watch.encode_report(said)), watch.decode_report),
    "stream_open": pushed(st.builds(push.Open, session_ids), lambda said: push.encode_stream_open(said.session_id)),
    "begin": pushed(begins, lambda said: push.encode_begin(*said)),
    "end": pushed(st.builds(push.FileEnd, numbers, digests), lambda said: push.encode_end(*said)),
    "abort": pushed(st.builds(push.FileAbort, numbers), lambda said: push.encode_abort(*said)),
    "commit": pushed(commits, push.encode_commit),
    "end_with_commit": pushed(
        st.builds(push.WithCommit, st.builds(push.FileEnd, numbers, digests), commits),
        lambda said: push.encode_with_commit(push.encode_end(*said.message), said.commit),
    ),
    "committed": Codec(committed, lambda said: joined(results.encode_committed(said)), results.decode_committed),
    "status_request": Codec(identifiers, replica.encode_status_request, replica.decode_status_request),
    "status": Codec(statuses, replica.encode_status, replica.decode_status),
    "list_entries": Codec(
        st.builds(replica.ListRequest, identifiers, paths, st.booleans()),
        replica.encode_list_entries,
        replica.decode_list_entries,
    ),
    "entries": Codec(
        entry_lists.filter(bool), lambda said: joined(replica.encode_entries(said)), replica.decode_entries
    ),
    "verify": Codec(
        st.builds(replica.VerifyRequest, identifiers, st.booleans(), options, digests),
        replica.encode_verify,
        replica.decode_verify,
    ),
    "verified": Codec(
        st.builds(replica.Summary, digests, counts, counts, counts).map(lambda summary: ([], summary)),
        lambda said: joined(replica.encode_verified(*said)),
        replica.decode_verified,
    ),
    "stat_entry": Codec(
        st.tuples(identifiers, paths),
        lambda said: rpb.StatEntryRequest(namespace=said[0], path_text=escape(said[1])).SerializeToString(),
        replica.decode_stat_entry,
    ),
    "explained": Codec(explained, explain.encode_explained, explain.decode_explained),
    "agent_status": Codec(agent_statuses, status.encode_agent_status, status.decode_agent_status),
    "approve": Codec(st.tuples(words, words), lambda said: approve.encode_approve(*said), approve.decode_approve),
    "explain": Codec(st.tuples(paths, words), lambda said: explain.encode_explain(*said), explain.decode_explain),
    "sync": Codec(words, sync.encode_sync, sync.decode_sync),
    "list_problems": Codec(words, problems.encode_list_problems, problems.decode_list_problems),
    "approved": Codec(
        st.builds(Released, counts, st.text(max_size=20)), approve.encode_approved, approve.decode_approved
    ),
    "problems": Codec(
        st.lists(st.tuples(paths, st.sampled_from(ProblemKind), words), min_size=1, max_size=3),
        lambda said: joined(problems.encode_problems([Problem(*each) for each in said])),
        lambda raw: [(path, ProblemKind(kind), message) for path, kind, message in problems.decode_problems([raw])],
    ),
}


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=15)
@given(drawn=st.data())
def test_round_trip(name: str, drawn: st.DataObject) -> None:
    """What one side says is what the other understands."""
    said = drawn.draw(CODECS[name].values)

    assert said == CODECS[name].decode(CODECS[name].encode(said))


@given(said=st.lists(items, max_size=5), compression=compressions)
def test_batch(said: list[push.Item], compression: Compression) -> None:
    """A batch arrives as it was, compressed or not, and compression never makes it much larger."""
    raw, saved = push.encode_batch(said, compression)
    plain = push.encode_batch(said)[0]

    assert push.Batch(said, saved) == push.decode_push(raw)
    assert saved >= 0
    # A compressed batch says how it is compressed and its size, which a few saved bytes may not outweigh.
    assert len(raw) <= len(plain) + 8


@given(number=numbers, literal=st.binary(max_size=300) | st.just(bytes(5000)), compression=compressions)
def test_data(number: int, literal: bytes, compression: Compression) -> None:
    """A data frame arrives as it was, cut out by hand or parsed."""
    raw, saved = push.encode_data(number, literal, compression)
    frame = push.decode_push(raw)

    assert isinstance(frame, push.FileData)
    assert (number, literal, saved) == (frame.number, bytes(frame.literal), frame.saved)
    assert saved > 0 or compression is Compression.NONE or len(literal) < 5000


@given(number=numbers, said=deltas | st.just([BlockRange(7, 1)] * 1000), compression=compressions)
def test_delta(number: int, said: list[Piece], compression: Compression) -> None:
    """A delta frame arrives as it was, compressed only where that is shorter."""
    raw, saved = push.encode_delta(number, said, compression)
    plain = push.encode_delta(number, said)[0]

    assert push.FileDelta(number, said, saved) == push.decode_push(raw)
    assert saved > 0 or compression is Compression.NONE or len(said) < 1000
    assert len(raw) <= len(plain) + 8


@given(number=numbers, literal=st.binary(max_size=300))
def test_data_by_library(number: int, literal: bytes) -> None:
    """Protobuf's own serialization of a data frame is understood, and its parser understands ours."""
    message = pb.PushChangesRequest(data=pb.PushChangesRequest.FileData(number=number, literal=literal))
    frame = push.decode_push(message.SerializeToString())

    assert isinstance(frame, push.FileData)
    assert (number, literal) == (frame.number, bytes(frame.literal))
    assert message == pb.PushChangesRequest.FromString(push.encode_data(number, literal)[0])


@given(
    offset=st.integers(0, 1 << 40),
    literal=st.binary(min_size=1, max_size=300) | st.just(bytes(5000)),
    packed=compressions,
)
def test_content(offset: int, literal: bytes, packed: Compression) -> None:
    """A piece of content arrives as it was, cut out by hand or parsed, compressed only where that is shorter."""
    raw, saved = content.encode_literal(offset, literal, packed)
    piece = content.decode_content_piece(raw)

    assert (offset, literal, 0, saved) == (piece.offset, bytes(piece.literal), piece.zeros, piece.saved)
    assert saved > 0 or packed is Compression.NONE or len(literal) < 5000


@given(offset=st.integers(0, 1 << 40), literal=st.binary(min_size=1, max_size=300))
def test_content_by_library(offset: int, literal: bytes) -> None:
    """Protobuf's own serialization of a piece is understood, and its parser understands ours."""
    message = pb.ReadContentResponse(offset=offset, literal=literal)
    piece = content.decode_content_piece(message.SerializeToString())

    assert (offset, literal) == (piece.offset, bytes(piece.literal))
    assert message == pb.ReadContentResponse.FromString(content.encode_literal(offset, literal)[0])


DECODERS: dict[str, tuple[st.SearchStrategy[bytes], Callable[[bytes], Any]]] = {
    **{name: (codec.values.map(codec.encode), codec.decode) for name, codec in CODECS.items() if name != "problems"},
    "batch": (st.tuples(st.lists(items, max_size=4), compressions).map(batch), push.decode_push),
    "data": (
        st.tuples(numbers, st.binary(max_size=60), compressions).map(lambda said: push.encode_data(*said)[0]),
        push.decode_push,
    ),
    "delta": (st.tuples(numbers, deltas, compressions).map(delta), push.decode_push),
    "problems": (
        CODECS["problems"].values.map(CODECS["problems"].encode),
        lambda raw: list(problems.decode_problems([raw])),
    ),
}


@pytest.mark.case("I04")
@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=60)
@given(drawn=st.data())
def test_any_bytes(name: str, drawn: st.DataObject) -> None:
    """Whatever bytes come, a value is made of them, or the sender is blamed; nothing else is ever raised."""
    values, decode = DECODERS[name]
    raw = drawn.draw(mutated(values))
    try:
        decode(raw)
    except RemoteError as error:
        assert str(error)  # noqa: PT017  # any other exception fails the test by itself
