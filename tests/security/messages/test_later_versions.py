"""Words that this version does not know, later or invalid ones: refused, left out or ignored, never a crash.

And limits that a peer asks for: none of them switches one of ours off.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import based, copied, delta, signature
from tests.support.peers.hostile import Say, hostile_server, once, opened
from tests.support.peers.operations import ABSENT, batch, commit, digest, end, put
from tests.support.peers.wire import OK, SYNC, Wire
from tests.support.running.programs import Pair, Result, Server
from tests.support.trees.trees import build

BEYOND = b"\x9a\x3e\x05later"
"""A field of number 995: no version has one."""
MINE = b"content"


@pytest.mark.case("L02")
def test_later_fields(server: Server, wire: Wire) -> None:
    """Fields that a later version added are ignored wherever they stand."""
    request = pb.OpenSessionRequest(protocol_version=1, namespace="default", client_id="tester", instance_id="first")
    opened_again = wire.call(SYNC + "OpenSession", request.SerializeToString() + BEYOND)
    session = pb.OpenSessionResponse.FromString(opened_again.messages[0])
    operation = put(1, b"later", MINE).SerializeToString() + BEYOND
    inner = b"\x0a" + bytes([len(operation)]) + operation + BEYOND
    message = b"\x12" + bytes([len(inner)]) + inner + BEYOND
    understood = pb.PushChangesRequest.FromString(message)
    push = wire.push(session.session_id)
    answer = push.send(message, commit()).receive()
    push.finish()

    assert OK == opened_again.status
    assert MINE == understood.batch.operations[0].put_file.content
    assert [] == list(answer.failures)
    assert MINE == (server.root / "later").read_bytes()


LATER_OPERATIONS = {
    "kind of a file": lambda at: put(2, at, MINE),
    "expected kind": lambda at: put(2, at, MINE, pb.Expected(entry=entry_pb2.Entry(kind=77))),  # type: ignore[arg-type]
    "no operation": lambda at: pb.Operation(number=2, path=at, expected=ABSENT),
    "no expectation": lambda at: pb.Operation(number=2, path=at, put_file=put(2, at, MINE).put_file),
}


@pytest.mark.case("L02")
@pytest.mark.parametrize("name", LATER_OPERATIONS)
def test_later_kinds(wire: Wire, name: str) -> None:
    """An operation or entry of an unknown kind is refused, by itself or with its stream; nothing of it is done."""
    operation = LATER_OPERATIONS[name](b"unknown")
    if name == "kind of a file":
        operation.put_file.entry.kind = 77  # type: ignore[assignment]
    session = wire.open_session()
    answers, status = wire.push(session.session_id).send(batch(operation), commit()).finish()
    failures = [failure.reason for answer in answers for failure in answer.failures]
    listed = wire.list(wire.open_session().session_id, b"")

    assert status.code == "INVALID_ARGUMENT" or failures == ["UNSUPPORTED"]
    assert b"unknown" not in b"".join(listed.messages)


@pytest.mark.case("L02")
def test_later_compression(wire: Wire) -> None:
    """Content in an unknown encoding ends the stream; nothing of it is published."""
    session = wire.open_session()
    message = pb.PushChangesRequest()
    message.compressed_batch.compression = 77  # type: ignore[assignment]
    message.compressed_batch.payload = MINE
    answers, status = wire.push(session.session_id).send(message, commit()).finish()

    assert ([], "INVALID_ARGUMENT") == (answers, status.code)


def sync(pair: Pair, answers: dict[str, Say]) -> Result:
    """``once`` against a server that answers like this; it must end by itself and say no more than it has to."""
    with hostile_server(answers) as address:
        return pair.once("--json", server=address)


@pytest.fixture
def source(tmp_path: Path) -> Iterable[Pair]:
    """A source with some content."""
    pair = Pair(tmp_path / "pair")
    build(pair.source, {"a": "a", "large": bytes(range(256)) * 1000})
    yield pair

    assert pair.end() == []


def answering(outcome: int, reason: str) -> Say:
    """A push stream on which every operation fails like this."""

    def say(requests: Iterable[bytes]) -> Iterable[bytes]:
        numbers: list[int] = []
        for raw in requests:
            message = pb.PushChangesRequest.FromString(raw)
            numbers += [operation.number for operation in message.batch.operations]
            if message.HasField("end"):
                numbers.append(message.end.number)
            if message.HasField("commit"):
                failures = [pb.Failure(number=n, outcome=outcome, reason=reason) for n in numbers]  # type: ignore[arg-type]
                answer = pb.PushChangesResponse(
                    settled_number=max(numbers, default=0), failures=failures, root_digest=b"d" * 32, requested=True
                )
                yield answer.SerializeToString() + BEYOND
                numbers.clear()

    return say


@pytest.mark.case("L02")
@pytest.mark.parametrize("outcome", [0, 77])
def test_later_outcome(source: Pair, outcome: int) -> None:
    """An outcome that the client does not know is a Problem of that path."""
    empty = pb.ListDirectoriesResponse(directory=0, last=True).SerializeToString()
    answers: dict[str, Say] = {
        "SyncService/OpenSession": once(opened(root_digest=EMPTY)),
        "SyncService/ListDirectories": lambda _: [empty],
        "SyncService/PushChanges": answering(outcome, "LATER"),
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
    }
    result = sync(source, answers)

    assert result.code in (1, 4)
    assert result.code == 1 or {"a", "large"} == {problem["path"] for problem in result.json["problems"]}


EMPTY = digest(bytes(8 + 32))
"""The digest of an empty directory: no children, sum zero."""


@pytest.mark.case("L02")
def test_later_strategies(source: Pair) -> None:
    """Strategies and compressions that the client does not know are not used."""
    offered = opened(strategies=[77, pb.STRATEGY_WHOLE], compressions=[77, entry_pb2.COMPRESSION_NONE])
    asked: list[bytes] = []

    def list_nothing(requests: Iterable[bytes]) -> Iterable[bytes]:
        asked.extend(requests)
        return ()

    answers: dict[str, Say] = {
        "SyncService/OpenSession": once(offered),
        "SyncService/ListDirectories": list_nothing,
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
    }
    result = sync(source, answers)

    assert 1 == result.code
    assert asked


@pytest.mark.case("I32")
@pytest.mark.parametrize("field, value", [("max_message_bytes", 0), ("max_message_bytes", 1), ("max_file_bytes", 0)])
def test_limits_of_a_server(source: Pair, field: str, value: int) -> None:
    """A server that allows nothing is refused or obeyed: the client lives, and keeps to its own limits."""
    sizes: list[int] = []

    def push(requests: Iterable[bytes]) -> Iterable[bytes]:
        for raw in requests:
            sizes.append(len(raw))
            if pb.PushChangesRequest.FromString(raw).HasField("commit"):
                break
        return ()

    empty = pb.ListDirectoriesResponse(directory=0, last=True).SerializeToString()
    limits: dict[str, Any] = {field: value}
    answers: dict[str, Say] = {
        "SyncService/OpenSession": once(opened(root_digest=EMPTY, **limits)),
        "SyncService/ListDirectories": lambda _: [empty],
        "SyncService/PushChanges": push,
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
    }
    with hostile_server(answers) as address:
        client = source.client(server=address, synced=False)
        client.wait_for("connection.lost")
        client.stop()

    assert all(size <= 1 << 20 for size in sizes)


@pytest.mark.case("I32")
@pytest.mark.parametrize("block_size", [0, 1, 511, (1 << 31) - 1, (1 << 32) - 1])
def test_block_sizes(server: Server, wire: Wire, block_size: int) -> None:
    """A signature or a delta with blocks of no size, or of one beyond all bounds, is refused."""
    content, session = MINE * 1000, wire.open_session().session_id
    push = wire.push(session)
    push.send(batch(put(1, b"basis", content)), commit()).receive()
    pages, asked = signature(wire, session, digest(content), block_size)
    begun = based(2, b"rebuilt", len(content), digest(content), block_size=block_size)
    answers, told = push.send(begun, delta(2, copied(0)), end(2, digest(content)), commit()).finish()

    assert ([], "INVALID_ARGUMENT") == (pages, asked.code)
    assert ([], "INVALID_ARGUMENT") == (answers, told.code)
    assert not (server.root / "rebuilt").exists()
