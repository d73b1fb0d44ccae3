"""The server's own staging inside a replica cannot be reached by clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.faults.privileges import tmpfs
from tests.support.peers.operations import (
    batch,
    begin,
    commit,
    data,
    delete,
    directory,
    make_directory,
    put,
    put_link,
    seen,
)
from tests.support.peers.wire import OK, REPLICA, Answer, Wire
from tests.support.running.programs import Pair, Server

STAGING = b".dirsync-staging"
OPERATIONS = {
    "put": put(2, STAGING, b"x"),
    "put_below": put(2, STAGING + b"/x", b"x"),
    "put_link": put_link(2, STAGING, b"elsewhere"),
    "make_directory": make_directory(2, STAGING, mode=0o755),
    "make_directory_below": make_directory(2, STAGING + b"/x"),
    "take_over": make_directory(2, STAGING, seen(directory()), mode=0o755),
    "delete": delete(2, STAGING, seen(directory())),
}


@pytest.fixture
def server_in_mount(tmp_path: Path) -> Iterator[Server]:
    """A server whose root is a mount point, so that it has to stage inside."""
    pair = Pair(tmp_path / "pair")
    with tmpfs(pair.replica):
        yield pair.server(min_free_bytes=0)
        wrong = pair.end()

    assert wrong == []


@pytest.mark.privileged
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_out_of_reach(server_in_mount: Server, operation: pb.Operation) -> None:
    """While a file is being staged, an operation on the staging directory or in it is refused by name."""
    with Wire(server_in_mount.address) as wire:
        session = wire.open_session()
        push = wire.push(session.session_id)
        committed = push.send(begin(1, b"large", 10), data(1, b"12345"), batch(operation), commit()).receive()
        listing = wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(recursive=True))
        push.finish()

        assert [STAGING] == list(session.reserved_names)
        assert [(2, "RESERVED")] == [(failure.number, failure.reason) for failure in committed.failures]
        assert Answer([], OK) == listing
