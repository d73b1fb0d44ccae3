"""Any bytes, sent to every method of both services: a refusal that blames the sender, and a service that lives on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.v1 import agent_service_pb2 as apb
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import based, copied, copy_content, delta, literal, move, zeros
from tests.support.peers.malformed.mutations import mutated
from tests.support.peers.operations import batch, begin, commit, data, digest, directory, end, file, make_directory, put
from tests.support.peers.wire import AGENT, OK, REPLICA, SYNC, Wire, stream_open
from tests.support.running.programs import Client, Pair

ALLOWED = {
    "OK",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "RESOURCE_EXHAUSTED",
    "NOT_FOUND",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "ABORTED",
    "UNIMPLEMENTED",
    "CANCELLED",
}
SESSION = bytes(16)
SERVER_METHODS: dict[str, list[Message]] = {
    SYNC + "OpenSession": [
        pb.OpenSessionRequest(protocol_version=1, namespace="default", client_id="c", instance_id="i")
    ],
    SYNC + "ListDirectories": [pb.ListDirectoriesRequest(session_id=SESSION, paths=[b"", b"a/b"])],
    SYNC + "GetSignature": [pb.GetSignatureRequest(session_id=SESSION, digest=digest(b"content"), block_size=4096)],
    SYNC + "WatchReplica": [pb.WatchReplicaRequest(session_id=SESSION)],
    SYNC + "ReadContent": [
        pb.ReadContentRequest(
            session_id=SESSION, digest=digest(b"content"), path=b"a/b", ranges=[pb.ByteRange(offset=1, length=2)]
        )
    ],
    SYNC + "CloseSession": [pb.CloseSessionRequest(session_id=SESSION)],
    REPLICA + "GetStatus": [rpb.ReplicaServiceGetStatusRequest(namespace="default")],
    REPLICA + "ListEntries": [
        rpb.ListEntriesRequest(path=b"a", recursive=True),
        rpb.ListEntriesRequest(path_text="\\xff"),
    ],
    REPLICA + "StatEntry": [rpb.StatEntryRequest(namespace="default", path=b"a")],
    REPLICA + "VerifyContent": [rpb.VerifyContentRequest(deep=True, root_digest=digest(b""))],
}
PUSHED: list[Message] = [
    batch(make_directory(1, b"d"), put(2, b"d/f", b"content")),
    begin(3, b"large", 10),
    data(3, b"0123456789"),
    end(3, digest(b"0123456789")),
    commit(rescan=True),
    batch(copy_content(4, b"copy", b"content"), move(5, b"copy", b"d/moved", file(b"content"))),
    batch(move(6, b"d", b"copy", directory(), file(b"content"), exchange=True)),
    based(7, b"rebuilt", 4107, digest(b"content"), block_size=512),
    delta(7, literal(b"0123"), zeros(4096), copied(0)),
]
AGENT_METHODS: dict[str, list[Message]] = {
    AGENT + "GetStatus": [apb.AgentServiceGetStatusRequest()],
    AGENT + "ListProblems": [apb.ListProblemsRequest()],
    AGENT + "ApproveHold": [apb.ApproveHoldRequest(hold_id="0123")],
    AGENT + "SyncNow": [apb.SyncNowRequest()],
}


def of(methods: dict[str, list[Message]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """A method and bytes for it, mostly almost right."""
    return st.sampled_from(sorted(methods)).flatmap(
        lambda method: st.tuples(
            st.just(method), mutated(st.sampled_from([message.SerializeToString() for message in methods[method]]))
        )
    )


@pytest.fixture(scope="module")
def doorstep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A raw peer of a server of its own, because a mutated request may open a session that keeps others out."""
    pair = Pair(tmp_path_factory.mktemp("doorstep"))
    with Wire(pair.server().address) as wire:
        yield wire
    wrong = pair.end()

    assert wrong == []


@pytest.mark.case("I04")
@settings(max_examples=200)
@given(call=of(SERVER_METHODS))
def test_server(doorstep: Wire, call: tuple[str, bytes]) -> None:
    """A call with any bytes ends with a status that is not about a bug of ours."""
    assert doorstep.call(*call).status.code in ALLOWED


@pytest.mark.case("I04")
@settings(max_examples=150)
@given(
    messages=st.lists(mutated(st.sampled_from([message.SerializeToString() for message in PUSHED])), max_size=5),
    opened=st.booleans(),
)
def test_push(wire: Wire, messages: list[bytes], opened: bool) -> None:
    """So does a push stream of any messages, whether it starts with its session or not."""
    opening = [stream_open(wire.open_session().session_id)] if opened else []

    assert wire.stream(SYNC + "PushChanges", [*opening, *messages]).status.code in ALLOWED


LIBRARY_METHODS = {
    "unary": "/grpc.health.v1.Health/Check",
    "streamed": "/grpc.health.v1.Health/Watch",
    "reflection": "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}


@pytest.mark.case("I04")
@pytest.mark.parametrize("method", LIBRARY_METHODS.values(), ids=LIBRARY_METHODS)
@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff", b"\x0a\x01\xff", b"\x0a\x05a"])
def test_library_services(wire: Wire, agent_wire: Wire, method: str, raw: bytes) -> None:
    """Health and reflection, which are not ours, blame the sender too."""
    assert ["INVALID_ARGUMENT"] * 2 == [peer.call(method, raw).status.code for peer in (wire, agent_wire)]


def test_unknown_methods(wire: Wire) -> None:
    """A method that does not exist is UNIMPLEMENTED."""
    unknown = [SYNC + "Nothing", "/dirsync.v1.Nothing/GetStatus", "/", AGENT + "GetStatus"]

    assert ["UNIMPLEMENTED"] * 4 == [wire.call(method).status.code for method in unknown]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client that runs; it must live to the end and have nothing to complain of."""
    pair = Pair(Path(tmp_path_factory.mktemp("pair")))
    pair.server()
    yield pair.client()
    wrong = pair.end()

    assert wrong == []


@pytest.fixture(scope="module")
def agent_wire(agent: Client) -> Iterator[Wire]:
    """A raw peer of the client's agent."""
    with Wire(agent.address) as wire:
        yield wire


@pytest.mark.case("I04")
@settings(max_examples=60)
@given(call=of(AGENT_METHODS))
def test_agent(agent_wire: Wire, call: tuple[str, bytes]) -> None:
    """The agent of a client answers any bytes as the server does."""
    assert agent_wire.call(*call).status.code in ALLOWED


def test_both_live(wire: Wire, doorstep: Wire, agent_wire: Wire) -> None:
    """After all that both services answer as ever."""
    question = rpb.ReplicaServiceGetStatusRequest()
    status = [peer.call(REPLICA + "GetStatus", question).status for peer in (wire, doorstep)]
    agent = agent_wire.ask(AGENT + "GetStatus", apb.AgentServiceGetStatusRequest(), apb.AgentServiceGetStatusResponse)

    assert [OK, OK] == status
    assert agent.in_sync
