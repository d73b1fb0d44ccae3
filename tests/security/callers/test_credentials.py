"""Every method of every service, and everything that is no valid credential: one answer, whatever was asked for."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]

from dirsync.limits import LIMITS
from dirsync.v1 import agent_service_pb2 as apb
from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.callers import REFLECTION, Caller, End, Header, bearer, paths_of
from tests.support.peers.wire import AGENT, REPLICA, SYNC, Wire, stream_open
from tests.support.proxy import Proxy
from tests.support.running.programs import Client, Pair, Server

CANARY = "c4n4ry"
RED, BLUE, AGENTS, LATER, EARLIER, WRONG = (
    f"{CANARY}-{name}" for name in ("red", "blue", "agents", "later", "earlier", "wrong")
)
SERVER_PATHS = [*paths_of(pb.DESCRIPTOR, rpb.DESCRIPTOR), REFLECTION]
AGENT_PATHS = [*paths_of(apb.DESCRIPTOR), REFLECTION]
TEXT = "no valid credentials for what was asked; check the token, and the namespace"
GARBAGE = b"\xff\xff\xff"
BAD: dict[str, list[Header]] = {
    "none": [],
    "wrong": [bearer(WRONG)],
    "not yet valid": [bearer(LATER)],
    "expired": [bearer(EARLIER)],
    "another scheme": [("authorization", f"Basic {RED}")],
    "no scheme": [("authorization", RED)],
    "no token": [("authorization", "Bearer")],
    "empty token": [("authorization", "Bearer ")],
    "white space": [("authorization", f"Bearer  {RED}")],
    "another header": [("x-authorization", f"Bearer {RED}")],
    "two headers": [bearer(RED), bearer(WRONG)],
    "the digest": [bearer(hashlib.sha256(RED.encode()).hexdigest())],
    "longer": [bearer(RED + "x")],
    "shorter": [bearer(RED[:-1])],
    "very long": [bearer("x" * 8000)],
}
GARBLED = ("none", "wrong", "expired")
"""What is shown with requests that do not parse, too."""


class World(NamedTuple):
    """A server with two tenants, a client of one of them, and a session of it."""

    server: Server
    client: Client
    session_id: bytes
    proper: dict[str, bytes]
    """For each method a request that is right."""


def requests(namespace: str, session_id: bytes) -> dict[str, bytes]:
    """For each method of the server a request that is right, but for who makes it."""
    options = entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True)
    by_method: dict[str, Any] = {
        SYNC + "OpenSession": pb.OpenSessionRequest(
            protocol_version=1, namespace=namespace, client_id="c", instance_id="i", options=options
        ),
        SYNC + "ListDirectories": pb.ListDirectoriesRequest(session_id=session_id, paths=[b""]),
        SYNC + "GetSignature": pb.GetSignatureRequest(session_id=session_id, digest=b"d" * 32, block_size=4096),
        SYNC + "PushChanges": stream_open(session_id),
        SYNC + "WatchReplica": pb.WatchReplicaRequest(session_id=session_id),
        SYNC + "ReadContent": pb.ReadContentRequest(session_id=session_id, digest=b"d" * 32),
        SYNC + "CloseSession": pb.CloseSessionRequest(session_id=session_id),
        REPLICA + "GetStatus": rpb.ReplicaServiceGetStatusRequest(namespace=namespace),
        REPLICA + "ListEntries": rpb.ListEntriesRequest(namespace=namespace),
        REPLICA + "StatEntry": rpb.StatEntryRequest(namespace=namespace, path=b"file"),
        REPLICA + "VerifyContent": rpb.VerifyContentRequest(namespace=namespace, options=options),
        REFLECTION: reflection_pb2.ServerReflectionRequest(list_services=""),
    }
    return {path: request.SerializeToString() for path, request in by_method.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The programs of this module; at its end no log and no page has a token in it."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    tokens = {name: pair.place / f"{name}.token" for name in ("blue", "agent")}
    for path, token in zip(tokens.values(), (BLUE, AGENTS), strict=True):
        path.write_text(f"{token}\n")
    tenants = pair.place / "tenants.toml"
    entries = [_entry(RED), _entry(LATER, "not_before = 2999-01-01T00:00:00Z")]
    entries.append(_entry(EARLIER, "not_after = 1999-12-31T23:59:59+01:00"))
    tenants.write_text(_tenant(pair.place, "red", *entries) + _tenant(pair.place, "blue", _entry(BLUE)))
    server = pair.server(tenants_file=tenants)
    (pair.source / "file").write_bytes(b"content")
    client = pair.client(namespace="blue", token_file=tokens["blue"], agent_token_file=tokens["agent"])
    with Wire(server.address, RED) as wire:
        session_id = wire.open_session(namespace="red").session_id
    yield World(server, client, session_id, requests("red", session_id))
    shown = [str([process.log.events, process.log.messages]) for process in (server, client)]
    shown += [process.get(path).body for process in (server, client) for path in ("/metrics", "/")]
    wrong = pair.end()

    assert wrong == []
    assert [] == [text for text in shown if CANARY in text]


def test_the_walk_is_complete(world: World) -> None:
    """There is a right request for each method of the server that its descriptors know."""
    assert set(SERVER_PATHS) == world.proper.keys()


@pytest.mark.case("K04", "K06", "K09", "I31")
def test_server(world: World) -> None:
    """Each method of the server answers each bad credential alike, and the same to a right request and to garbage."""
    before = _rejected(world.server)
    answers = {}
    with ExitStack() as stack:
        for number, (kind, headers) in enumerate(BAD.items(), 1):
            # Each from two addresses of its own, so that each is really looked at.
            addresses = [f"127.0.4.{number}", f"127.0.4.{number + 100}"]
            proxies = [stack.enter_context(Proxy(world.server.address, source=address)) for address in addresses]
            right, garbled = (stack.enter_context(Caller(proxy.address, *headers)) for proxy in proxies)
            for path, request in world.proper.items():
                answers[kind, path, "right"] = right.call(path, request)
                if kind in GARBLED:
                    answers[kind, path, "garbage"] = garbled.call(path, GARBAGE)
    after = _rejected(world.server)

    assert LIMITS.auth_burst >= len(SERVER_PATHS)
    assert {_refusal(answers)} == set(answers.values()), _odd(answers)
    assert len(answers) == after["unauthenticated"] - before["unauthenticated"]
    assert 0 == after["rate_limited"]


@pytest.mark.case("K04", "H05", "I19", "K06")
def test_valid_for_something_else(world: World) -> None:
    """A valid token grants nothing of another tenant: its namespace, its session and what does not exist are alike."""
    unknown = requests("green", world.session_id)
    answers = {}
    with Proxy(world.server.address, source="127.0.5.1") as proxy, Caller(proxy.address, bearer(BLUE)) as caller:
        for path, request in world.proper.items():
            if path != REFLECTION:
                answers[path, "red"] = caller.call(path, request)
                answers[path, "green"] = caller.call(path, unknown[path])
    nobody = {"none": _once(world.server.address, "127.0.5.2", SYNC + "OpenSession", GARBAGE)}

    assert {_refusal(nobody)} == set(answers.values()), _odd(answers)


@pytest.mark.case("K06")
def test_control(world: World) -> None:
    """The same requests of who may make them are answered: what is refused above is who asks."""
    order = [path for path in world.proper if not path.endswith("CloseSession")]
    with Proxy(world.server.address, source="127.0.6.1") as proxy, Caller(proxy.address, bearer(RED)) as caller:
        own = requests("red", world.session_id)
        ends = {path: caller.call(path, own[path]) for path in order}
        garbage = {caller.call(path, GARBAGE).code for path in order}

    assert {"UNAUTHENTICATED"}.isdisjoint(end.code for end in ends.values())
    assert "OK" == ends[REPLICA + "ListEntries"].code
    assert {"INVALID_ARGUMENT"} == garbage


@pytest.mark.case("K04", "K06", "I31")
def test_agent(world: World) -> None:
    """The same holds for each method of a client's agent, those that only show something too."""
    before = _rejected(world.client)
    answers = {}
    with ExitStack() as stack:
        for number, (kind, headers) in enumerate([*BAD.items(), ("the client's own", [bearer(BLUE)])], 1):
            proxy = stack.enter_context(Proxy(world.client.address, source=f"127.0.7.{number}"))
            caller = stack.enter_context(Caller(proxy.address, *headers))
            for path in AGENT_PATHS:
                answers[kind, path, "empty"] = caller.call(path, b"")
                if kind in GARBLED:
                    answers[kind, path, "garbage"] = caller.call(path, GARBAGE)
    with Caller(world.client.address, bearer(AGENTS)) as caller:
        allowed = caller.call(AGENT + "GetStatus", b"")
    server = {"server": _once(world.server.address, "127.0.7.1", SYNC + "OpenSession", GARBAGE)}

    assert {_refusal(server)} == set(answers.values()), _odd(answers)
    assert "OK" == allowed.code
    assert len(answers) == _rejected(world.client)["unauthenticated"] - before["unauthenticated"]


