"""Messages that parse and that no correct peer sends: each is refused by the word for what is wrong with it."""

from collections.abc import Callable
from typing import Any

import pytest

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.location import MAX_DIRECTORIES
from dirsync.tree.entry import Kind
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire import replica, session
from dirsync.wire.entries import MAX_SIZE, decode_entry, decode_options
from dirsync.wire.push import results
from dirsync.wire.push.messages import decode_push
from dirsync.wire.push.operations import Unsupported, decode_operation

DIGEST = b"d" * 32
SESSION = b"s" * 16
FILE = entry_pb2.Entry(kind=Kind.FILE.value, size=3, digest=DIGEST)  # type: ignore[arg-type]
UNREAD = entry_pb2.Entry(kind=Kind.FILE.value, size=3)  # type: ignore[arg-type]
DIRECTORY = entry_pb2.Entry(kind=Kind.DIRECTORY.value, digest=DIGEST)  # type: ignore[arg-type]
PUT = pb.Operation.PutFile
PIECE = pb.PushChangesRequest.Piece
MANY_RULES = LIMITS.max_ignore_bytes // LIMITS.max_ignore_rule_bytes + 1
STRANGE = entry_pb2.Entry(kind=99)  # type: ignore[arg-type]
ABSENT = pb.Expected(absent=True)
THERE = pb.Expected(entry=FILE)
Operation = pb.Operation
Push = pb.PushChangesRequest


def refusal(decode: Callable[[Any], object], message: Any) -> str:
    """The word by which a message is refused."""
    with pytest.raises(RemoteError) as refused:
        decode(message)
    return refused.value.reason


def entry(**fields: Any) -> entry_pb2.Entry:
    """An entry of a file, save what is given."""
    return entry_pb2.Entry(**{"kind": Kind.FILE.value, "size": 3, "digest": DIGEST, **fields})


@pytest.mark.parametrize(
    "message, reason",
    [
        (STRANGE, "UNKNOWN_KIND"),
        (entry(digest=b"short"), "INVALID_DIGEST"),
        (entry(size=MAX_SIZE + 1), "INVALID_SIZE"),
        (entry(kind=Kind.SYMLINK.value), "INVALID_TARGET"),
        (entry(kind=Kind.SYMLINK.value, target=b"a\0b"), "INVALID_TARGET"),
        (entry(kind=Kind.SYMLINK.value, target=b"t" * (LIMITS.max_target_bytes + 1)), "INVALID_TARGET"),
    ],
    ids=["kind", "digest", "size", "no target", "target with NUL", "long target"],
)
def test_entries(message: entry_pb2.Entry, reason: str) -> None:
    """An entry of no kind, or with fields that cannot be."""
    assert reason == refusal(decode_entry, message)


