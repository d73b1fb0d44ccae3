"""Lost packets, packets that are too large for the way, in a network of our own; and a server that moves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB, MIB
from tests.capabilities import Capability
from tests.support.faults.netns import dropped, own_network, slow
from tests.support.running.limited import limited
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal

pytestmark = pytest.mark.programs
own_network_only = pytest.mark.needs(Capability.NETNS)

LIVE: dict[str, Any] = {"rescan_interval": "1h", "compression": "none"}
KEEPALIVE: dict[str, float] = {"keepalive_seconds": 1, "keepalive_timeout_seconds": 1}
SLOW = 60.0
"""Seconds that a transfer with many lost packets may take."""


@pytest.fixture
def network() -> Iterator[None]:
    """A network of our own."""
    with own_network():
        yield


def port_of(pair: Pair) -> int:
    """Where the pair's server listens."""
    return int(pair.server_address.rpartition(":")[2])


@own_network_only
@pytest.mark.case("C03")
@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("writes", [True, False], ids=["writing", "idle"])
def test_half_open(pair: Pair, writes: bool) -> None:
    """A connection that carries nothing any more, and that nobody has closed, is noticed by both sides."""
    build(pair.source, {"a": "a"})
    server = pair.server(prefix=limited(**KEEPALIVE, session_idle_seconds=2))
    client = pair.client(prefix=limited(**KEEPALIVE), **LIVE)
    with dropped(port_of(pair)):
        if writes:
            build(pair.source, {"large": File(random_bytes(3 * MIB, 1))})
        until(lambda: client.status()["last_error"], "the client's notice")
        until(lambda: server.metrics().value("dirsync_sessions") == 0, "the server's notice")
        assert not client.status()["in_sync"]
        build(pair.source, {"b": "b"})
    until(lambda: equal(pair.source, pair.replica), "the changes")
    client.wait_until_in_sync()

    assert not client.status()["last_error"]


@own_network_only
@pytest.mark.case("C04")
@pytest.mark.usefixtures("network")
def test_64_kilobits(pair: Pair) -> None:
    """A ping that waits behind content on a slow line ends no connection."""
    frequent = {"keepalive_seconds": 5}
    pair.server(prefix=limited(**frequent))
    client = pair.client(prefix=limited(**frequent), **LIVE)
    with slow(64_000, queue_bytes=20_000):
        build(pair.source, {"large": File(random_bytes(100 * KIB, 1))})
        until(lambda: equal(pair.source, pair.replica), "the file", seconds=SLOW)

    assert [] == client.log.all("connection.lost")


@own_network_only
@pytest.mark.case("C05")
@pytest.mark.usefixtures("network")
def test_loss(pair: Pair) -> None:
    """With every third packet lost, both sides become equal all the same."""
    build(
        pair.source, {"large": File(random_bytes(100 * KIB, 1)), **{f"d/{number}": str(number) for number in range(20)}}
    )
    pair.server()
    with dropped(port_of(pair), "-m", "statistic", "--mode", "random", "--probability", "0.3"):
        client = pair.client(synced=False, **LIVE)
        client.wait_for("sync.completed", seconds=SLOW)
        build(pair.source, {"d/1": "changed"})
        until(lambda: equal(pair.source, pair.replica), "the change", seconds=SLOW)


@own_network_only
@pytest.mark.case("C09")
@pytest.mark.usefixtures("network")
def test_black_hole(pair: Pair) -> None:
    """A way that swallows large packets, without a word, is noticed; what was under way goes when it is mended."""
    build(pair.source, {"a": "a"})
    pair.server(prefix=limited(**KEEPALIVE))
    client = pair.client(prefix=limited(**KEEPALIVE, backoff_max_seconds=1), **LIVE)
    with dropped(port_of(pair), "-m", "length", "--length", "1000:65535"):
        build(pair.source, {"large": File(random_bytes(100 * KIB, 1))})
        until(lambda: client.status()["last_error"], "the client's notice")
        assert not client.status()["in_sync"]
    until(lambda: equal(pair.source, pair.replica), "the file", seconds=SLOW)


@pytest.mark.privileged
@pytest.mark.case("C10")
def test_address(pair: Pair) -> None:
    """A server that comes back under another address of its name is found there."""
    hosts = pair.place / "hosts"
    hosts.write_text("127.0.0.1 server.dirsync.test\n")
    _host, _, port = pair.server_address.rpartition(":")
    build(pair.source, {"a": "a"})
    first = pair.server()
    client = pair.client(
        prefix=[*_with_hosts(hosts), *limited(backoff_max_seconds=1)],
        server=f"server.dirsync.test:{port}",
        insecure=True,
        **LIVE,
    )
    first.stop()
    hosts.write_text("127.0.0.2 server.dirsync.test\n")
    pair.server(listen=f"127.0.0.2:{port}")
    build(pair.source, {"a": "b"})
    until(lambda: equal(pair.source, pair.replica), "the change")
    client.wait_until_in_sync()

    assert [] == differences(pair.source, pair.replica)


def _with_hosts(hosts: Path) -> list[str]:
    """A prefix that runs a program with another /etc/hosts."""
    return ["unshare", "--mount", "sh", "-c", f'mount --bind "{hosts}" /etc/hosts && exec "$@"', "sh"]