@pytest.mark.case("I31", "K06")
def test_commands_show_the_token(world: World, tmp_path: Path) -> None:
    """``status`` shows the agent's token, and is refused with another one."""
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{WRONG}\n")
    right, refused = world.client.command("status"), world.client.command("status", agent_token_file=wrong)

    assert 0 == right.code, right
    assert (1, [f"dirsync-client: {TEXT}"]) == (refused.code, refused.messages)


@pytest.mark.case("I31", "K06")
def test_health_and_what_does_not_exist(world: World) -> None:
    """Health asks for nothing and says one word; a method that does not exist is nothing gRPC would not say itself."""
    check, watched = "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest().SerializeToString()
    missing = ["/dirsync.v1.SyncService/Nothing", "/dirsync.v1.Nothing/GetStatus", "/nothing", "/"]
    for process, token in ((world.server, RED), (world.client, AGENTS)):
        with Caller(process.address) as nobody, Caller(process.address, bearer(token)) as somebody:
            healthy = nobody.call(check, watched)
            unknown = [nobody.call(path, GARBAGE) for path in missing]
            known = [somebody.call(path, GARBAGE) for path in missing]

        assert End("OK", "", ()) == healthy
        assert {"UNIMPLEMENTED"} == {end.code for end in unknown}
        assert known == unknown


