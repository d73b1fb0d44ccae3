"""Paths that no correct peer sends, wherever a request has a place for one: refused, and nothing is made anywhere."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import based, copy_content, move
from tests.support.peers.operations import (
    Inside,
    batch,
    begin,
    commit,
    delete,
    digest,
    file,
    make_directory,
    put,
    put_link,
    section,
    seen,
    set_metadata,
)
from tests.support.peers.wire import REPLICA, SYNC, Status, Wire
from tests.support.running.programs import Server

EVIL = [
    b".",
    b"..",
    b"/",
    b"/etc/passwd",
    b"../outside",
    b"a/../../outside",
    b"a/./b",
    b"a//b",
    b"a/",
    b"/a",
    b"a/..",
    b"./a",
    b"a\0b",
    b"\0",
    b"a/\0/b",
    b"a/" + bytes(1),
    b"n" * 256,
    b"a/" + b"n" * 256 + b"/b",
    b"d/" * 66_000 + b"e",
]
WAYS: dict[str, Callable[[bytes], pb.PushChangesRequest]] = {
    "put": lambda path: batch(put(1, path, b"x")),
    "put_link": lambda path: batch(put_link(1, path, b"x")),
    "make_directory": lambda path: batch(make_directory(1, path)),
    "set_metadata": lambda path: batch(set_metadata(1, path, seen(file(b"")))),
    "delete": lambda path: batch(delete(1, path, seen(file(b"")))),
    "begin": lambda path: begin(1, path, 1),
    "section": lambda path: section(1, path, Inside(b"a", b"x")),
    "in_section": lambda path: section(1, b"new", Inside(path, b"x")),
    "based": lambda path: based(1, path, 1, digest(b"basis")),
    "move_to": lambda path: batch(move(1, b"source", path, file(b"x"))),
    "move_from": lambda path: batch(move(1, path, b"target", file(b"x"))),
    "copy_content": lambda path: batch(copy_content(1, path, b"x")),
    "unknown": lambda path: batch(pb.Operation(number=1, path=path, expected=pb.Expected(absent=True))),
}


def everything(server: Server) -> dict[str, tuple[int, int]]:
    """All names in and around the replica, and what shows whether they were touched."""
    place = server.root.parent
    return {
        os.path.join(parent, name): (status.st_ino, status.st_ctime_ns)
        for parent, directories, files in os.walk(place)
        if "state" not in os.path.relpath(parent, place)
        for name in [*directories, *files]
        if "state" not in name
        for status in [os.lstat(os.path.join(parent, name))]
    }


def send(wire: Wire, message: pb.PushChangesRequest) -> Status:
    """How a stream with this message and a commit ends."""
    return wire.push(wire.open_session().session_id).send(message, commit()).finish()[1]


@pytest.mark.case("E01")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", EVIL, ids=lambda path: repr(path[:20]))
def test_push(server: Server, wire: Wire, way: str, path: bytes) -> None:
    """An operation on such a path ends the stream with INVALID_ARGUMENT; nothing changes in or around the replica."""
    before = everything(server)
    status = send(wire, WAYS[way](path))

    assert ("INVALID_ARGUMENT", "INVALID_PATH", "dirsync") == status[:3]
    assert before == everything(server)


@pytest.mark.case("E01")
@pytest.mark.parametrize("path", [*EVIL, b""], ids=lambda path: repr(path[:20]))
def test_empty(server: Server, wire: Wire, path: bytes) -> None:
    """The root itself is no entry: operations on it are refused like those on evil paths."""
    before = everything(server)
    reasons = {send(wire, message(path)).reason for message in WAYS.values()}

    assert {"INVALID_PATH"} == reasons
    assert before == everything(server)


@pytest.mark.case("E01")
@pytest.mark.parametrize("path", EVIL, ids=lambda path: repr(path[:20]))
def test_read(server: Server, wire: Wire, path: bytes) -> None:
    """Whatever lists or looks refuses such a path too, as bytes and as text."""
    session_id = wire.open_session().session_id
    text = path.decode()
    calls = [
        wire.list(session_id, path),
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=path)),
        wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=path)),
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path_text=text)),
        wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path_text=text)),
    ]

    assert {("INVALID_ARGUMENT", "INVALID_PATH")} == {call.status[:2] for call in calls}
    assert [[]] * len(calls) == [call.messages for call in calls]


names = st.sampled_from(
    [b"..", b".", b"", b"a", b"\0", b"a\0", b"x" * 256, b"~", b"-rf", b"\xff", b"C:", b"\\", b"..."]
)


@pytest.mark.case("E01")
@settings(max_examples=60)
@given(path=st.lists(names, min_size=1, max_size=5).map(b"/".join), way=st.sampled_from(sorted(WAYS)))
def test_property(server: Server, wire: Wire, path: bytes, way: str) -> None:
    """Of any mix of good and evil components, exactly those paths are refused that have an evil one."""
    evil = any(name in (b"", b".", b"..") or b"\0" in name or len(name) > 255 for name in path.split(b"/"))
    evil |= way == "in_section" and b"/" in path  # a name has its place there, no path
    outside = set(os.listdir(server.root.parent))
    status = send(wire, WAYS[way](path))

    assert ("INVALID_PATH" if evil else "") == status.reason
    assert outside == set(os.listdir(server.root.parent))


@pytest.mark.case("E01")
@pytest.mark.parametrize("target", ["/etc", "../..", "nowhere"])
def test_through_links(server: Server, wire: Wire, tmp_path: Path, target: str) -> None:
    """No operation follows a link, whether the server or another process made it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    session_id = wire.open_session().session_id
    push = wire.push(session_id)
    name = f"link-{target.replace('/', '_')}".encode()
    by_hand = server.root / (name.decode() + "-by-hand")
    by_hand.symlink_to(outside)
    push.send(batch(put_link(1, name, target.encode())), commit()).receive()
    operations = [
        operation
        for base in (name, name + b"-by-hand")
        for operation in (
            put(0, base + b"/new", b"x"),
            put(0, base + b"/kept", b"x", seen(file(b"kept"))),
            put_link(0, base + b"/new", b"x"),
            make_directory(0, base + b"/new"),
            set_metadata(0, base + b"/kept", seen(file(b"kept"))),
            delete(0, base + b"/kept", seen(file(b"kept"))),
        )
    ]
    for number, operation in enumerate(operations, start=2):
        operation.number = number
    committed = push.send(batch(*operations), commit()).receive()
    push.finish()

    # What is absent behind a link is absent: its delete is done already.
    assert {"CHANGED"} == {failure.reason for failure in committed.failures}
    assert {"kept"} == set(os.listdir(outside))
    assert b"kept" == (outside / "kept").read_bytes()
    assert not (server.root / "nowhere").exists()


def test_names_nothing_outside(server: Server, wire: Wire) -> None:
    """No status contains an absolute path of the server's machine, whatever is requested."""
    session_id = wire.open_session().session_id
    missing = b"no/such/directory"
    calls = [
        wire.list(session_id, missing),
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=missing)),
        wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=missing)),
        wire.call(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(namespace="nobody's")),
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=b"..")),
        wire.call(SYNC + "OpenSession", b"\xff\xff"),
    ]
    place = os.fsencode(server.root.parent)

    assert ["NOT_FOUND"] * 4 + ["INVALID_ARGUMENT"] * 2 == [call.status.code for call in calls]
    assert ["dirsync"] * 6 == [call.status.domain for call in calls]
    assert [] == [call for call in calls if place in call.status.details or place.decode() in call.status.message]
