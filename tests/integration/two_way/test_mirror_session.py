"""What a whole mirror session has on the wire: nothing that is there for both directions."""

import shutil
from functools import partial

import pytest

from tests.support.outside.recording import recording
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal

pytestmark = pytest.mark.programs

METHODS = {"WatchReplica", "ReadContent"}
FIELDS = {"dirsync.v1.OpenSessionRequest.mode", "dirsync.v1.OpenSessionResponse.mode"}
SPEC: dict[str, str | bytes] = {
    **{f"d{number % 3}/{number}": f"{number}\n" * 100 for number in range(30)},
    "large": b"large" * 300_000,
    "later": "1",
}


def work(pair: Pair, mode: str) -> tuple[set[str], set[str], dict[str, float]]:
    """A first sync, an edit at each side that may be edited, a move and removals, and an end.

    Returns:
        The methods that were called, the fields that messages had, and the server's count of ended calls by method.
    """
    server = pair.server()
    build(pair.source, SPEC)
    with recording(server.address) as (address, seen):
        client = pair.client(server=address, mode=mode, delete_settle="50ms")
        equal_now = partial(equal, pair.source, pair.replica)
        until(equal_now, "first sync")
        with (pair.source / "large").open("r+b") as file:
            file.seek(500_000)
            file.write(b"edited")
        if mode == "two-way":
            (pair.replica / "there").write_text("by hand")
            until((pair.source / "there").exists, "received")
        (pair.source / "d0/0").rename(pair.source / "moved")
        (pair.source / "later").unlink()
        shutil.rmtree(pair.source / "d1")
        until(equal_now, "all carried over")
        client.stop()
        counted = dict(server.metrics().sums("grpc_server_handled_total", "grpc_method"))
    return set(seen.calls), set(seen.fields), counted


def test_mirror(pair: Pair) -> None:
    """No call of a method, and no field, that only two-way sessions use, and no field that is not in the contract."""
    calls, fields, counted = work(pair, "mirror")

    assert {"OpenSession", "PushChanges", "CloseSession"} <= calls
    assert set() == calls & METHODS
    assert dict.fromkeys(METHODS, 0) == {method: counted.get(method, 0) for method in METHODS}
    assert {"dirsync.v1.OpenSessionRequest.client_id", "dirsync.v1.Operation.delete"} <= fields
    assert set() == fields & FIELDS
    assert [] == [field for field in fields if "?" in field]


def test_two_way(pair: Pair) -> None:
    """The same work in both directions uses them all, so they are seen where they pass."""
    calls, fields, counted = work(pair, "two-way")

    assert METHODS <= calls
    assert METHODS <= {method for method, count in counted.items() if count}
    assert FIELDS <= fields
