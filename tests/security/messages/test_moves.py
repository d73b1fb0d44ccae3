"""Moves and copies that would reach out of the replica, or at what is the server's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.faults.privileges import tmpfs
from tests.support.inside.deltas import copy_content, move
from tests.support.peers.operations import batch, begin, commit, data, directory, file, make_directory, put, put_link
from tests.support.peers.serving import Bench
from tests.support.peers.wire import Wire
from tests.support.running.programs import Pair, Server

CONTENT = b"content"
STAGING = b".dirsync-staging"


def some_directory() -> entry_pb2.Entry:
    """A directory as a planner might have seen it."""
    entry = directory()
    entry.digest = b"d" * 32
    return entry


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that is no replica, with something in it."""
    (tmp_path / "secret").write_bytes(CONTENT)
    (tmp_path / "d").mkdir()
    return tmp_path


WAYS = ("in", "over", "out", "exchange", "directory_out", "directory_in", "copy")


def through(bench: Bench, way: str) -> pb.Operation:
    """An operation that goes through ``way``, which is a link by then."""
    inside, there, new = bench.at("f"), bench.at("way/secret"), bench.at("way/new")
    here, below = file(CONTENT), some_directory()
    match way:
        case "in":
            return move(9, inside, new, here)
        case "over":
            return move(9, inside, there, here, here)
        case "out":
            return move(9, there, bench.at("stolen"), here)
        case "exchange":
            return move(9, inside, there, here, here, exchange=True)
        case "directory_out":
            return move(9, bench.at("way/d"), bench.at("stolen"), below)
        case "directory_in":
            return move(9, bench.at("e"), new, below)
        case _:
            return copy_content(9, new, CONTENT)


@pytest.mark.case("I21")
@pytest.mark.parametrize("by_hand", [False, True], ids=["link_put", "link_by_hand"])
@pytest.mark.parametrize("way", WAYS)
def test_through_a_link(bench: Bench, outside: Path, way: str, by_hand: bool) -> None:
    """Nothing goes through a link, whether the client made it or it replaced a directory by hand."""
    made = [put(2, bench.at("f"), CONTENT), make_directory(3, bench.at("e"))]
    if by_hand:
        made += [make_directory(4, bench.at("way")), put(5, bench.at("way/secret"), CONTENT)]
        made += [make_directory(6, bench.at("way/d"))]
    else:
        made += [put_link(4, bench.at("way"), os.fsencode(outside))]
    failures = bench.apply(*made)
    if by_hand:
        (bench.place / "way").rename(bench.place / "aside")
        (bench.place / "way").symlink_to(outside)
    inside = sorted(os.listdir(bench.place))
    refused = bench.apply(through(bench, way))

    assert ([], [9]) == (failures, [failure.number for failure in refused])
    assert ["d", "secret"] == sorted(os.listdir(outside))
    assert CONTENT == (outside / "secret").read_bytes()
    assert [] == os.listdir(outside / "d")
    assert inside == sorted(os.listdir(bench.place))


@pytest.fixture
def server_in_mount(tmp_path: Path) -> Iterator[Server]:
    """A server whose root is a mount point, so that it has to stage inside."""
    pair = Pair(tmp_path / "pair")
    with tmpfs(pair.replica):
        yield pair.server(min_free_bytes=0)
        wrong = pair.end()

    assert wrong == []


RESERVED = {
    "from": move(2, STAGING, b"mine", some_directory()),
    "from_below": move(2, STAGING + b"/x", b"mine", file(CONTENT)),
    "to": move(2, b"f", STAGING + b"/x", file(CONTENT)),
    "over": move(2, b"d", STAGING, some_directory()),
    "exchange": move(2, b"d", STAGING, some_directory(), some_directory(), exchange=True),
    "copy": copy_content(2, STAGING + b"/x", CONTENT),
}


@pytest.mark.privileged
@pytest.mark.parametrize("operation", RESERVED.values(), ids=RESERVED)
def test_staging_is_out_of_reach(server_in_mount: Server, operation: pb.Operation) -> None:
    """While a file is being staged in the replica, nothing can be moved or copied there, or from there."""
    with Wire(server_in_mount.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(put(1, b"f", CONTENT)), begin(3, b"large", 10), data(3, b"12345"))
        operation.number = 4
        failures = push.send(batch(operation), commit()).receive().failures
        push.finish()

    assert [(4, "RESERVED")] == [(failure.number, failure.reason) for failure in failures]
