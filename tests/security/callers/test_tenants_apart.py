"""What a tenant learns of another one: nothing, not even by how long it takes."""

import statistics
import time
from collections.abc import Callable

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import copy_content, signature
from tests.support.peers.operations import batch, begin, commit, data, digest, end
from tests.support.peers.tenants import World, open_push
from tests.support.peers.wire import REPLICA, SYNC, Wire
from tests.support.proxy import Proxy
from tests.support.trees.content import random_bytes

SECRET = random_bytes(8192)
NOBODYS = random_bytes(8192)
ROUNDS = 60


@pytest.mark.case("H05")
def test_trouble_of_another(world: World) -> None:
    """A tenant learns why its own replica cannot be used, and nothing of another's."""
    root = world.place / "red"

    def reasons() -> list[str]:
        found = []
        for name in ("red", "blue"):
            with Wire(world.server.address, name) as wire:
                request = rpb.ReplicaServiceGetStatusRequest(namespace=name)
                answer = wire.ask(REPLICA + "GetStatus", request, rpb.ReplicaServiceGetStatusResponse)
            found.append(answer.not_ready_reason)
        return found

    before = reasons()
    root.rename(world.place / "aside")
    red, blue = reasons()
    (world.place / "aside").rename(root)

    assert ["", ""] == before
    assert "'red' is gone" in red
    assert "" == blue


@pytest.mark.case("I19", "H05")
def test_answers_take_their_time(world: World) -> None:
    """What another tenant has takes as long to be refused as what does not exist: medians of alternating calls."""
    address = world.server.address
    # From an address of its own: so many refusals would be held against the other tests.
    with (
        Proxy(address, source="127.0.8.1") as proxy,
        Wire(proxy.address, "red") as red,
        Wire(proxy.address, "blue") as blue,
    ):
        _, push = open_push(red, "red")
        push.send(begin(1, b"secret", len(SECRET)), data(1, SECRET), end(1, digest(SECRET)), commit()).receive()
        push.finish()
        session_id, stream = open_push(blue, "blue")
        numbers = iter(range(1, 1_000_000))

        def described(content: bytes) -> object:
            return signature(blue, session_id, digest(content))

        def copied(content: bytes) -> object:
            number = next(numbers)
            answer = stream.send(batch(copy_content(number, b"copy", content)), commit()).receive()
            return [(failure.outcome, failure.reason, failure.message) for failure in answer.failures]

        def opened(name: str) -> object:
            request = pb.OpenSessionRequest(protocol_version=1, namespace=name, client_id="c", instance_id="i")
            return blue.call(SYNC + "OpenSession", request).status

        pairs = [
            _compare(described, SECRET, NOBODYS),
            _compare(copied, SECRET, NOBODYS),
            _compare(opened, "red", "gray"),
        ]
        stream.finish()

    assert [True] * 3 == [same for same, _ in pairs]
    assert [] == [ratio for _, ratio in pairs if not 1 / 3 < ratio < 3]


def _compare(ask: Callable[..., object], one: object, other: object) -> tuple[bool, float]:
    """Whether both are answered alike, and how many times longer one takes than the other."""
    answers: list[set[str]] = [set(), set()]
    seconds: list[list[float]] = [[], []]
    for turn in range(2 * ROUNDS):
        which = turn % 2
        started = time.perf_counter()
        answer = ask(other if which else one)
        seconds[which].append(time.perf_counter() - started)
        answers[which].add(repr(answer))
    return answers[0] == answers[1], statistics.median(seconds[0]) / statistics.median(seconds[1])
