"""Connections that do not live for ever: with an age, cut when idle, and with certificates at each end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.scale.conftest import NAMES, Fleet
from tests.support.running.cluster import Cluster
from tests.support.running.envoy import Envoy
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs
NAME = NAMES[0]


def test_a_connection_that_has_to_end_is_followed_by_another(pair: Pair) -> None:
    """A server tells its clients to go (GOAWAY) whose connections are old; each change arrives all the same."""
    server = pair.server(max_connection_age="1s")
    client = pair.client()
    for number in range(8):
        (pair.source / f"{number}").write_bytes(b"%d" % number)
        until((pair.replica / f"{number}").exists, f"{number} arrives")
        time.sleep(2)
    client.wait_until_in_sync()

    assert 1 < len(server.log.all("session.opened"))
    assert [] == [event for event in client.log.events if event["level"] in ("error", "critical")]


def test_connections_behind_a_proxy_may_end_too(tmp_path: Path) -> None:
    """The server tells Envoy to go; it takes another connection, and a push stream that is cut off is opened again."""
    cluster = Cluster(tmp_path / "cluster", [NAME], shared=True, max_connection_age="1s")
    port = free_port()
    cluster.server(listen=f"127.0.0.1:{port}")
    envoy = Envoy(tmp_path / "envoy", "shared.yaml", [port])
    envoy.show(0)
    client = cluster.client(NAME, envoy.address)
    for number in range(8):
        (cluster.source(NAME) / f"{number}").write_bytes(b"%d" % number)
        until((cluster.root(NAME) / f"{number}").exists, f"{number} arrives")
        time.sleep(2)
    client.wait_until_in_sync()
    errors = [event for event in client.log.events if event["level"] in ("error", "critical")]
    wrong = [*cluster.end(), *envoy.end()]

    assert ([], []) == (errors, wrong)


def test_a_middlebox_may_cut_what_is_idle(tmp_path: Path) -> None:
    """Something in the middle cuts a connection after ten silent seconds; the next change arrives as soon as ever."""
    fleet = Fleet(tmp_path, shared=True, servers=1, spare=0, idle="10s")
    fleet.clients_of(NAME)
    for number in range(2):
        time.sleep(12)
        fleet.change(NAME, f"{number}", b"after the silence", seconds=5)
    fleet.clients[NAME].wait_until_in_sync()
    errors = fleet.errors()
    wrong = fleet.end()

    assert ([], []) == (errors, wrong)


@contextmanager
def certificates(place: Path) -> Iterator[Path]:
    """A directory with an authority and a certificate for both ends, under the names that the proxy knows."""
    place.mkdir()
    authority = trustme.CA()
    leaf = authority.issue_cert("dirsync-server", "localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(place / "ca.crt"))
    leaf.private_key_pem.write_to_path(str(place / "tls.key"))
    leaf.cert_chain_pems[0].write_to_path(str(place / "tls.crt"))
    (place / "tls.key").chmod(0o600)
    yield place


def test_certificates_at_each_end(tmp_path: Path) -> None:
    """Client and proxy show each other certificates, as do proxy and server; who shows none gets nowhere."""
    with certificates(tmp_path / "tls") as tls:
        own: dict[str, Any] = {"tls_cert_file": tls / "tls.crt", "tls_key_file": tls / "tls.key"}
        cluster = Cluster(tmp_path / "cluster", NAMES[:2], shared=True, **own, tls_client_ca_file=tls / "ca.crt")
        port = free_port()
        cluster.server(listen=f"127.0.0.1:{port}")
        envoy = Envoy(tmp_path / "envoy", "shared.yaml", [port], tls=tls)
        envoy.show(0)
        (cluster.source(NAME) / "a").write_bytes(b"sealed")
        client = cluster.client(NAME, envoy.address, tls_ca_file=tls / "ca.crt", **own)
        client.wait_until_in_sync()
        stranger = cluster.client(NAMES[1], envoy.address, synced=False, tls_ca_file=tls / "ca.crt")
        stranger.wait_for("connection.lost")
        mirrored = (cluster.root(NAME) / "a").read_bytes()
        let_in = stranger.log.all("sync.completed")
        wrong = [*cluster.end(), *envoy.end()]

    assert b"sealed" == mirrored
    assert ([], []) == (let_in, wrong)
