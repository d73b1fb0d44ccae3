"""One source and several servers: one scan, and each server by itself, whatever becomes of the others."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal

pytestmark = pytest.mark.programs

NAMES = ("north", "south", "west")
LARGE = 24 << 20
SMALL_BYTES = 20_000
SMALL = {f"d/{number}": f"{number}" * 100 for number in range(30)}


class Servers:
    """Several servers beside a pair's client."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.by_name = {name: self._start(name) for name in NAMES}

    def _start(self, name: str) -> Server:
        place = self.pair.place / name
        return self.pair.server(
            listen=f"127.0.0.1:{free_port()}", root=place / "replica", state_dir=place / "state", fsync="never"
        )

    @property
    def setting(self) -> str:
        """SERVER with all of them."""
        return ",".join(f"{name}={server.address}" for name, server in self.by_name.items())

    def roots(self, *names: str) -> list[Path]:
        """The replicas of these."""
        return [self.by_name[name].root for name in names or NAMES]

    def client(self, **settings: Any) -> Client:
        """A client of all, in sync with each."""
        client = self.pair.client(server=self.setting, **settings)
        self.wait_until_equal()
        return client

    def wait_until_equal(self, *names: str, seconds: float = 30.0) -> None:
        """Return when these replicas are what the source is."""
        for root in self.roots(*names):
            until(partial(equal, self.pair.source, root), f"{root} equal to the source", seconds=seconds)


@pytest.fixture
def servers(pair: Pair) -> Servers:
    """Three of them."""
    return Servers(pair)


def in_sync(client: Client) -> dict[str, float]:
    """The gauge of each target."""
    samples = client.metrics()
    return {name: samples.value("dirsync_in_sync", target=name) for name in NAMES}


def test_the_source_is_read_once(servers: Servers) -> None:
    """Three servers cost one reading of the source: its large files, its small ones, and new directories."""
    large = {f"large{number}": bytes([number]) + os.urandom(LARGE - 1) for number in range(2)}
    build(servers.pair.source, {**large, **{f"small{number}": os.urandom(SMALL_BYTES) for number in range(200)}})
    build(servers.pair.source, {f"new/{number}": os.urandom(SMALL_BYTES) for number in range(200)})
    content = 2 * LARGE + 400 * SMALL_BYTES
    client = servers.client()
    read = bytes_read(client)

    assert content <= read < 1.5 * content


