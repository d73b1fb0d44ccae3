"""Directories that are kept equal both ways, by real programs: one server, and a client for each directory."""

import os
import shutil
from pathlib import Path
from typing import Any

from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import differences, equal

QUICK: dict[str, Any] = {"mode": "two-way", "delete_settle": "50ms"}


class Laptops:
    """Some laptops and a server. Each has a directory, and a client that can be started, stopped and killed."""

    def __init__(self, pair: Pair, count: int) -> None:
        self.pair = pair
        self.names = ["anna", "ben", "carla"][:count]
        self.clients: dict[str, Client] = {}
        self.server: Server = pair.server()
        for name in self.names:
            (pair.place / name).mkdir()

    def at(self, name: str, path: str = "") -> Path:
        """A path in a laptop's directory."""
        return self.pair.place / name / path

    def settings(self, name: str) -> dict[str, Any]:
        """What a laptop's client is told."""
        return {
            **QUICK,
            "source": self.at(name),
            "state_dir": self.pair.place / f"state-{name}",
            "listen": f"127.0.0.1:{free_port()}",
            "client_id": name,
        }

    def start(self, *names: str, **settings: Any) -> None:
        """Start the clients of these laptops, or of all."""
        for name in names or self.names:
            self.clients[name] = self.pair.client(**{**self.settings(name), **settings})

    def once(self, name: str) -> int:
        """One sync of a laptop; its exit status."""
        return self.pair.once(**self.settings(name)).code

    def write(self, name: str, path: str, content: str | bytes) -> None:
        """Write a file as an editor does: beside it, then over it."""
        target = self.at(name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, target)

    def remove(self, name: str, path: str) -> None:
        """Remove a file or a directory."""
        target = self.at(name, path)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    @property
    def places(self) -> list[Path]:
        """All directories that are to be equal."""
        return [*(self.at(name) for name in self.names), self.pair.replica]

    def wait_until_equal(self, seconds: float = 15.0) -> None:
        """Return when all have the same."""
        first, *others = self.places
        until(lambda: all(equal(first, other) for other in others), "all directories equal", seconds=seconds)
        assert [differences(first, other) for other in others] == [[]] * len(others)

    def wait_for(self, name: str, path: str, content: str | bytes | None) -> None:
        """Return when a laptop has this content there; ``None``: nothing."""
        wanted = content.encode() if isinstance(content, str) else content
        until(lambda: _content(self.at(name, path)) == wanted, f"{path} at {name}")

    def conflicts(self) -> list[str]:
        """The conflict names that there are at the server."""
        found = [path for path in self.pair.replica.rglob("*") if ".conflict-" in path.name]
        return sorted(str(path.relative_to(self.pair.replica)) for path in found)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
