"""Every message of the wire: what is encoded is decoded as it was, and any other bytes are refused by name (T4)."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import MAX_MTIME_NS, MIN_MTIME_NS, UNKNOWN, directory_entry, file_entry, symlink_entry
from dirsync.tree.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Attributes
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire import agent, push, replica, results, session
from dirsync.wire.compression import Compression
from dirsync.wire.entries import MAX_SIZE
from tests.support.mutations import mutated

names = st.binary(min_size=1, max_size=12).filter(lambda name: name not in (b".", b"..") and not {0, 47} & set(name))
paths = st.lists(names, min_size=1, max_size=4).map(lambda some: RelPath(b"/".join(some)))
digests = st.binary(min_size=32, max_size=32).filter(lambda digest: digest != UNKNOWN)
modes = st.integers(0, 0o777)
sizes = st.integers(0, MAX_SIZE)
mtimes = st.integers(MIN_MTIME_NS, MAX_MTIME_NS)
counts = st.integers(0, (1 << 64) - 1)
words = st.text(max_size=20)
identifiers = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=128)
session_ids = st.binary(min_size=16, max_size=16)
numbers = st.integers(1, (1 << 64) - 1)
files = st.builds(file_entry, mode=modes, size=sizes, mtime_ns=mtimes, digest=digests)
directories = st.builds(lambda mode, digest: directory_entry(mode)._replace(digest=digest), modes, digests)
links = st.binary(min_size=1, max_size=100).filter(lambda target: b"\0" not in target).map(symlink_entry)
entries = files | directories | links
expected = st.none() | entries
options = st.builds(
    TreeOptions,
    st.builds(Attributes, st.booleans(), st.booleans()),
    st.lists(st.binary(max_size=20), max_size=3).map(tuple),
)


@st.composite
def metadata(draw: st.DrawFn) -> SetMetadata:
    """A change of metadata: of links and directories the mtime does not travel."""
    old = draw(files | directories)
    new = old._replace(mode=draw(modes))
    return SetMetadata(draw(paths), old, new if old.is_directory else new._replace(mtime_ns=draw(mtimes)))


@st.composite
def small_files(draw: st.DrawFn) -> push.Item:
    """A numbered small file with its content."""
    content = draw(st.binary(max_size=50))
    entry = draw(files)._replace(size=len(content))
    return push.Item(draw(numbers), PutFile(draw(paths), draw(expected), entry), content)


operations = (
    st.builds(PutSymlink, paths, expected, links)
    | st.builds(MakeDirectory, paths, expected, modes)
    | metadata()
    | st.builds(Delete, paths, entries)
)
items = small_files() | st.builds(push.Item, numbers, operations, st.just(b""))
failures = st.builds(results.Failure, counts, st.sampled_from(results.Outcome), st.none() | entries, words, words)
holds = st.builds(agent.HoldView, words, words, counts, st.lists(words, max_size=3).map(tuple), words)
held = st.lists(holds, max_size=2).map(tuple)
floats = st.floats(allow_nan=False)


def batch(drawn: tuple[list[push.Item], Compression]) -> bytes:
    """A batch as it travels."""
    return push.encode_batch(*drawn)[0]


def joined(messages: Iterable[bytes]) -> bytes:
    """The one message that there is."""
    (message,) = messages
    return message


locations = st.builds(Location, words, st.lists(st.tuples(counts, counts), max_size=3).map(tuple))
open_requests = st.builds(
    session.OpenRequest,
    identifiers,
    identifiers,
    identifiers,
    options,
    locations,
    st.text(max_size=128),
    st.just(session.PROTOCOL_VERSION),
)
opened = st.builds(
    session.Opened,
    session_ids,
    counts,
    words,
    options,
    digests,
    counts,
    st.frozensets(names, max_size=3),
    st.frozensets(st.integers(0, 9)),
    st.frozensets(st.sampled_from(Compression)),
    st.integers(0, LIMITS.max_message_bytes),
    counts,
    words,
    st.just(session.PROTOCOL_VERSION),
)
statuses = st.builds(
    replica.ReplicaStatus,
    st.booleans(),
    digests,
    counts,
    counts,
    options,
    words,
    words,
    counts,
    words,
    st.none() | floats,
    words,
)
agent_statuses = st.builds(
    agent.AgentStatus,
    st.sampled_from(("starting", "connecting", "syncing", "live", "stopping")),
    st.booleans(),
    counts,
    floats,
    words,
    st.none() | floats,
    counts,
    words,
    words,
    held,
    counts,
    counts,
    words,
    words,
    words,
    words,
)
listings = st.lists(st.tuples(names, entries), max_size=5)
entry_lists = st.lists(st.tuples(paths, entries), max_size=5)
committed = st.builds(
    results.Committed,
    counts,
    st.lists(failures, max_size=3).map(lambda some: sorted(some, key=lambda failure: failure.number)),
    digests,
    counts,
    st.booleans(),
    st.lists(counts, max_size=3),
)


class Codec:
    """A message: what may be said, how it travels, and how it is read. ``encode`` takes what ``values`` draws."""

    def __init__(self, values: st.SearchStrategy[Any], encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]):
        self.values = values
        self.encode = encode
        self.decode = decode


def pushed(values: st.SearchStrategy[Any], encode: Callable[[Any], bytes]) -> Codec:
    """A message of the push stream."""
    return Codec(values, encode, push.decode_push)


compressions = st.sampled_from(Compression)
bases = st.just((0, b"")) | st.tuples(st.integers(LIMITS.min_block_size, LIMITS.max_block_size), digests)
begins = st.builds(PutFile, paths, expected, files.map(lambda entry: entry._replace(digest=UNKNOWN)))
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
    "stream_open": pushed(st.builds(push.Open, session_ids), lambda said: push.encode_stream_open(said.session_id)),
    "begin": pushed(
        st.builds(lambda number, put, blocks: push.FileBegin(number, put, *blocks), numbers, begins, bases),
        lambda said: push.encode_begin(*said),
    ),
    "end": pushed(st.builds(push.FileEnd, numbers, digests), lambda said: push.encode_end(*said)),
    "abort": pushed(st.builds(push.FileAbort, numbers), lambda said: push.encode_abort(*said)),
    "commit": pushed(st.builds(push.Commit, st.booleans()), lambda said: push.encode_commit(rescan=said.rescan)),
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
    "agent_status": Codec(agent_statuses, agent.encode_agent_status, agent.decode_agent_status),
    "approve": Codec(words, agent.encode_approve, agent.decode_approve),
    "approved": Codec(counts, agent.encode_approved, agent.decode_approved),
    "problems": Codec(
        st.lists(st.tuples(paths, st.sampled_from(ProblemKind), words), min_size=1, max_size=3),
        lambda said: joined(agent.encode_problems([Problem(*each) for each in said])),
        lambda raw: [(path, ProblemKind(kind), message) for path, kind, message in agent.decode_problems([raw])],
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


@given(number=numbers, literal=st.binary(max_size=300))
def test_data_by_library(number: int, literal: bytes) -> None:
    """Protobuf's own serialization of a data frame is understood, and its parser understands ours."""
    message = pb.PushChangesRequest(data=pb.PushChangesRequest.FileData(number=number, literal=literal))
    frame = push.decode_push(message.SerializeToString())

    assert isinstance(frame, push.FileData)
    assert (number, literal) == (frame.number, bytes(frame.literal))
    assert message == pb.PushChangesRequest.FromString(push.encode_data(number, literal)[0])


DECODERS: dict[str, tuple[st.SearchStrategy[bytes], Callable[[bytes], Any]]] = {
    **{name: (codec.values.map(codec.encode), codec.decode) for name, codec in CODECS.items() if name != "problems"},
    "batch": (st.tuples(st.lists(items, max_size=4), compressions).map(batch), push.decode_push),
    "data": (
        st.tuples(numbers, st.binary(max_size=60), compressions).map(lambda said: push.encode_data(*said)[0]),
        push.decode_push,
    ),
    "problems": (
        CODECS["problems"].values.map(CODECS["problems"].encode),
        lambda raw: list(agent.decode_problems([raw])),
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
