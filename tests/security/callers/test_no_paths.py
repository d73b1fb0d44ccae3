"""What a server reports to its peers about failures on its machine: everything but the paths of its files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.descriptors import REPLICA_SERVICE, SYNC_SERVICE, methods
from tests.support.peers.operations import batch, commit, put
from tests.support.peers.tenants import World
from tests.support.peers.wire import REPLICA, Wire
from tests.support.running.programs import Pair

if TYPE_CHECKING:
    from google.protobuf.message import Message


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


SHOWN_NEVER = ("Traceback", 'File "', ".py", "/home/", "site-packages")


@pytest.mark.case("I29")
def test_every_refusal(world: World) -> None:
    """Whatever a tenant asks for wrongly, no answer has a path of the machine, another tenant or a stack in it."""
    wrong: dict[str, bytes | Message] = {
        "garbage": b"\xff\x00garbage",
        "empty": b"",
        "session": pb.ListDirectoriesRequest(session_id=b"nobody", paths=[b"../../etc"]),
        "path": rpb.StatEntryRequest(namespace="red", path=b"/etc/passwd"),
        "missing": rpb.StatEntryRequest(namespace="red", path=b"missing"),
        "list": rpb.ListEntriesRequest(namespace="red", path=b"missing"),
        "options": pb.OpenSessionRequest(protocol_version=1, namespace="red"),
        "version": pb.OpenSessionRequest(protocol_version=99, namespace="red", client_id="c", instance_id="i"),
    }
    paths = [method.path for service in (SYNC_SERVICE, REPLICA_SERVICE) for method in methods(service)]
    answers = {}
    with Wire(world.server.address, "red") as wire:
        session_id = wire.open_session(namespace="red").session_id
        for number, step in enumerate((put(1, b"../up", b"x"), put(1, b"/abs", b"x"), put(1, b"no/parent/x", b"x"))):
            results, answers["push", str(number)] = wire.push(session_id).send(batch(step), commit()).finish()
            said = b"".join(result.SerializeToString() for result in results)
            assert not any(word.encode() in said for word in (*SHOWN_NEVER, str(world.place), "blue"))
        wire.close_session(session_id)
        for path in (*paths, "/dirsync.v1.SyncService/Nothing", "/grpc.health.v1.Health/Check", "/no.Thing/Nowhere"):
            for kind, request in wrong.items():
                answers[path, kind] = wire.call(path, request).status
    refused = [answer for answer in answers.values() if answer.code != "OK"]
    shown = [f"{answer.message} {answer.details!r}" for answer in refused]

    assert len(answers) // 2 < len(refused)
    assert [] == [text for text in shown for word in (*SHOWN_NEVER, str(world.place), "blue") if word in text]