def bytes_read(client: Client) -> int:
    """What it has read from files, all together."""
    lines = Path(f"/proc/{client.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def test_a_stopped_server(servers: Servers) -> None:
    """While one server stands still the others get every change, and it catches up by itself."""
    build(servers.pair.source, SMALL)
    client = servers.client()
    until(lambda: client.metrics().value("dirsync_ready") == 1, "ready")
    servers.by_name["south"].signal(signal.SIGSTOP)
    try:
        for number in range(10):
            build(servers.pair.source, {f"later/{number}": str(number)})
        servers.wait_until_equal("north", "west")
        until(lambda: in_sync(client) == {"north": 1, "south": 0, "west": 1}, "all but the one that stands still")
        status = client.status()
        lags = {one["target"]: one["lag_seconds"] for one in status["targets"]}
    finally:
        servers.by_name["south"].signal(signal.SIGCONT)
    servers.wait_until_equal()
    until(lambda: all(in_sync(client).values()), "in sync everywhere")

    assert not status["in_sync"]
    assert status["ready"]
    assert (0, True, 0) == (lags["north"], lags["south"] > 0, lags["west"])
    assert status["lag_seconds"] > 0


def test_a_dead_server(servers: Servers) -> None:
    """A server that is gone is told by its name, in the status, the metrics and the log; the others go on."""
    client = servers.client()
    servers.by_name["west"].kill()
    client.wait_for("connection.lost", target="west")
    build(servers.pair.source, SMALL)
    servers.wait_until_equal("north", "south")
    until(lambda: in_sync(client) == {"north": 1, "south": 1, "west": 0}, "all but the one that is gone")
    until(lambda: client.metrics().value("dirsync_ready") == 0, "not ready")
    until(lambda: str(client.status()["not_ready_reason"]).startswith("west: "), "it is west for which")
    status = client.status()
    by_name = {one["target"]: one for one in status["targets"]}
    samples = client.metrics()

    assert ["live", "live", "connecting"] == [by_name[name]["state"] for name in NAMES]
    assert status["last_error"].startswith("west: ")
    assert status["not_ready_reason"].startswith("west: ")
    assert samples.value("dirsync_reconnects_total", target="west") > 0
    assert 0 == samples.value("dirsync_reconnects_total", target="north")
    shown = json.loads(client.get("/status.json").body)
    assert (3, 2, "west") == (
        shown["targets"]["count"],
        shown["targets"]["in_sync"],
        shown["targets"]["shown"][0]["target"],
    )


def test_once_with_a_dead_server(servers: Servers) -> None:
    """A single sync ends when all are done: it says which failed, and the others are in sync."""
    build(servers.pair.source, SMALL)
    dead = f"127.0.0.1:{free_port()}"
    result = servers.pair.once("--json", server=f"{servers.setting},dead={dead}")
    found = {one["target"]: one for one in result.json["targets"]}

    assert 1 == result.code
    assert [True, True, True] == [found[name]["in_sync"] for name in NAMES]
    assert dead in found["dead"]["error"]
    assert any("target dead" in line for line in result.messages)
    servers.wait_until_equal()


def test_commands(servers: Servers) -> None:
    """What a command says of one server it says with its name; --target asks for one alone."""
    pair = servers.pair
    build(pair.source, SMALL)
    before = pair.command("plan", "--json", server=servers.setting).json["targets"]
    assert 0 == pair.once(server=servers.setting).code
    (servers.by_name["south"].root / "d/0").write_bytes(b"changed by hand")
    verified = pair.command("verify", "--json", "--deep", server=servers.setting)
    one = pair.command("verify", "--target", "north", server=servers.setting)
    nobody = pair.command("verify", "--target", "nobody", server=servers.setting)

    assert [*NAMES] == [found["target"] for found in before]
    assert all(found["operations"] == before[0]["operations"] for found in before)
    assert 5 == verified.code
    assert [True, False, True] == [found["equal"] for found in verified.json["targets"]]
    assert 0 == one.code
    assert "south" not in one.stdout
    assert 2 == nobody.code


def test_holds_are_released_one_by_one(servers: Servers) -> None:
    """A hold is released at one server alone; the others keep what they have until they are named, too."""
    pair = servers.pair
    build(pair.source, {"kept": "1", **SMALL})
    client = servers.client(guard_max_delete_count=5)
    for path in SMALL:
        os.unlink(pair.source / path)
    until(lambda: all(one["holds"] for one in client.status()["targets"]), "held everywhere")
    hold = client.status()["targets"][0]["holds"][0]["id"]
    client.command("approve", hold, "--target", "south")
    servers.wait_until_equal("south")
    others = [len(os.listdir(root / "d")) for root in servers.roots("north", "west")]
    released = client.command("approve", hold)
    servers.wait_until_equal()

    assert [len(SMALL), len(SMALL)] == others
    assert f"released {2 * len(SMALL)} paths" in released.stdout


def test_renames_at_each(servers: Servers) -> None:
    """A directory that is renamed is renamed at each server, and nothing of it is sent; so it is at one that is late.

    One that stood still for long, on a busy machine, may have lost its session: then small files come anew.
    """
    pair = servers.pair
    build(pair.source, SMALL)
    client = servers.client()
    servers.by_name["west"].signal(signal.SIGSTOP)
    try:
        os.rename(pair.source / "d", pair.source / "e")
        servers.wait_until_equal("north", "south")
    finally:
        servers.by_name["west"].signal(signal.SIGCONT)
    servers.wait_until_equal()
    until(lambda: all(in_sync(client).values()), "in sync everywhere")
    samples = client.metrics()

    stayed = [name for name in NAMES if not samples.value("dirsync_reconnects_total", target=name)]
    assert {"north", "south"} <= set(stayed)
    for name in stayed:
        assert len(SMALL) == samples.value("dirsync_files_transferred_total", target=name, strategy="rename")


def test_the_same_replica_twice(pair: Pair) -> None:
    """Two names that lead to one replica are refused by name, before each ends the session of the other for ever."""
    server = pair.server()
    host, port = server.address.split(":")
    result = pair.once(server=f"a={server.address},b=dns:///{host}:{port}")

    assert 1 <= result.code <= 2
    assert any("lead to the same replica" in line for line in result.messages)


def test_an_upgrade(servers: Servers) -> None:
    """A client that had one server without a name keeps what it had agreed on when the server gets a name."""
    pair = servers.pair
    build(pair.source, SMALL)
    assert 0 == pair.once(server=servers.by_name["north"].address).code
    for path in [*SMALL][1:]:
        os.unlink(pair.source / path)
    result = pair.once("--json", server=servers.setting, guard_max_delete_percent=100)

    assert 0 == result.code
    servers.wait_until_equal()


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"mode": "two-way", "server": "a=127.0.0.1:1,b=127.0.0.1:2"}, "MODE=two-way goes with one server"),
        ({"server": "a=127.0.0.1:1,b=127.0.0.1:1"}, "are both the namespace default at 127.0.0.1:1"),
        ({"server": "127.0.0.1:1,127.0.0.1:1"}, "127.0.0.1:1 is there twice"),
        ({"server": "127.0.0.1:1,"}, "an item of the list is empty"),
        ({"server": "a=127.0.0.1:1", "namespace": "b=one"}, "NAMESPACE names b, which SERVER does not: they are a"),
        ({"token_file": "b=token"}, "TOKEN_FILE names b, which SERVER does not: it has one target, without a name"),
    ],
)
def test_refused(pair: Pair, settings: dict[str, Any], problem: str) -> None:
    """A list that cannot be obeyed is refused in one line, with the setting."""
    result = pair.once(**settings)

    assert 2 == result.code
    assert 1 == len(result.messages)
    assert problem in result.messages[0]
