"""Servers with a volume each, behind a real Envoy: a namespace stays where it is as long as its server is named."""

import json
import time

import pytest

from tests.integration.scale.conftest import NAMES, Fleet
from tests.support.running.programs import Service, run_command

pytestmark = pytest.mark.programs


def test_a_server_that_is_away_keeps_its_namespaces(own_fleet: Fleet) -> None:
    """Its clients wait for it, and nothing is mirrored anew elsewhere, however long it takes."""
    fleet = own_fleet
    fleet.clients_of(*NAMES)
    owners = {name: fleet.owner(name) for name in NAMES}
    away = owners[NAMES[0]]
    fleet.servers[away].kill()
    time.sleep(8)  # health checks have failed for long
    fleet.start(away)
    for name in NAMES:
        fleet.change(name, "afterwards", b"it is back")
        fleet.clients[name].wait_until_in_sync()

    assert [] == fleet.errors()
    for name in NAMES:
        assert [owners[name]] == [n for n, root in enumerate(fleet.roots(name)) if (root / "first").exists()]


def test_a_namespace_that_moves_leaves_a_copy_that_can_be_dropped(own_fleet: Fleet) -> None:
    """Out of the ring, a server has copies of what was mirrored anew elsewhere; commands list and drop them."""
    fleet = own_fleet
    fleet.clients_of(*NAMES)
    moved = NAMES[0]
    before = fleet.owner(moved)
    fleet.envoy.show(*(number for number in range(3) if number != before))
    fleet.servers[before].stop()
    fleet.change(moved, "afterwards", b"elsewhere")
    fleet.clients[moved].wait_until_in_sync()
    settings, place = fleet.servers[before].settings, fleet.cluster.place
    listed = json.loads(run_command(Service.SERVER, ["namespaces", "--json"], settings, place).stdout)["copies"]
    dropped = run_command(Service.SERVER, ["drop", moved, "--yes"], settings, place)
    copies = [number for number, root in enumerate(fleet.roots(moved)) if root.exists()]

    assert moved in {copy["namespace"] for copy in listed}
    assert 0 == dropped.code
    assert [fleet.owner(moved)] == copies
    assert b"elsewhere" == (fleet.roots(moved)[copies[0]] / "afterwards").read_bytes()
    assert (fleet.roots(moved)[copies[0]] / "first").exists()
    assert [] == fleet.errors()
