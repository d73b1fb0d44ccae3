"""A server with two tenants, ``red`` and ``blue``, and the file that says who they are; tests change it as it runs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.peers.operations import commit
from tests.support.peers.wire import Push, Wire
from tests.support.running.programs import Pair, Server


class File:
    """The tenants file; every change of it is a swap, as an orchestrator makes it."""

    def __init__(self, place: Path) -> None:
        self.path = place / "tenants.toml"
        self._place = place
        self._tables: dict[str, str] = {}

    def say(self, name: str, *lines: str, tokens: tuple[str, ...] | None = None) -> "File":
        """Set the table of a namespace, with its own name as its token unless others are given."""
        digests = ", ".join(f'"{hashlib.sha256(token.encode()).hexdigest()}"' for token in tokens or (name,))
        head = [f"[namespaces.{name}]", f'root = "{self._place / name}"', f"tokens_sha256 = [{digests}]"]
        self._tables[name] = "\n".join([*head, *lines, ""])
        return self.write()

    def drop(self, name: str) -> "File":
        """Leave a namespace out."""
        del self._tables[name]
        return self.write()

    def write(self, text: str | None = None) -> "File":
        """Write what was said, or something else."""
        fresh = self.path.with_name("fresh")
        fresh.write_text("".join(self._tables.values()) if text is None else text)
        fresh.rename(self.path)
        return self

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Afterwards it says again what it says now."""
        before = dict(self._tables)
        yield
        self._tables = before
        self.write()


class World(NamedTuple):
    """A server with the tenants ``red`` and ``blue``."""

    server: Server
    file: File
    place: Path


@pytest.fixture(scope="module")
def lasting_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server of a module."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    file = File(pair.place).say("red").say("blue", 'permissions = "fixed"', 'file_mode = "0640"', 'dir_mode = "0750"')
    server = pair.server(tenants_file=file.path, min_free_bytes=0)
    for name in ("red", "blue"):
        server.log.wait_for("rescan.completed", namespace=name)
    yield World(server, file, pair.place)
    wrong = pair.end()

    assert wrong == []


@pytest.fixture
def world(lasting_world: World) -> Iterator[World]:
    """The same for one test, which leaves the tenants file as it was."""
    with lasting_world.file.restored():
        yield lasting_world


def open_push(wire: Wire, namespace: str) -> tuple[bytes, Push]:
    """A session and its push stream, which has had an answer."""
    session_id = wire.open_session(namespace=namespace).session_id
    push = wire.push(session_id)
    push.send(commit()).receive()
    return session_id, push
