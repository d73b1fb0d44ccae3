"""Messages that are large, or small and large once they are parsed or unpacked: refused, and they cost next to nothing.

What they cost is the most memory that the server ever had, and the time that its threads computed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message

from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.hostile import hostile_server
from tests.support.peers.http2 import END_STREAM, Kind, Peer, frame, message
from tests.support.peers.malformed.bombs import MIB, compressed_zeros, parse_bombs
from tests.support.peers.operations import batch, digest, make_directory
from tests.support.peers.serving import faultless
from tests.support.peers.wire import OK, REPLICA, SYNC, Wire, stream_open
from tests.support.running.programs import Pair, Process, Server
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs

FLAT_KIB = 64 * 1024
"""What the worst of these messages may cost at a time, a sixteenth of what it stands for."""
SESSION = bytes(16)
REQUESTS: dict[str, Message] = {
    SYNC + "OpenSession": pb.OpenSessionRequest(
        protocol_version=1,
        namespace="default",
        client_id="tester",
        instance_id="first",
        options=entry_pb2.TreeOptions(),
    ),
    SYNC + "ListDirectories": pb.ListDirectoriesRequest(session_id=SESSION),
    SYNC + "GetSignature": pb.GetSignatureRequest(session_id=SESSION, digest=digest(b""), block_size=4096),
    SYNC + "PushChanges": batch(make_directory(1, b"d")),
    SYNC + "WatchReplica": pb.WatchReplicaRequest(session_id=SESSION),
    SYNC + "ReadContent": pb.ReadContentRequest(session_id=SESSION, digest=digest(b"")),
    SYNC + "CloseSession": pb.CloseSessionRequest(session_id=SESSION),
    REPLICA + "GetStatus": rpb.ReplicaServiceGetStatusRequest(namespace="default"),
    REPLICA + "ListEntries": rpb.ListEntriesRequest(namespace="default"),
    REPLICA + "StatEntry": rpb.StatEntryRequest(namespace="default"),
    REPLICA + "VerifyContent": rpb.VerifyContentRequest(namespace="default"),
}
"""A request that is right for each method; fields that are added to it are read as its own."""
REFUSED = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "NOT_FOUND"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, because what it costs is measured."""
    with faultless(tmp_path_factory.mktemp("pair")) as server:
        yield server


def peak_kib(process: Process) -> int:
    """The most memory that it has had, in KiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def computed_seconds(process: Process) -> float:
    """How long all of its threads have computed."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.case("I03")
@pytest.mark.parametrize("method", REQUESTS)
def test_fields(server: Server, wire: Wire, method: str) -> None:
    """A message of as many empty fields of any kind as fit is refused, or means little; parsing it costs little too."""
    request = REQUESTS[method]
    opening = [stream_open(wire.open_session().session_id)] if method.endswith("PushChanges") else []
    wire.stream(method, [*opening, request])
    memory, computed = peak_kib(server), computed_seconds(server)
    statuses = {}
    for name, bomb in parse_bombs(request.DESCRIPTOR):
        statuses[name] = wire.stream(method, [*opening, request.SerializeToString() + bomb]).status
        if opening:
            opening = [stream_open(wire.open_session().session_id)]
    allowed = REFUSED | {"OK"}

    assert {} == {name: status for name, status in statuses.items() if status.code not in allowed}
    assert peak_kib(server) - memory < FLAT_KIB
    # A second for each is a hundred times what it takes; what is quadratic takes a thousand.
    assert computed_seconds(server) - computed < len(statuses)


@pytest.mark.case("I01")
@pytest.mark.parametrize("method", REQUESTS)
def test_message_above_the_limit(server: Server, wire: Wire, method: str) -> None:
    """A message of 16 MiB is refused by its size, before it is taken into memory."""
    memory = peak_kib(server)

    assert "RESOURCE_EXHAUSTED" == wire.call(method, bytes(16 * MIB)).status.code
    assert peak_kib(server) - memory < 8 * 1024


@pytest.mark.case("I02")
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_message(server: Server, wire: Wire, encoding: str) -> None:
    """Half a gigabyte of zeros, compressed as gRPC allows it, is refused while it is unpacked."""
    bomb = message(compressed_zeros(encoding, 512 * MIB), compressed=True)
    memory = peak_kib(server)
    with Peer(server.address) as peer:
        streams = {peer.headers(method, [("grpc-encoding", encoding)]) for method in REQUESTS}
        for stream in sorted(streams):
            for at in range(0, len(bomb), 1 << 14):
                last = at + (1 << 14) >= len(bomb)
                peer.send(frame(Kind.DATA, bomb[at : at + (1 << 14)], flags=END_STREAM if last else 0, stream=stream))
        until(lambda: streams <= peer.ended, "a refusal of each")

    assert len(bomb) < MIB
    assert peak_kib(server) - memory < FLAT_KIB
    assert OK == wire.call(REPLICA + "GetStatus", REQUESTS[REPLICA + "GetStatus"]).status


@pytest.mark.case("I01", "I02")
def test_hostile_server(tmp_path: Path) -> None:
    """A client is not filled by its server either: what is too large ends the attempt, and it tries again later."""
    pair = Pair(tmp_path)
    with hostile_server({"SyncService/OpenSession": lambda _: [bytes(64 * MIB)]}) as address:
        client = pair.client(synced=False, server=address)
        client.wait_for("connection.lost")
        memory = peak_kib(client)
        client.wait_for("connection.lost", since=client.log.mark())

        assert peak_kib(client) - memory < 16 * 1024
        assert pair.end() == []