@pytest.mark.parametrize(
    "rules, reason",
    [
        ([b"a"] * (LIMITS.max_ignore_rules + 1), "MAX_IGNORE_RULES"),
        ([b"a" * (LIMITS.max_ignore_rule_bytes + 1)], "MAX_IGNORE_RULE_BYTES"),
        (
            [b"a" * LIMITS.max_ignore_rule_bytes] * (LIMITS.max_ignore_bytes // LIMITS.max_ignore_rule_bytes + 1),
            "MAX_IGNORE_BYTES",
        ),
    ],
    ids=["many", "long", "much"],
)
def test_options(rules: list[bytes], reason: str) -> None:
    """More ignore rules than anybody reads."""
    assert reason == refusal(decode_options, entry_pb2.TreeOptions(ignore_rules=rules))


@pytest.mark.parametrize(
    "operation, reason",
    [
        (Operation(path=b"a", delete=Operation.Delete()), "NO_EXPECTATION"),
        (Operation(path=b"a", expected=ABSENT, delete=Operation.Delete()), "INVALID_MESSAGE"),
        (Operation(path=b"a", expected=ABSENT, set_metadata=Operation.SetMetadata()), "INVALID_MESSAGE"),
        (
            Operation(path=b"a", expected=ABSENT, put_file=PUT(entry=UNREAD, content=b"abc")),
            "INVALID_SIZE",
        ),
        (Operation(path=b"a", expected=ABSENT, put_file=PUT(entry=FILE, content=b"ab")), "INVALID_SIZE"),
        (Operation(path=b"a", expected=ABSENT, put_file=PUT(entry=DIRECTORY)), "INVALID_KIND"),
        (Operation(path=b"a", expected=ABSENT, copy_content=Operation.CopyContent(entry=UNREAD)), "INVALID_DIGEST"),
    ],
    ids=["expects nothing", "deletes nothing", "nothing's mode", "no digest", "size", "kind", "copy of what"],
)
def test_operations(operation: pb.Operation, reason: str) -> None:
    """An operation that says too little, or what cannot be."""
    assert reason == refusal(decode_operation, operation)


@pytest.mark.parametrize(
    "path, expected, move, reason",
    [
        (b"a/b", ABSENT, Operation.Move(source=b"a", source_expected=THERE), "INVALID_MOVE"),
        (b"a", ABSENT, Operation.Move(source=b"a/b", source_expected=THERE), "INVALID_MOVE"),
        (b"a", ABSENT, Operation.Move(source=b"b", source_expected=ABSENT), "INVALID_MOVE"),
        (b"a", ABSENT, Operation.Move(source=b"b", source_expected=pb.Expected(entry=UNREAD)), "INVALID_DIGEST"),
        (b"a", ABSENT, Operation.Move(source=b"b", source_expected=THERE, exchange=True), "INVALID_MOVE"),
        (b"a", pb.Expected(entry=DIRECTORY), Operation.Move(source=b"b", source_expected=THERE), "INVALID_MOVE"),
    ],
    ids=["into itself", "out of itself", "of nothing", "of what", "exchange with nothing", "over a directory"],
)
def test_moves(path: bytes, expected: pb.Expected, move: pb.Operation.Move, reason: str) -> None:
    """A move that nobody could carry out, or that could mean another file."""
    assert reason == refusal(decode_operation, Operation(path=path, expected=expected, move=move))


@pytest.mark.parametrize(
    "operation",
    [
        Operation(path=b"a", expected=ABSENT),
        Operation(path=b"a", expected=pb.Expected(entry=STRANGE), delete=Operation.Delete()),
        Operation(path=b"a", expected=ABSENT, put_file=PUT(entry=STRANGE)),
    ],
    ids=["operation", "expectation", "content"],
)
def test_of_a_newer_peer(operation: pb.Operation) -> None:
    """What a newer peer may say of one path is no reason to refuse the message; it is answered as unsupported."""
    assert Unsupported(RelPath(b"a"), None) == decode_operation(operation).operation


@pytest.mark.parametrize(
    "message, reason",
    [
        (Push(end=Push.FileEnd(number=1, digest=b"short")), "INVALID_DIGEST"),
        (Push(commit_after=Push.Commit()), "UNKNOWN_MESSAGE"),
        (Push(commit=Push.Commit(), commit_after=Push.Commit()), "COMMIT_AFTER"),
        (Push(abort=Push.FileAbort(number=1), commit_after=Push.Commit()), "COMMIT_AFTER"),
        (Push(data=Push.FileData(number=1, literal=b"x"), commit_after=Push.Commit()), "COMMIT_AFTER"),
        (Push(data=Push.FileData(number=1)), "STRATEGY_NOT_OFFERED"),
        (Push(data=Push.FileData(number=1, delta=Push.Delta(pieces=[PIECE()]))), "INVALID_DELTA"),
        (Push(data=Push.FileData(number=1, delta=Push.Delta(pieces=[PIECE(literal=b"")]))), "INVALID_DELTA"),
        (Push(data=Push.FileData(number=1, delta=Push.Delta(pieces=[PIECE(zeros=0)]))), "INVALID_DELTA"),
        (
            Push(
                data=Push.FileData(number=1, delta=Push.Delta(pieces=[PIECE(zeros=1)] * (LIMITS.max_frame_pieces + 1)))
            ),
            "MAX_FRAME_PIECES",
        ),
    ],
    ids=[
        *("end", "commit after nothing", "commit after commit", "commit after abort", "commit after data"),
        *("data", "piece", "empty literal", "no zeros", "many pieces"),
    ],
)
def test_frames(message: pb.PushChangesRequest, reason: str) -> None:
    """A frame of a file that cannot be."""
    assert reason == refusal(decode_push, message.SerializeToString())


def opening(**fields: Any) -> bytes:
    """A request to open a session, save what is given."""
    valid = {"protocol_version": 1, "namespace": "n", "client_id": "c", "instance_id": "i"}
    return pb.OpenSessionRequest(**{**valid, **fields}).SerializeToString()


def answer(**fields: Any) -> bytes:
    """The answer to it, save what is given."""
    valid = {"protocol_version": 1, "session_id": SESSION, "root_digest": DIGEST}
    return pb.OpenSessionResponse(**{**valid, **fields}).SerializeToString()


@pytest.mark.parametrize(
    "decode, raw, reason",
    [
        (session.decode_open, opening(namespace=""), "INVALID_IDENTIFIER"),
        (session.decode_open, opening(client_id="c" * 129), "INVALID_IDENTIFIER"),
        (session.decode_open, opening(instance_id="line\nbreak"), "INVALID_IDENTIFIER"),
        (session.decode_open, opening(protocol_version=0), "PROTOCOL_VERSION"),
        (
            session.decode_open,
            opening(location=pb.Location(directories=[pb.Location.Directory()] * (MAX_DIRECTORIES + 1))),
            "MAX_DIRECTORIES",
        ),
        (session.decode_open, opening(mode=99), "INVALID_MODE"),
        (session.decode_opened, answer(mode=99), "INVALID_MODE"),
        (session.decode_opened, answer(protocol_version=2), "PROTOCOL_VERSION"),
        (session.decode_opened, answer(session_id=b"short"), "INVALID_MESSAGE"),
        (session.decode_opened, answer(root_digest=b"short"), "INVALID_MESSAGE"),
        (session.decode_close, pb.CloseSessionRequest(session_id=b"short").SerializeToString(), "INVALID_SESSION_ID"),
        (
            session.decode_list,
            pb.ListDirectoriesRequest(session_id=SESSION, paths=[b""] * 10_001).SerializeToString(),
            "MAX_LISTED_DIRECTORIES",
        ),
        (replica.decode_verify, rpb.VerifyContentRequest(root_digest=b"short").SerializeToString(), "INVALID_DIGEST"),
        (
            replica.decode_verified,
            rpb.VerifyContentResponse(summary=rpb.VerifyContentResponse.Summary()).SerializeToString(),
            "INVALID_MESSAGE",
        ),
        (results.decode_committed, pb.PushChangesResponse().SerializeToString(), "INVALID_MESSAGE"),
        (session.decode_open, b"\xff", "INVALID_MESSAGE"),
    ],
)
def test_requests(decode: Callable[[bytes], object], raw: bytes, reason: str) -> None:
    """A request or an answer that cannot be."""
    assert reason == refusal(decode, raw)


A, B = (b"a", decode_entry(FILE)), (b"b", decode_entry(FILE))
PATHS = [RelPath(b""), RelPath(b"d")]


@pytest.mark.parametrize(
    "pages, reason",
    [
        ([session.Page(1, [A], True, [])], "LISTING_OUT_OF_ORDER"),
        ([session.Page(0, [B, A], True, [])], "LISTING_OUT_OF_ORDER"),
        ([session.Page(0, [A], False, []), session.Page(0, [A], True, [])], "LISTING_OUT_OF_ORDER"),
        ([session.Page(n, [A], True, []) for n in range(3)], "LISTING_OUT_OF_ORDER"),
        ([session.Page(0, [A], True, [])], "LISTING_INCOMPLETE"),
        ([], "LISTING_INCOMPLETE"),
    ],
    ids=["other directory", "order", "twice", "more than asked", "one of two", "none"],
)
def test_listings(pages: list[session.Page], reason: str) -> None:
    """A listing that does not list what was asked for, in order, once."""
    assert reason == refusal(lambda said: list(session.check_pages(said, PATHS)), pages)


def test_listing() -> None:
    """A listing in order is passed on; a name starts again with each directory."""
    pages = [session.Page(0, [A], False, []), session.Page(0, [B], True, []), session.Page(1, [A, B], True, [])]

    assert pages == list(session.check_pages(pages, PATHS))


def test_strange_children() -> None:
    """A child of a kind that we do not know is listed by its name only."""
    child = pb.ListDirectoriesResponse.Child
    page = pb.ListDirectoriesResponse(
        last=True, children=[child(name=b"new", entry=STRANGE), child(name=b"old", entry=FILE)]
    )

    assert session.Page(0, [(b"old", decode_entry(FILE))], True, [b"new"]) == session.decode_page(
        page.SerializeToString()
    )


def test_pages_of_long_listings() -> None:
    """Listings of any length come in pages that a message can hold, and complete."""
    children = [(b"%05d" % number + b"n" * 200, decode_entry(FILE)) for number in range(10_000)]
    pages = [session.decode_page(raw) for raw in session.encode_pages(0, children)]
    entries = [(RelPath(name), what) for name, what in children]
    listed = [entry for raw in replica.encode_entries(entries) for entry in replica.decode_entries(raw)]

    assert children == [child for page in pages for child in page.children]
    assert [True] == [page.last for page in pages if page.last]
    assert len(pages) > 1
    assert entries == listed


def test_verification_in_pages() -> None:
    """A verification's entries come before its summary."""
    entries = [(RelPath(b"%05d" % number + b"n" * 200), decode_entry(FILE)) for number in range(5_000)]
    summary = replica.Summary(DIGEST, 5_000, 15_000, 0)
    *pages, last = (replica.decode_verified(raw) for raw in replica.encode_verified(entries, summary))

    assert entries == [entry for page, nothing in pages for entry in page if nothing is None]
    assert ([], summary) == last


def test_many_failures() -> None:
    """More failures than a message holds go ahead in messages of their own, and are complete."""
    failures = [Failure(number, Outcome.STORAGE, None, "R", "m" * 250) for number in range(1, 20_001)]
    sent = [
        results.decode_committed(raw)
        for raw in results.encode_committed(results.Committed(20_001, failures, DIGEST, 7, True, []))
    ]

    assert failures == [failure for committed in sent for failure in committed.failures]
    assert len(sent) > 1
    assert 20_001 == sent[-1].settled_number


def test_failures_of_a_newer_server() -> None:
    """An outcome or an entry that we do not know is a failure all the same."""
    failure = pb.Failure(number=3, outcome=99, current=STRANGE)  # type: ignore[arg-type]
    message = pb.PushChangesResponse(root_digest=DIGEST, failures=[failure])

    assert [Failure(3, Outcome.UNKNOWN, None, "", "")] == results.decode_committed(message.SerializeToString()).failures
