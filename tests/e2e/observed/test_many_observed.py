"""What is shown does not grow with what is mirrored: many paths, many peers, many problems."""

import re

import pytest

from tests.support.peers.wire import Wire
from tests.support.running.metrics import Samples
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs

PATHS = 10_000
PEERS = 100
PROBLEMS = 15_000
"""More than status lists. A hundred thousand are in tests/unit/client/report/test_flood.py."""
OPENED = {
    "grpc_type": "unary",
    "grpc_service": "dirsync.v1.SyncService",
    "grpc_method": "OpenSession",
    "grpc_code": "OK",
}
NAMED = re.compile(r"(?:path|peer)\d")
"""The names that the paths and peers of these tests have."""
KIB = 1024


def make_files(pair: Pair, number: int) -> None:
    """So many files of two bytes, a hundred in a directory."""
    for start in range(0, number, 100):
        directory = pair.source / f"dir{start}"
        directory.mkdir()
        for position in range(start, start + 100):
            (directory / f"path{position}").write_bytes(b"xx")


def label_values(samples: Samples) -> set[str]:
    """All values of all labels."""
    return {value for _, labels in samples.keys for _, value in labels}


@pytest.mark.case("L08")
def test_cardinality(pair: Pair) -> None:
    """Ten thousand paths and a hundred peers with names of their own add no series, at the server or the client."""
    server = pair.server()
    make_files(pair, PATHS)
    client = pair.client(synced=False)
    before = server.metrics(), client.metrics()
    client.wait_for("sync.completed", seconds=100)
    after = server.metrics(), client.metrics()
    client.stop()
    refused = set()
    for number in range(PEERS):
        with Wire(server.address, f"token{number}") as wire:
            refused.add(wire.call(f"/peer{number}.Service/Method{number}").status.code)
            refused.add(wire.list(b"session%d" % number, b"path%d" % number).status.code)
            opened = wire.open_session(client_id=f"peer{number}", instance_id=f"peer{number}")
            wire.close_session(opened.session_id)
    at_last = server.metrics()

    assert PATHS < after[0].value("dirsync_entries")
    assert {"UNIMPLEMENTED", "INVALID_ARGUMENT"} == refused
    assert PEERS <= at_last.value("grpc_server_handled_total", **OPENED)
    assert before[0].keys == at_last.keys
    assert [samples.keys for samples in before] == [samples.keys for samples in after]
    assert [] == [value for samples in (*after, at_last) for value in label_values(samples) if NAMED.search(value)]


def _with_all(client: Client) -> str:
    """What ``status`` prints, if it counts all problems just now."""
    shown = client.command("status").stdout
    return shown if f"and {PROBLEMS - 20} more" in shown else ""


@pytest.mark.case("L09")
def test_problems(pair: Pair) -> None:
    """Many files that the server refuses, all at once: counted everywhere, and told in few lines."""
    pair.server(max_file_size=1)
    make_files(pair, PROBLEMS)
    client = pair.client(synced=False)
    before = client.metrics().keys
    client.wait_for("sync.completed", seconds=90)
    until(lambda: client.metrics().value("dirsync_problems", kind="limit") == PROBLEMS, "all are counted", seconds=60)
    # A path that is tried again has no problem at that moment.
    until(lambda: client.status()["problem_count"] == PROBLEMS, "status counts all of them", seconds=60)
    shown = until(lambda: _with_all(client), "and so does what people read", seconds=60)
    told = client.log.all("file.problem")

    assert before == client.metrics().keys
    assert len(shown.splitlines()) < 60
    assert 20 <= len(told) <= 60
    assert 200 * KIB > sum(len(str(event)) for event in client.log.events)
