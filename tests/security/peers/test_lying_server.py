"""A server that lies about what it did, asks for more than it was offered, or says when to come back."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.hostile import Say, hostile_server, once, opened
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import Link, build, look

pytestmark = pytest.mark.programs

PRESERVING = entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True, ignore_rules=[b"*.key"])
EMPTY = bytes.fromhex("0" * 64)
SECRET = b"a secret of the machine"
IGNORED = b"an ignored secret"
EMPTY_PAGE = pb.ListDirectoriesResponse(directory=0, last=True).SerializeToString()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A source beside which, and in which, there is what no server may have."""
    pair = Pair(tmp_path / "pair")
    (tmp_path / "secret").write_bytes(SECRET)
    build(pair.source, {"a": "a", "docs/b": "b", "link": Link("../../secret"), "x.key": IGNORED})
    yield pair
    wrong = pair.end()

    assert wrong == []


def empty_root(pair: Pair) -> bytes:
    """The root digest of a replica that is empty."""
    pair.server()
    digest = bytes.fromhex(pair.command("verify", "--json", ignore="*.key").json["replica_digest"])
    pair.end()
    return digest


class Pushes:
    """Takes push streams, keeps what came, and answers each commit as the test wants."""

    def __init__(self, answer: Callable[[int], list[pb.PushChangesResponse]]) -> None:
        self.received: list[pb.PushChangesRequest] = []
        self._answer = answer

    def __call__(self, requests: Iterable[bytes]) -> Iterable[bytes]:
        """Serve one stream."""
        number = 0
        for raw in requests:
            message = pb.PushChangesRequest.FromString(raw)
            self.received.append(message)
            number = max([number, *(operation.number for operation in message.batch.operations)])
            if message.HasField("commit"):
                yield from (answer.SerializeToString() for answer in self._answer(number))

    @property
    def paths(self) -> list[bytes]:
        """The paths of all operations, in order."""
        batches = [operation.path for message in self.received for operation in message.batch.operations]
        return [*batches, *(message.begin.path for message in self.received if message.HasField("begin"))]

    @property
    def bytes(self) -> bytes:
        """All that came."""
        return b"".join(message.SerializeToString() for message in self.received)


def answers(root_digest: bytes, pushes: Say) -> dict[str, Say]:
    """A server with an empty replica."""
    return {
        "SyncService/OpenSession": once(opened(root_digest=root_digest, options=PRESERVING)),
        "SyncService/ListDirectories": lambda _: [EMPTY_PAGE],
        "SyncService/PushChanges": pushes,
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
    }


def failure(number: int, **fields: Any) -> pb.Failure:
    """An operation that was not applied."""
    return pb.Failure(number=number, outcome=pb.OUTCOME_CHANGED, reason="CHANGED", message="changed", **fields)


ASKING: dict[str, Callable[[int], list[pb.PushChangesResponse]]] = {
    "numbers that nobody sent": lambda n: [
        pb.PushChangesResponse(settled_number=n + 1000, failures=[failure(n + 7)], requested=True)
    ],
    "files that nobody sent": lambda n: [
        pb.PushChangesResponse(settled_number=n, files=[n + 1, 1 << 60], requested=True)
    ],
    "numbers of zero": lambda n: [pb.PushChangesResponse(settled_number=n, failures=[failure(0)], requested=True)],
    "something else there": lambda n: [
        pb.PushChangesResponse(
            settled_number=n,
            failures=[failure(1, current=entry_pb2.Entry(kind=entry_pb2.KIND_SYMLINK, target=b"../../secret"))],
            requested=True,
        )
    ],
}


@pytest.mark.case("J02")
@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_asks_for_more(pair: Pair, asking: Callable[[int], list[pb.PushChangesResponse]]) -> None:
    """Whatever a server answers, it gets what the plan has: nothing that is ignored, outside, or behind a link."""
    root_digest, before, pushes = empty_root(pair), look(pair.source), Pushes(asking)
    with hostile_server(answers(root_digest, pushes)) as address:
        result = pair.once(server=address, ignore="*.key")

    assert result.code != 0
    assert {b"a", b"docs", b"docs/b", b"link"} >= set(pushes.paths)
    assert SECRET not in pushes.bytes
    assert IGNORED not in pushes.bytes
    assert before == look(pair.source)


@pytest.mark.case("J06")
@pytest.mark.parametrize("times", [1, 50])
def test_repeats(pair: Pair, times: int) -> None:
    """A server that says the same many times, for ever, gets each file a few times, and the client ends."""

    def repeated(number: int) -> list[pb.PushChangesResponse]:
        failures = [failure(n) for n in range(1, number + 1)] * times
        last = pb.PushChangesResponse(settled_number=number, failures=failures, requested=True)
        return [*[pb.PushChangesResponse(settled_number=number, failures=failures)] * (times - 1), last]

    root_digest, pushes = empty_root(pair), Pushes(repeated)
    with hostile_server(answers(root_digest, pushes)) as address:
        result = pair.once(server=address, ignore="*.key")

    assert result.code != 0
    assert len(pushes.paths) <= 10 * len(set(pushes.paths))


@pytest.mark.case("J04")
def test_false_acknowledgements(pair: Pair) -> None:
    """A server that claims to have what it has not is believed by `once`, and found out by the next `verify`."""
    pair.server()
    synced = pair.once("--json", ignore="*.key")
    pair.end()
    claimed = bytes.fromhex(synced.json["root_digest"])
    status = rpb.ReplicaServiceGetStatusResponse(
        ready=True,
        root_digest=claimed,
        replica_id="hostile",
        options=PRESERVING,
    )
    really = rpb.VerifyContentResponse(summary=rpb.VerifyContentResponse.Summary(root_digest=EMPTY))
    lies = answers(
        claimed,
        Pushes(lambda n: [pb.PushChangesResponse(settled_number=n, root_digest=claimed, requested=True)]),
    )
    lies |= {
        "ReplicaService/GetStatus": once(status),
        "ReplicaService/VerifyContent": lambda _: [really.SerializeToString()],
    }
    with hostile_server(lies) as address:
        believed = pair.once("--json", server=address, ignore="*.key")
        audit = pair.command("verify", "--deep", "--json", server=address, ignore="*.key")

    assert (0, True) == (believed.code, believed.json["in_sync"])
    assert (5, False) == (audit.code, audit.json["equal"])
    assert {"a", "docs", "docs/b", "link"} == {found["path"] for found in audit.json["differences"]}


@pytest.mark.case("J08")
@pytest.mark.parametrize("seconds", [10**12, -(10**12), 0])
def test_absurd_pauses(pair: Pair, seconds: int) -> None:
    """However long a server tells a client to stay away, it asks again by its own pauses, and never without one."""
    asked: list[float] = []

    def busy(_request: Any, context: grpc.ServicerContext) -> Any:
        from google.rpc import code_pb2, error_details_pb2, status_pb2  # noqa: PLC0415

        asked.append(1)
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = seconds
        status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="busy")
        status.details.add().Pack(retry)
        context.set_trailing_metadata(
            (("grpc-status-details-bin", status.SerializeToString()), ("retry-after", "1e99"))
        )
        context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    server = grpc.server(ThreadPoolExecutor(2))
    handler: Any = grpc.unary_unary_rpc_method_handler(busy)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("dirsync.v1.SyncService", {"OpenSession": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        client = pair.client(synced=False, server=f"127.0.0.1:{port}")
        until(lambda: len(asked) >= 3, "it asks again", seconds=30)
        client.stop()
    finally:
        server.stop(0).wait()

    assert len(asked) < 40
