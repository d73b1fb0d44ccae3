"""What the messages of the wire may say: values to draw, each one that a correct peer could send."""

from itertools import accumulate

from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.delta.signature.packed import CHECKSUMS_SIZE
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.tree.entry import (
    MAX_MTIME_NS,
    MIN_MTIME_NS,
    UNKNOWN,
    directory_entry,
    file_entry,
    is_known,
    symlink_entry,
)
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import ROOT, RelPath, is_within
from dirsync.tree.plan import CopyContent, Delete, MakeDirectory, Move, PutFile, PutSymlink, SetMetadata, TryFile
from dirsync.tree.strategy import Strategy
from dirsync.wire import replica, session
from dirsync.wire.agent import explain, hold, status, two_way
from dirsync.wire.compression import Compression
from dirsync.wire.content import ByteRange, ContentPiece, ContentRequest
from dirsync.wire.entries import MAX_SIZE
from dirsync.wire.push import messages as push
from dirsync.wire.push import results
from dirsync.wire.signature import SignaturePage, SignatureRequest
from dirsync.wire.watch import Report, ReportedChange

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


@st.composite
def moves(draw: st.DrawFn) -> Move:
    """A move that may be: of a file or link onto nothing or such a one, of a directory onto nothing, or an exchange."""
    source, path = draw(st.tuples(paths, paths).filter(lambda pair: not (is_within(*pair) or is_within(*pair[::-1]))))
    moved = draw(entries)
    if draw(st.booleans()):
        return Move(path, draw(entries), source, moved, exchange=True)
    return Move(path, draw(st.none() if moved.is_directory else st.none() | files | links), source, moved)


operations = (
    st.builds(PutSymlink, paths, expected, links)
    | st.builds(MakeDirectory, paths, expected, modes)
    | metadata()
    | st.builds(Delete, paths, entries)
    | moves()
    | st.builds(CopyContent, paths, expected, files)
    | st.builds(TryFile, paths, expected, files)
)
items = small_files() | st.builds(push.Item, numbers, operations, st.just(b""))
failures = st.builds(Failure, counts, st.sampled_from(Outcome), st.none() | entries, words, words)
holds = st.builds(hold.HoldView, words, words, counts, st.lists(words, max_size=3).map(tuple), words)
held = st.lists(holds, max_size=2).map(tuple)
floats = st.floats(allow_nan=False)
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
    st.sampled_from(session.SessionMode),
)
upload_ids = st.binary(min_size=LIMITS.upload_id_bytes, max_size=LIMITS.upload_id_bytes)
kept_uploads = st.builds(session.KeptUpload, upload_ids, counts, st.just(b"") | digests)
opened = st.builds(
    session.Opened,
    session_ids,
    counts,
    words,
    options,
    digests,
    counts,
    st.frozensets(names, max_size=3),
    st.frozensets(st.sampled_from(Strategy)),
    st.frozensets(st.sampled_from(Compression)),
    st.integers(0, LIMITS.max_message_bytes),
    counts,
    words,
    st.just(session.PROTOCOL_VERSION),
    st.booleans(),
    st.lists(kept_uploads, max_size=3).map(tuple),
    st.sampled_from(session.SessionMode),
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
    st.lists(words, max_size=3).map(tuple),
    st.sampled_from(session.SessionMode),
)
two_way_views = st.builds(
    two_way.TwoWayView,
    counts,
    counts,
    counts,
    counts,
    st.lists(st.builds(two_way.ConflictView, words, words, words, words, floats), max_size=3).map(tuple),
)
target_statuses = st.builds(
    status.TargetStatus,
    state=st.sampled_from(("starting", "connecting", "syncing", "live", "stopping")),
    pending=counts,
    lag_seconds=floats,
    seconds_since_success=st.none() | floats,
    holds=held,
    problems=counts,
)
agent_statuses = st.builds(
    status.AgentStatus,
    target_statuses.map(lambda one: one._replace(target="")),
    counts,
    words,
    counts,
    st.lists(st.builds(status.UntrackedView, words, words, words), max_size=3).map(tuple),
    words,
    words,
    st.none() | two_way_views,
    targets=st.lists(target_statuses, max_size=3).map(tuple),
)
traceparents = st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
travels = st.builds(
    explain.TravelView,
    words,
    words,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
    words,
)
explained = st.builds(
    explain.PathExplained,
    paths,
    words,
    words,
    st.none() | entries,
    st.none() | entries,
    st.binary(max_size=9),
    st.none() | travels,
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
    counts,
)
compressions = st.sampled_from(Compression)
block_sizes = st.integers(LIMITS.min_block_size, LIMITS.max_block_size)
block_numbers = st.integers(0, MAX_SIZE - 1)
bases = st.just((0, b"")) | st.tuples(block_sizes, digests)


@st.composite
def uploads(draw: st.DrawFn, size: int) -> push.Upload:
    """Those of a file of this size."""
    offset = draw(st.integers(0, size))
    named = bool(offset) or draw(st.booleans())
    return push.Upload(draw(upload_ids) if named else b"", offset, draw(digests) if offset else b"")


begins = st.tuples(
    numbers,
    st.builds(PutFile, paths, expected, files.map(lambda entry: entry._replace(digest=UNKNOWN))),
    bases,
).flatmap(lambda said: uploads(said[1].entry.size).map(lambda one: push.FileBegin(said[0], said[1], *said[2], one)))
copies = st.builds(
    lambda first, count: BlockRange(first, min(count, MAX_SIZE - first)), block_numbers, st.integers(1, MAX_SIZE)
)
pieces: st.SearchStrategy[Piece] = (
    st.binary(min_size=1, max_size=60) | copies | st.builds(Zeros, st.integers(1, MAX_SIZE))
)
deltas = st.lists(pieces, max_size=6)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[BlockRange, ...]:
    """Ranges of blocks as they may be asked for: ascending, some of them touching."""
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=5))
    ends = accumulate(gap + count for gap, count in steps)
    return tuple(BlockRange(end - count, count) for end, (_, count) in zip(ends, steps, strict=True))


signature_requests = st.builds(SignatureRequest, session_ids, digests, block_sizes, ranges())
checksums = st.lists(st.binary(min_size=CHECKSUMS_SIZE, max_size=CHECKSUMS_SIZE), min_size=1, max_size=3).map(b"".join)
signature_pages = st.builds(SignaturePage, st.integers(0, MAX_SIZE - 3), checksums)


def byte_ranges() -> st.SearchStrategy[tuple[ByteRange, ...]]:
    """Ranges of bytes as they may be asked for."""
    return ranges().map(lambda some: tuple(ByteRange(*block_range) for block_range in some))


content_requests = st.builds(
    ContentRequest,
    session_ids,
    digests.filter(is_known),
    paths | st.just(ROOT),
    byte_ranges(),
    st.frozensets(st.sampled_from(Compression)),
)
content_pieces = st.builds(
    ContentPiece, block_numbers.map(lambda at: at // 2), st.binary(min_size=1, max_size=60), st.just(0), st.just(0)
) | (st.builds(ContentPiece, st.integers(0, 9), st.just(b""), st.integers(1, MAX_SIZE - 9), st.just(0)))
reported_changes = st.builds(ReportedChange, paths, st.none() | entries)
report_pages = st.lists(reported_changes, max_size=4).map(tuple)
reports = st.builds(
    lambda digest, count, changes, everything, version: Report(
        digest, count, () if everything else changes, everything, version=version
    ),
    digests,
    counts,
    report_pages,
    st.booleans(),
    counts,
)
