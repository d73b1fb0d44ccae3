"""Lines that are slow, far, silent or that flip a bit: work goes on where it can, and nothing wrong is published."""

import signal
from http import HTTPStatus
from typing import Any

import pytest

from dirsync.limits import KIB, MIB
from tests.support.faults.toxic import Toxic
from tests.support.running.limited import limited
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal

pytestmark = pytest.mark.programs

LIVE: dict[str, Any] = {"rescan_interval": "1h", "compression": "none"}
KEEPALIVE: dict[str, float] = {"keepalive_seconds": 1, "keepalive_timeout_seconds": 1}
SHORT: dict[str, float] = {
    "unary_deadline_seconds": 3,
    "request_seconds": 3,
    "stalled_response_seconds": 3,
    "session_idle_seconds": 3,
}
"""Times that a file needs longer than on the slow line below."""


@pytest.mark.case("C03")
@pytest.mark.parametrize("writes", [True, False], ids=["writing", "idle"])
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "frozen"])
def test_silent(pair: Pair, line: Toxic, stopped: bool, writes: bool) -> None:
    """A server that is stopped, or a proxy that holds everything up: TCP goes on there, and the client notices."""
    build(pair.source, {"a": "a"})
    server = pair.server(prefix=limited(**KEEPALIVE))
    client = pair.client(prefix=limited(**KEEPALIVE), server=line.address, **LIVE)
    server.signal(signal.SIGSTOP) if stopped else line.freeze()
    if writes:
        build(pair.source, {"small": "s"})
    until(lambda: client.status()["last_error"], "the client's notice")
    assert not client.status()["in_sync"]
    server.signal(signal.SIGCONT) if stopped else line.thaw()
    build(pair.source, {"b": "b"})
    until(lambda: equal(pair.source, pair.replica), "the changes")
    client.wait_until_in_sync()

    assert not client.status()["last_error"]


@pytest.mark.case("C04")
def test_64_kilobits(pair: Pair, line: Toxic) -> None:
    """A transfer that takes longer than every deadline of a call is not ended as long as bytes flow."""
    build(pair.source, {"large": File(random_bytes(64 * KIB, 1)), "small": "s"})
    pair.server(prefix=limited(**SHORT))
    line.bytes_per_second = 8000
    result = pair.once(prefix=limited(**SHORT), server=line.address, compression="none")

    assert 0 == result.code
    assert line.sent < 80 * KIB
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("C06")
def test_round_trips(pair: Pair, line: Toxic) -> None:
    """How often a sync waits for the other side does not depend on how many files it has."""
    pair.server()
    line.latency = 0.25
    turns = []
    for count in (3, 600):
        build(pair.source, {f"{count}/{number}": f"{count} {number}" for number in range(count)})
        before = line.turns
        assert pair.once(server=line.address).code == 0
        turns.append(line.turns - before)

    assert turns[1] <= turns[0] + 6
    assert turns[0] <= 30
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("C07")
@pytest.mark.parametrize("after", [10, 100, 3_000, 100_000, 200_000, 250_000])
def test_flipped_bit(pair: Pair, line: Toxic, after: int) -> None:
    """A bit that changes on the way is found by the digest or by the protocol, and never published."""
    old, new = random_bytes(256 * KIB, 1), random_bytes(256 * KIB, after)
    build(pair.source, {"f": File(old)})
    pair.server()
    pair.client(server=line.address, **LIVE)
    line.flip_after = after
    (pair.source / "f").write_bytes(new)
    path = pair.replica / "f"

    def arrived() -> bool:
        content = path.read_bytes()
        assert content in (old, new)
        return content == new

    until(arrived, "the new content")
    assert line.flip_after is None


@pytest.mark.case("C08")
def test_pings(pair: Pair, line: Toxic) -> None:
    """The server allows as many pings as the client sends, so that a quiet connection stays."""
    build(pair.source, {"a": "a"})
    server = pair.server(prefix=limited(**KEEPALIVE))
    client = pair.client(prefix=limited(**KEEPALIVE), server=line.address, **LIVE)
    connections, passed = line.connections, line.sent
    # A ping frame has 17 bytes; too many of them made the server end the connection after two strikes.
    until(lambda: line.sent - passed > 4 * 17, "four pings")
    build(pair.source, {"a": "b"})
    until(lambda: equal(pair.source, pair.replica), "the change")

    assert connections == line.connections
    assert not client.status()["last_error"]
    assert server.metrics().value("dirsync_sessions") == 1


@pytest.mark.case("C16")
def test_late_answers(pair: Pair, line: Toxic) -> None:
    """A call whose answer comes after its deadline is given up at both ends, and tried again."""
    build(pair.source, {"large": File(random_bytes(MIB, 1))})
    server = pair.server(prefix=limited(**SHORT))
    threads = server.threads()
    line.answers_lost = True
    client = pair.client(prefix=limited(**SHORT), server=line.address, synced=False, **LIVE)
    client.wait_for("connection.lost")
    until(lambda: client.get("/readyz").status == HTTPStatus.SERVICE_UNAVAILABLE, "not ready")
    line.answers_lost = False
    line.cut()
    until(lambda: equal(pair.source, pair.replica), "equal", seconds=40)
    until(lambda: server.threads() <= threads + 8, "the server's threads back")
