"""One server for all tests of a module that talk to it by hand; each test works in a directory of its own."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import batch, commit, make_directory
from tests.support.peers.wire import OK, Push, Wire
from tests.support.running.programs import Pair, Server

_areas = itertools.count(1)


class Bench(NamedTuple):
    """A session on the server, its push stream, and a new directory of the replica to work in."""

    server: Server
    wire: Wire
    session: pb.OpenSessionResponse
    push: Push
    name: bytes
    """The directory's path in the replica."""
    place: Path
    """The directory on disk."""

    def at(self, name: bytes | str) -> bytes:
        """The path of a name in the directory."""
        return self.name + b"/" + (name.encode() if isinstance(name, str) else name)

    def settle(self, *messages: pb.PushChangesRequest, rescan: bool = False) -> pb.PushChangesResponse:
        """Send messages and a commit, and read its answer."""
        return self.push.send(*messages, commit(rescan=rescan)).receive()

    def apply(self, *operations: pb.Operation) -> list[pb.Failure]:
        """Send operations and a commit. Returns those that were not applied."""
        return list(self.settle(batch(*operations)).failures)

    def end(self) -> None:
        """End the stream, which must end well, and the session."""
        status = self.push.finish()[1]
        self.wire.close_session(self.session.session_id)

        assert OK == status


@contextmanager
def faultless(place: Path) -> Iterator[Server]:
    """A server; it must live to the end and have nothing to complain of."""
    pair = Pair(place)
    yield pair.server(min_free_bytes=0)
    wrong = pair.end()

    assert wrong == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the module."""
    with faultless(tmp_path_factory.mktemp("pair")) as server:
        yield server


@pytest.fixture(scope="module")
def wire(server: Server) -> Iterator[Wire]:
    """A raw peer of the module's server."""
    with Wire(server.address) as wire:
        yield wire


@pytest.fixture
def open_bench(server: Server, wire: Wire) -> Callable[..., Bench]:
    """Opens a bench; keyword arguments are those of ``Wire.open_session``."""

    def open_one(**options: object) -> Bench:
        session = wire.open_session(**options)  # type: ignore[arg-type]
        push = wire.push(session.session_id)
        name = b"area-%d" % next(_areas)
        bench = Bench(server, wire, session, push, name, server.root / name.decode())
        made = push.send(batch(make_directory(1, name)), commit()).receive()

        assert [] == list(made.failures)
        return bench

    return open_one


@pytest.fixture
def bench(open_bench: Callable[..., Bench]) -> Iterator[Bench]:
    """A bench whose stream must end well; numbers of operations start at 2."""
    bench = open_bench()
    yield bench
    bench.end()
