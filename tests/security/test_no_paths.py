"""What a server reports to its peers about failures on its machine: everything but the paths of its files."""

import os
from pathlib import Path

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.operations import batch, commit, put
from tests.support.programs import Pair
from tests.support.wire import REPLICA, Wire


@pytest.mark.case("I29")
def test_lost_root(tmp_path: Path) -> None:
    """When the replica's directory is replaced under the server, it says so without its path and writes nothing."""
    pair = Pair(tmp_path / "somewhere-secret")
    server = pair.server(min_free_bytes=0)
    with Wire(server.address) as wire:
        session_id = wire.open_session().session_id
        pair.replica.rename(pair.place / "moved")
        pair.replica.mkdir()
        pushed = wire.push(session_id).send(batch(put(1, b"x", b"x")), commit(rescan=True)).finish()
        asked = wire.call(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest())
    wrong = pair.end()

    assert wrong == []
    assert ("RESOURCE_EXHAUSTED", "ROOT_CHANGED", "dirsync") == pushed[1][:3]
    assert b"somewhere-secret" not in pushed[1].details + b"".join(asked.messages)
    assert "is gone or was replaced" in pushed[1].message
    assert [] == os.listdir(pair.replica)


@pytest.mark.case("I29")
def test_failures(tmp_path: Path) -> None:
    """A failure that the replica's file system causes names the path in the replica, not the one on the machine."""
    pair = Pair(tmp_path / "somewhere-secret")
    server = pair.server(min_free_bytes=1 << 60)
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        committed = push.send(batch(put(1, b"x", b"x")), commit()).receive()
        push.finish()
        status = wire.ask(
            REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(), rpb.ReplicaServiceGetStatusResponse
        )
    wrong = pair.end()

    assert wrong == []
    assert ["MIN_FREE_BYTES"] == [failure.reason for failure in committed.failures]
    assert b"somewhere-secret" not in committed.SerializeToString() + status.SerializeToString()
    assert status.not_ready_reason
