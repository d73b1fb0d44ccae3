"""Servers that share storage, behind a real Envoy: any of them may end, come and go, and no client has to care."""

import time

import pytest

from tests.integration.scale.conftest import IN_SYNC_SECONDS, NAMES, Fleet
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs


def test_a_namespace_has_one_server_and_there_are_several(shared_fleet: Fleet) -> None:
    """All calls about a namespace reach the server that owns it, and the namespaces spread."""
    fleet = shared_fleet
    fleet.clients_of(*NAMES)
    owners = {name: fleet.owner(name) for name in NAMES}
    for name in NAMES:
        fleet.change(name, "second", b"after the first sync")

    assert owners == {name: fleet.owner(name) for name in NAMES}
    assert 1 < len(set(owners.values()))
    assert [] == fleet.errors()


def test_the_clients_of_a_killed_server_go_on_elsewhere(shared_fleet: Fleet) -> None:
    """While all of them write: all are in sync soon, nothing acknowledged is lost, and nothing comes a second time."""
    fleet = shared_fleet
    fleet.clients_of(*NAMES)
    time.sleep(0.5)  # the index writes what it knows some tenths of a second later
    victim = fleet.owner(NAMES[0])
    killed = time.monotonic()
    before = [server.metrics().value("dirsync_literal_bytes_total") for server in fleet.servers]
    for number in range(10):
        for name in NAMES:
            (fleet.cluster.source(name) / f"during-{number}").write_bytes(b"%d" % number * 5000)
        if number == 5:
            fleet.servers[victim].kill()
            killed = time.monotonic()
    for name in NAMES:
        for number in range(10):
            content = b"%d" % number * 5000
            until(
                lambda name=name, number=number, content=content: fleet.arrived(name, f"during-{number}", content),  # type: ignore[misc]
                f"{number} of {name}",
                seconds=IN_SYNC_SECONDS,
            )
        fleet.clients[name].wait_until_in_sync()
    seconds = time.monotonic() - killed
    sent = sum(
        server.metrics().value("dirsync_literal_bytes_total") - before[number]
        for number, server in enumerate(fleet.servers)
        if number != victim
    )
    written = len(NAMES) * 10 * 5000

    assert seconds < IN_SYNC_SECONDS
    assert sent <= written
    assert [] == fleet.errors()


def test_a_rolling_restart_shows_no_error(shared_fleet: Fleet) -> None:
    """One server after the other ends and comes back, while changes go on."""
    fleet = shared_fleet
    fleet.clients_of(*NAMES)
    for number in range(len(fleet.servers)):
        fleet.servers[number].stop()
        for name in NAMES:
            fleet.change(name, f"while-{number}", b"was away")
        fleet.start(number)
        until(lambda: set(fleet.envoy.servers().values()) == {"HEALTHY"}, "it is back in the ring")
    for client in fleet.clients.values():
        client.wait_until_in_sync()

    assert [] == fleet.errors()


def test_servers_come_and_go(shared_fleet: Fleet) -> None:
    """A new server takes some namespaces from the others, and one that leaves the ring hands over all that it has."""
    fleet = shared_fleet
    fleet.clients_of(*NAMES)
    fleet.start(3)
    fleet.envoy.show(0, 1, 2, 3)
    for name in NAMES:
        fleet.change(name, "with-four", b"new server")
    fleet.envoy.show(1, 2, 3)
    for name in NAMES:
        fleet.change(name, "without-first", b"one less")
    fleet.servers[0].stop()
    for name in NAMES:
        fleet.change(name, "without-first", b"it is gone")
        fleet.clients[name].wait_until_in_sync()

    assert 0 not in {fleet.owner(name) for name in NAMES}
    assert [] == fleet.errors()
