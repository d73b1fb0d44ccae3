"""Several servers as real processes, with the same namespaces: on one shared volume, or on a volume each."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Process, Server, Service, Setting
from tests.support.running.waiting import until


class Cluster:
    """Servers, and clients with a source each; whatever runs at the end is stopped, clients first."""

    def __init__(self, place: Path, namespaces: Iterable[str], *, shared: bool, **settings: Setting) -> None:
        """``settings`` are those of each server. The token of a namespace is its name, repeated to a decent length."""
        self.place = place
        self.shared = shared
        self._namespaces = tuple(namespaces)
        self._settings = settings
        self._started: list[Process] = []
        self._servers = 0
        place.mkdir(parents=True, exist_ok=True)

    def root(self, namespace: str, number: int = 0) -> Path:
        """Where a server has its replica."""
        return self.place / ("volume" if self.shared else f"volume-{number}") / namespace

    def server(self, *, number: int | None = None, **settings: Setting) -> Server:
        """Start one more server, or one again, which is ready when this returns."""
        if number is None:
            number, self._servers = self._servers, self._servers + 1
        own: dict[str, Setting] = {
            "listen": f"127.0.0.1:{free_port()}",
            "metrics_listen": f"127.0.0.1:{free_port()}",
            "state_dir": self.place / f"server-{number}",
            "tenants_file": self._tenants(number),
            "fsync": "never",
            "min_free_bytes": 0,
            **({"storage": "shared"} if self.shared else {"namespace_idle": "30s"}),
            **self._settings,
            **settings,
        }
        server = Server(Service.SERVER, "serve", own, self.place)
        self._started.append(server)
        server.log.wait_for("server.started")
        until(lambda: server.get("/readyz").status == 200, "the server is ready")
        return server

    def client(self, namespace: str, address: str, *, synced: bool = True, **settings: Setting) -> Client:
        """Start the client of a namespace; its source is made if it is missing."""
        own: dict[str, Setting] = {
            "listen": f"127.0.0.1:{free_port()}",
            "metrics_listen": "127.0.0.1:0",
            "source": self.source(namespace),
            "state_dir": self.place / f"client-{namespace}",
            "server": address,
            "namespace": namespace,
            "token_file": self.token(namespace),
            **settings,
        }
        client = Client(Service.CLIENT, "run", own, self.place)
        self._started.append(client)
        if synced:
            client.wait_for("sync.completed", seconds=30)
        return client

    def source(self, namespace: str) -> Path:
        """The source of a namespace's client."""
        source = self.place / "sources" / namespace
        source.mkdir(parents=True, exist_ok=True)
        return source

    def end(self) -> list[str]:
        """End all programs, clients first; what was wrong with them."""
        order = sorted(self._started, key=lambda process: process.service is Service.SERVER)
        return [line for process in order for line in process.end()]

    def token(self, namespace: str) -> Path:
        """A file with the token of a namespace."""
        path = self.place / f"token-{namespace}"
        path.write_text(token_of(namespace))
        path.chmod(0o600)
        return path

    def _tenants(self, number: int) -> Path:
        path = self.place / ("tenants.toml" if self.shared else f"tenants-{number}.toml")
        tables = [
            f"[namespaces.{name}]\n"
            f'root = "{self.root(name, number)}"\n'
            f'tokens_sha256 = ["{hashlib.sha256(token_of(name).encode()).hexdigest()}"]\n'
            for name in self._namespaces
        ]
        path.write_text("\n".join(tables))
        return path


def token_of(namespace: str) -> str:
    """The token of a namespace."""
    return f"token-of-{namespace}"
