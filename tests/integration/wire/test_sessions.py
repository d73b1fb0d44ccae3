"""Opening sessions: what a server agrees to, which clients it refuses, and that a refusal changes nothing."""

import pytest

from dirsync.limits import LIMITS
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import batch, commit, put
from tests.support.peers.serving import Bench
from tests.support.peers.wire import SYNC, Status, Wire


def opening(wire: Wire, **fields: object) -> Status:
    """How a request to open a session ends that is right but for these fields."""
    right: dict[str, object] = {
        "protocol_version": 1,
        "namespace": "default",
        "client_id": "tester",
        "instance_id": "first",
        "options": entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True),
    }
    request = pb.OpenSessionRequest(**{**right, **fields})  # type: ignore[arg-type]
    return wire.call(SYNC + "OpenSession", request).status


def rules(*lines: bytes) -> entry_pb2.TreeOptions:
    """Options with these ignore rules."""
    return entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True, ignore_rules=lines)


TOO_MUCH = {
    "many": (rules(*[b"a"] * (LIMITS.max_ignore_rules + 1)), "MAX_IGNORE_RULES"),
    "long": (rules(b"a" * (LIMITS.max_ignore_rule_bytes + 1)), "MAX_IGNORE_RULE_BYTES"),
    "together": (rules(*[b"a" * LIMITS.max_ignore_rule_bytes] * 65), "MAX_IGNORE_BYTES"),
}


@pytest.mark.parametrize("options, limit", TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_many_rules(bench: Bench, options: entry_pb2.TreeOptions, limit: str) -> None:
    """Ignore rules over a limit are refused by its name, each time, and the session that there was goes on."""
    refused = [opening(bench.wire, options=options) for _ in range(2)]
    failures = bench.apply(put(2, bench.at("a" * 200), b"x"))

    assert [("RESOURCE_EXHAUSTED", limit)] * 2 == [status[:2] for status in refused]
    assert [] == failures


WRONG = {
    "old protocol": ({"protocol_version": 0}, "PROTOCOL_VERSION"),
    "no namespace": ({"namespace": ""}, "INVALID_IDENTIFIER"),
    "no client": ({"client_id": ""}, "INVALID_IDENTIFIER"),
    "no instance": ({"instance_id": ""}, "INVALID_IDENTIFIER"),
    "control": ({"client_id": "a\x1b[31m"}, "INVALID_IDENTIFIER"),
    "newline": ({"instance_id": "a\nb"}, "INVALID_IDENTIFIER"),
    "long": ({"client_id": "c" * 129}, "INVALID_IDENTIFIER"),
}


@pytest.mark.parametrize("fields, reason", WRONG.values(), ids=WRONG)
def test_refused(wire: Wire, fields: dict[str, object], reason: str) -> None:
    """A request with a field that no correct client sends is refused with the reason."""
    assert ("INVALID_ARGUMENT", reason) == opening(wire, **fields)[:2]


def test_newer_protocol(wire: Wire) -> None:
    """A client that speaks more is answered in what the server speaks."""
    request = pb.OpenSessionRequest(
        protocol_version=7, namespace="default", client_id="tester", instance_id="first", options=rules()
    )

    assert 1 == wire.ask(SYNC + "OpenSession", request, pb.OpenSessionResponse).protocol_version


def test_what_is_offered(wire: Wire) -> None:
    """A session says what the server can do, and its own limits."""
    opened = wire.open_session()

    assert [number for number in pb.Strategy.values() if number] == list(opened.strategies)
    assert [entry_pb2.COMPRESSION_NONE, entry_pb2.COMPRESSION_GZIP, entry_pb2.COMPRESSION_ZSTD] == list(
        opened.compressions
    )
    assert LIMITS.max_message_bytes == opened.max_message_bytes
    assert [] == list(opened.reserved_names)


def test_generations_grow(wire: Wire) -> None:
    """Each session has a larger fencing number than the one before, and an id that cannot be guessed."""
    first, second = wire.open_session(), wire.open_session()

    assert first.generation < second.generation
    assert first.session_id != second.session_id
    assert first.replica_id == second.replica_id


def test_unknown_namespace(wire: Wire) -> None:
    """A namespace that is not there is NOT_FOUND."""
    assert ("NOT_FOUND", "NAMESPACE_NOT_FOUND") == opening(wire, namespace="elsewhere")[:2]


def test_another_client(bench: Bench) -> None:
    """Another client is refused while a push stream is open, and the first one is unharmed."""
    refused = opening(bench.wire, client_id="somebody else")

    assert ("FAILED_PRECONDITION", "REPLICA_BUSY") == refused[:2]
    assert [] == bench.apply(put(2, bench.at("x"), b"x"))


def test_digest_is_the_session_s(wire: Wire) -> None:
    """A commit's digest is the one that the next session opens with."""
    push = wire.push(wire.open_session().session_id)
    committed = push.send(batch(put(1, b"digest", b"digest")), commit()).receive()
    push.finish()
    opened = wire.open_session()

    assert (committed.root_digest, committed.entries) == (opened.root_digest, opened.entries)
