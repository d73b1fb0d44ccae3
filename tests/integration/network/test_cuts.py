"""Connections that end in the middle: whatever was under way, the replica gets it, whole, and soon."""

from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB
from tests.support.faults.toxic import Cut, Toxic
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal

pytestmark = pytest.mark.programs

SIZE = 300 * KIB
LIVE: dict[str, Any] = {"rescan_interval": "1h", "compression": "none"}
RESET_OR_CLOSED = pytest.mark.parametrize(
    "reset", [pytest.param(True, marks=pytest.mark.case("C01")), pytest.param(False, marks=pytest.mark.case("C02"))]
)
"""A connection that is reset, and one that is closed."""


@RESET_OR_CLOSED
@pytest.mark.parametrize("to_server", [True, False])
def test_live(pair: Pair, line: Toxic, reset: bool, to_server: bool) -> None:
    """A change whose transfer is cut after so many bytes arrives, and a reader sees the old content or the new."""
    path = pair.replica / "large"
    build(pair.source, {"large": File(random_bytes(SIZE, 0)), "d/small": "0"})
    pair.server()
    pair.client(server=line.address, **LIVE)
    versions = {random_bytes(SIZE, 0)}
    for number, after in enumerate(_positions(to_server), 1):
        line.pending_cut = Cut(after, to_server, reset)
        versions.add(random_bytes(SIZE, number))
        build(pair.source, {"large": File(random_bytes(SIZE, number)), "d/small": str(number)})
        until(lambda: _seen(path, versions) and equal(pair.source, pair.replica), f"equal after a cut at {after}")
        line.pending_cut = None


def _positions(to_server: bool) -> list[int]:
    """Bytes of the pushed operations up, of their acknowledgements down: each is spread over what passes."""
    return [1, 9, 100, 1000, 20_000, 150_000, 290_000] if to_server else [1, 9, 20, 60]


def _seen(path: Path, versions: set[bytes]) -> bool:
    assert path.read_bytes() in versions
    return True


@RESET_OR_CLOSED
@pytest.mark.parametrize("to_server, after", [(True, 30), (True, 700), (True, 5000), (False, 40), (False, 500)])
def test_once(pair: Pair, line: Toxic, reset: bool, to_server: bool, after: int) -> None:
    """``once`` goes on by itself when its session is cut: while it is opened, listed or pushed."""
    build(pair.source, {"large": File(random_bytes(SIZE, 1)), **{f"d/{number}": str(number) for number in range(50)}})
    pair.server()
    line.pending_cut = Cut(after, to_server, reset)
    result = pair.once(server=line.address)

    assert 0 == result.code
    assert line.was_cut
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("C13")
def test_acknowledgement_lost(pair: Pair, line: Toxic) -> None:
    """What was committed before the line was cut is found at the server, and does not travel a second time."""
    build(pair.source, {"a": "a"})
    pair.server()
    client = pair.client(server=line.address, **LIVE)
    line.answers_lost = True
    build(pair.source, {"large": File(random_bytes(SIZE, 1))})
    until((pair.replica / "large").exists, "the file at the replica")
    sent = line.sent
    line.cut()
    line.answers_lost = False
    client.wait_until_in_sync()

    assert line.sent - sent < SIZE / 10
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("C14")
def test_flapping(pair: Pair, line: Toxic) -> None:
    """A line that comes and goes all the time is used while it is there, and costs neither threads nor a long log."""
    build(pair.source, {"a": "a"})
    server = pair.server()
    client = pair.client(server=line.address, **LIVE)
    threads = client.threads(), server.threads()
    lines = len(client.log.events)
    flaps = 25
    for number in range(flaps):
        build(pair.source, {"a": str(number), f"new/{number}": str(number)})
        until(lambda: (pair.replica / "a").read_text() == str(number), "the change")  # noqa: B023
        line.cut()
    client.wait_until_in_sync()

    assert [] == differences(pair.source, pair.replica)
    assert len(client.log.events) - lines < 20 * flaps
    assert client.threads() <= threads[0] + 4
    assert server.threads() <= threads[1] + 16


@pytest.mark.case("C11")
def test_idle_cut(pair: Pair, line: Toxic) -> None:
    """A proxy that ends quiet connections is not noticed: the next change travels on a new one."""
    build(pair.source, {"a": "a"})
    pair.server()
    client = pair.client(server=line.address, **LIVE)
    for number in range(3):
        connections = line.connections
        line.cut()
        until(lambda: line.connections > connections, "another connection")  # noqa: B023
        build(pair.source, {"a": str(number)})
        until(lambda: (pair.replica / "a").read_text() == str(number), "the change")  # noqa: B023

    client.wait_until_in_sync()

    assert [] == client.log.all("file.problem")
