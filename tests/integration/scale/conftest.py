"""Servers behind a real Envoy, and what clients notice of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running.cluster import Cluster
from tests.support.running.envoy import Envoy
from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Server, Setting
from tests.support.running.waiting import until

NAMES = tuple(f"project-{number}" for number in range(6))
IN_SYNC_SECONDS = 30.0
"""How long a client may take to be in sync again after its server was lost."""


class Fleet:
    """Servers with ports of their own, an Envoy that knows them all, and a client for each namespace."""

    def __init__(self, place: Path, *, shared: bool, servers: int = 3, spare: int = 1, idle: str = "") -> None:
        """``spare`` servers are known to Envoy and not started."""
        lease = {"lease": "2s"} if shared else {}
        self.cluster = Cluster(place / "cluster", NAMES, shared=shared, **lease)
        self.ports = [free_port() for _ in range(servers + spare)]
        self.servers = [self._start(number) for number in range(servers)]
        self.envoy = Envoy(place / "envoy", "shared.yaml" if shared else "own.yaml", self.ports, idle=idle)
        self.envoy.show(*range(servers))
        self.clients: dict[str, Client] = {}

    def _start(self, number: int, **settings: Setting) -> Server:
        return self.cluster.server(number=number, listen=f"127.0.0.1:{self.ports[number]}", **settings)

    def start(self, number: int) -> None:
        """Start a server that was stopped, or that is new; returns when it is ready."""
        server = self._start(number)
        self.servers[number:] = [server, *self.servers[number + 1 :]]

    def clients_of(self, *names: str) -> None:
        """Start the clients of these namespaces, each with a file, and wait until all are in sync."""
        for name in names:
            (self.cluster.source(name) / "first").write_bytes(name.encode() * 1000)
            self.clients[name] = self.cluster.client(name, self.envoy.address, synced=False)
        for client in self.clients.values():
            client.wait_for("sync.completed", seconds=40)

    def owner(self, name: str) -> int:
        """The server that has a namespace open; fails the test unless it is exactly one."""
        owners = [number for number, server in enumerate(self.servers) if not server.ended and self._has(server, name)]

        assert 1 == len(owners), (name, owners)
        return owners[0]

    @staticmethod
    def _has(server: Server, name: str) -> bool:
        opened = len(server.log.all("namespace.opened", namespace=name))
        return opened > len(server.log.all("namespace.closed", namespace=name))

    def roots(self, name: str) -> list[Path]:
        """Where copies of a namespace can be."""
        count = 1 if self.cluster.shared else len(self.ports)
        return [self.cluster.root(name, number) for number in range(count)]

    def change(self, name: str, path: str, content: bytes, *, seconds: float = IN_SYNC_SECONDS) -> None:
        """Write a file into a namespace's source, and wait until its server has it."""
        (self.cluster.source(name) / path).write_bytes(content)
        until(lambda: self.arrived(name, path, content), f"{path} of {name} arrives", seconds=seconds)

    def arrived(self, name: str, path: str, content: bytes) -> bool:
        """Whether a copy has a file with this content."""
        files = [root / path for root in self.roots(name)]
        return any(file.exists() and file.read_bytes() == content for file in files)

    def errors(self) -> list[str]:
        """What users would see: problems, holds, and errors in the logs of clients."""
        bad = []
        for name, client in self.clients.items():
            status = client.status()
            bad += [f"{name}: {status[key]}" for key in ("problems", "holds") if status.get(key)]
            bad += [f"{name}: {event}" for event in client.log.events if event["level"] in ("error", "critical")]
        return bad

    def end(self) -> list[str]:
        """Stop everything; what was wrong."""
        return [*self.cluster.end(), *self.envoy.end()]


@pytest.fixture
def shared_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Three servers on one volume."""
    fleet = Fleet(tmp_path, shared=True)
    yield fleet
    wrong = fleet.end()

    assert wrong == []


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Three servers with a volume each."""
    fleet = Fleet(tmp_path, shared=False)
    yield fleet
    wrong = fleet.end()

    assert wrong == []
