"""No message of more than 1 MiB in either direction, whatever a tree is like; a larger one is refused."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.limits import LIMITS, MIB
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import batch, commit, data, delete, file, link, make_directory, put, put_link, seen
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, REPLICA, SYNC, Answer, Wire
from tests.support.running.programs import Pair

MILLION = 1_000_000
ODD = b"\xff\n" * 100
"""A long name of bytes whose readable form is four times as long."""


class Wide(NamedTuple):
    """A server whose replica has a directory of very many names."""

    wire: Wire
    names: set[bytes]


def make_names(root: Path, count: int) -> set[bytes]:
    """Make empty files with long names below ``root``; a million have shorter ones, for the test's own sake."""
    root.mkdir()
    length = 200 if count < MILLION else 20
    names = {(b"n" * length if number % 50 else ODD) + b"%07d" % number for number in range(count)}
    descriptor = os.open(root, os.O_RDONLY)
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    return names


@pytest.fixture(scope="module", params=[10_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (100_000, MILLION))])
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wide]:
    """A replica with that many names in one directory."""
    pair = Pair(tmp_path_factory.mktemp("wide"))
    names = make_names(pair.replica, request.param)
    server = pair.server(ready=False)
    server.log.wait_for("rescan.completed", seconds=400)
    with Wire(server.address, seconds=300) as wire:
        yield Wide(wire, names)
    wrong = pair.end()

    assert wrong == []


def check(answer: Answer) -> None:
    """All messages are under the limit, and none is much smaller than it may be."""
    assert OK == answer.status
    assert max(map(len, answer.messages)) <= MIB
    assert len(answer.messages) <= 2 + sum(map(len, answer.messages)) // (LIMITS.listing_bytes // 4)


@pytest.mark.timeout(600)
def test_list_directories(wide: Wide) -> None:
    """A directory of very many long names is listed completely, in order, in pages."""
    answer = wide.wire.list(wide.wire.open_session().session_id, b"")
    pages = answer.as_messages(pb.ListDirectoriesResponse)
    listed = [child.name for page in pages for child in page.children]

    check(answer)
    assert sorted(wide.names) == listed
    assert [False] * (len(pages) - 1) + [True] == [page.last for page in pages]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", ["ListEntries", "VerifyContent"])
def test_read(wide: Wide, method: str) -> None:
    """Listings without a session are paged too."""
    # The answers of both methods have the entries in the same field.
    request = rpb.ListEntriesRequest(recursive=True) if method == "ListEntries" else rpb.VerifyContentRequest()
    answer = wide.wire.call(REPLICA + method, request)
    found = answer.as_messages(rpb.ListEntriesResponse)
    listed = [entry.path for page in found for entry in page.entries]

    check(answer)
    assert sorted(wide.names) == listed


def test_results(bench: Bench) -> None:
    """The results of a commit in which everything fails come in messages under the limit, and name everything."""
    target = b"t" * 4000
    links = [bench.at(f"link-{number}") for number in range(600)]
    making = [put_link(number, path, target) for number, path in enumerate(links, start=2)]
    made = bench.settle(*(batch(*making[at : at + 200]) for at in range(0, 600, 200))).failures
    wrong = seen(file(b"something else"))
    deletes = [delete(number, path, wrong) for number, path in enumerate(links, start=1000)]
    deep = b"/".join([ODD] * 6)
    puts = [put(number, deep + b"/%d" % number, b"") for number in range(2000, 2500)]
    bench.push.send(batch(*deletes), batch(*puts), commit())
    answers = [bench.push.receive()]
    while not answers[-1].requested:
        answers.append(bench.push.receive())
    settled = [answer.settled_number for answer in answers]

    assert [] == list(made)
    assert max(answer.ByteSize() for answer in answers) <= MIB
    assert [*range(1000, 1600), *range(2000, 2500)] == [f.number for answer in answers for f in answer.failures]
    assert {target} == {f.current.target for answer in answers for f in answer.failures if f.number < 1600}
    assert sorted(settled) == settled
    assert 2499 == settled[-1]
    assert all(f.number <= answer.settled_number for answer in answers for f in answer.failures)


@pytest.mark.case("I01")
@pytest.mark.parametrize("over", [8 << 10, 15 << 20])
def test_too_large(wire: Wire, over: int) -> None:
    """A message above the limit ends its call with RESOURCE_EXHAUSTED."""
    session = wire.open_session()
    large = data(1, bytes(MIB + over))
    statuses = [
        wire.push(session.session_id).send(large).finish()[1],
        wire.call(SYNC + "ListDirectories", bytes(MIB + over)).status,
        wire.call(REPLICA + "GetStatus", bytes(MIB + over)).status,
    ]

    assert ["RESOURCE_EXHAUSTED"] * 3 == [status.code for status in statuses]


NAMES = {"escapes": ODD, "wide": "🐟".encode() * 60, "plain": b"n" * 255}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_statuses_of_long_paths(wire: Wire, name: bytes) -> None:
    """A refusal that names a path of a hundred thousand bytes arrives, with its reason, and names its end at least."""
    path = b"/".join([name] * (100_000 // len(name)))
    calls = [
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=path)),
        wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=path)),
        wire.list(wire.open_session().session_id, path),
        wire.call(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(namespace="🐟" * 200_000)),
        wire.call(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(namespace="\U000e0001" * 200_000)),
    ]
    absurd = batch(delete(1, path, pb.Expected(absent=True)))
    pushed = wire.push(wire.open_session().session_id).send(absurd).finish()[1]
    statuses = [*(call.status for call in calls), pushed]

    assert ["NOT_FOUND"] * 5 + ["INVALID_ARGUMENT"] == [status.code for status in statuses]
    assert {"dirsync"} == {status.domain for status in statuses}


def test_deep_failures(bench: Bench) -> None:
    """A failure at a path of a hundred thousand bytes is reported; a delete of what is not there is no failure."""
    path = bench.at(b"/".join([b"n" * 255] * 390))
    operations = [
        put(2, path, b"x"),
        put_link(3, path, b"x"),
        make_directory(4, path),
        delete(5, path, seen(link(b"t"))),
    ]
    failures = bench.apply(*operations)

    assert [(2, "CHANGED"), (3, "CHANGED"), (4, "CHANGED")] == [(f.number, f.reason) for f in failures]
