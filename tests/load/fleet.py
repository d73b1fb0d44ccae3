"""Servers behind Envoy and processes of clients, for a load: started, measured, and ended."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.outside.manifests import REPOSITORY
from tests.support.running.cluster import Cluster
from tests.support.running.envoy import Envoy
from tests.support.running.figures import cpu_seconds, descriptors, resident_kib
from tests.support.running.ports import free_port
from tests.support.running.programs import Server, Service, environment


class Figures(NamedTuple):
    """What a server takes now."""

    cpu_seconds: float
    resident_kib: int
    descriptors: int
    threads: int
    sessions: int
    received_bytes: float
    literal_bytes: float


class Load(NamedTuple):
    """What the load is."""

    clients: int
    servers: int
    processes: int
    shared: bool
    fsync: str
    watch: str = "auto"
    """WATCH of the clients."""


class Fleet:
    """One load from its start to :meth:`end`."""

    def __init__(self, place: Path, load: Load) -> None:
        names = [f"client-{number}" for number in range(load.clients)]
        self.cluster = Cluster(place / "cluster", names, shared=load.shared, fsync=load.fsync, max_sessions=1024)
        self.ports = [free_port() for _ in range(load.servers)]
        self.servers = [self._start(number) for number in range(load.servers)]
        self.envoy = Envoy(place / "envoy", "shared.yaml" if load.shared else "own.yaml", self.ports)
        self.envoy.show(*range(load.servers))
        per_process = [names[number :: load.processes] for number in range(load.processes)]
        self.watch = load.watch
        self.processes = [Clients(self, part) for part in per_process if part]

    def _start(self, number: int) -> Server:
        return self.cluster.server(number=number, listen=f"127.0.0.1:{self.ports[number]}")

    def roots(self, name: str) -> list[Path]:
        """Where the replica of a namespace can be."""
        return [self.cluster.root(name, number) for number in range(1 if self.cluster.shared else len(self.ports))]

    def figures(self) -> list[Figures | None]:
        """Those of each server; ``None`` for one that has ended."""
        return [None if server.ended else _figures(server) for server in self.servers]

    def kill(self, number: int) -> None:
        """End a server without notice."""
        self.servers[number].kill()

    def ask(self, request: dict[str, Any]) -> None:
        """Ask all processes of clients the same."""
        for process in self.processes:
            process.ask(request)

    def answers(self) -> list[dict[str, Any]]:
        """What all of them answer."""
        return [process.answer() for process in self.processes]

    def differences(self) -> list[str]:
        """Files that are not the same at both sides; of several copies one has to be the same."""
        return [
            f"{name}/{path.name}"
            for process in self.processes
            for name in process.names
            for path in self.cluster.source(name).iterdir()
            if not any(_same(path, root / path.name) for root in self.roots(name))
        ]

    def end(self) -> list[str]:
        """End all; what was wrong."""
        for process in self.processes:
            process.end()
        return [*self.cluster.end(), *self.envoy.end()]


class Clients:
    """A process of clients."""

    def __init__(self, fleet: Fleet, names: Iterable[str]) -> None:
        self.names = tuple(names)
        settings = [
            {
                "source": str(fleet.cluster.source(name)),
                "state_dir": str(fleet.cluster.place / f"state-{name}"),
                "server": fleet.envoy.address,
                "namespace": name,
                "watch": fleet.watch,
                "token_file": str(fleet.cluster.token(name)),
            }
            for name in self.names
        ]
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.load.clients"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=environment(Service.CLIENT, {}) | {"PYTHONPATH": str(REPOSITORY)},
            text=True,
        )
        self.pid = self._popen.pid
        # With volumes of their own the replica is on one of them: the first client to arrive tells which.
        self.ask({"clients": settings, "roots": [[str(root) for root in fleet.roots(name)] for name in self.names]})

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(request) + "\n")
        self._popen.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The answer to the next one."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, "a process of clients has ended; its stderr says why"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End it."""
        with suppress(OSError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()
        try:
            self._popen.wait(60)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()


def _figures(server: Server) -> Figures:
    samples = server.metrics()
    return Figures(
        cpu_seconds(server.pid),
        resident_kib(server.pid),
        descriptors(server.pid),
        len(os.listdir(f"/proc/{server.pid}/task")),
        int(samples.value("dirsync_sessions")),
        samples.value("dirsync_wire_bytes_total", direction="received"),
        samples.value("dirsync_literal_bytes_total"),
    )


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()