@pytest.mark.case("K04")
@pytest.mark.parametrize("size", [20_000, 1 << 20])
def test_large_header(world: World, size: int) -> None:
    """A header larger than all may be together ends the call by gRPC's own rule, and opens nothing; others go on."""
    address = world.server.address
    with Caller(address, bearer("x" * size)) as caller:
        ended = caller.call(REPLICA + "GetStatus", world.proper[REPLICA + "GetStatus"])
    with Caller(address, bearer(RED)) as caller:
        other = caller.call(REPLICA + "GetStatus", world.proper[REPLICA + "GetStatus"])

    assert ended.code in ("RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE")
    assert "x" * 50 not in ended.details
    assert "OK" == other.code


def _entry(token: str, *times: str) -> str:
    digest = f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"'
    return f"{{ {', '.join([digest, *times])} }}"


def _tenant(place: Path, name: str, *entries: str) -> str:
    return f'[namespaces.{name}]\nroot = "{place / name}"\ntokens_sha256 = [{", ".join(entries)}]\n'


def _once(target: str, source: str, path: str, request: bytes) -> End:
    with Proxy(target, source=source) as proxy, Caller(proxy.address) as caller:
        return caller.call(path, request)


def _rejected(process: Any) -> dict[str, float]:
    return dict(process.metrics().sums("dirsync_rejected_total", "reason"))


def _refusal(answers: dict[Any, End]) -> End:
    """The one refusal, from one of the answers that ought to be it."""
    end = next(iter(answers.values()))

    assert ("UNAUTHENTICATED", TEXT) == end[:2]
    assert ["grpc-status-details-bin"] == [key for key, _ in end.trailers]
    return end


def _odd(answers: dict[Any, End]) -> list[Any]:
    expected = next(iter(answers.values()))
    return [(key, end) for key, end in answers.items() if end != expected]
