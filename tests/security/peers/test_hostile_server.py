"""A server that sends wrong answers: the client says so and ends, and its source is as it was."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.hostile import Say, hostile_server, once, opened
from tests.support.peers.operations import directory, file
from tests.support.running.limited import limited
from tests.support.running.programs import Pair, Result
from tests.support.trees.trees import build, look

pytestmark = pytest.mark.programs

Listed = list[tuple[bytes, entry_pb2.Entry]]
DIRECTORY = entry_pb2.Entry(kind=entry_pb2.KIND_DIRECTORY, mode=0o755, digest=b"x" * 32)


def page(number: int, children: Listed, *, last: bool = True) -> bytes:
    """One page of a listing of directories."""
    listed = [pb.ListDirectoriesResponse.Child(name=name, entry=entry) for name, entry in children]
    return pb.ListDirectoriesResponse(directory=number, children=listed, last=last).SerializeToString()


def entries(*listed: tuple[bytes, entry_pb2.Entry]) -> bytes:
    """One page of a listing of entries."""
    return rpb.ListEntriesResponse(
        entries=[entry_pb2.PathEntry(path=path, entry=entry) for path, entry in listed]
    ).SerializeToString()


@pytest.fixture
def source(tmp_path: Path) -> Iterable[Pair]:
    """A source with some content, and a way to run commands on it."""
    pair = Pair(tmp_path / "pair")
    build(pair.source, {"a": "a", "docs/b": "b"})
    yield pair
    wrong = pair.end()

    assert wrong == []


def command(pair: Pair, name: str, answers: dict[str, Say], *prefix: str) -> Result:
    """Run a command against a server that answers like this; the source must stay as it was."""
    before = look(pair.source)
    with hostile_server(answers) as address:
        result = pair.command(name, prefix=prefix, server=address)

    assert before == look(pair.source)
    return result


LISTINGS = {
    "out_of_order": [page(0, [(b"b", file(b"")), (b"a", file(b""))])],
    "twice": [page(0, [(b"a", file(b"")), (b"a", file(b""))])],
    "twice_over_pages": [page(0, [(b"a", file(b""))], last=False), page(0, [(b"a", file(b""))])],
    "falling_over_pages": [page(0, [(b"b", file(b""))], last=False), page(0, [(b"a", file(b""))])],
    "other_directory": [page(1, [])],
    "too_many_directories": [page(0, []), page(1, [])],
    "huge_directory": [page((1 << 32) - 1, [])],
    "ends_early": [page(0, [(b"a", file(b""))], last=False)],
    "nothing": [],
    "inconsistent": [page(0, [(b"a", file(b"other"))])],
    "slash": [page(0, [(b"a/b", file(b""))])],
    "climbs": [page(0, [(b"..", DIRECTORY)])],
    "dot": [page(0, [(b".", DIRECTORY)])],
    "absolute": [page(0, [(b"/etc", DIRECTORY)])],
    "empty_name": [page(0, [(b"", file(b""))])],
    "nul": [page(0, [(b"a\0", file(b""))])],
    "long_name": [page(0, [(b"n" * 256, file(b""))])],
    "bad_digest": [page(0, [(b"a", entry_pb2.Entry(kind=entry_pb2.KIND_FILE, digest=b"short"))])],
    "impossible_size": [page(0, [(b"a", entry_pb2.Entry(kind=entry_pb2.KIND_FILE, size=1 << 63))])],
    "empty_link": [page(0, [(b"a", entry_pb2.Entry(kind=entry_pb2.KIND_SYMLINK))])],
    "unknown_kind": [page(0, [(b"a", entry_pb2.Entry(kind=9))])],  # type: ignore[arg-type]
    "no_message": [b"\xff\xff\xff"],
}


@pytest.mark.case("I12")
@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_listing(source: Pair, listing: list[bytes]) -> None:
    """A listing out of order, with a name twice, incomplete, inconsistent or evil ends `once`; nothing is pushed."""
    pushed: list[bytes] = []

    def push(requests: Iterable[bytes]) -> Iterable[bytes]:
        pushed.extend(requests)
        return ()

    answers: dict[str, Say] = {
        "SyncService/OpenSession": once(opened()),
        "SyncService/ListDirectories": lambda _: listing,
        "SyncService/PushChanges": push,
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
    }
    result = command(source, "once", answers)

    assert 1 == result.code
    assert [] == pushed


OPENED = {
    "protocol": {"protocol_version": 0},
    "later_protocol": {"protocol_version": 2},
    "session": {"session_id": b""},
    "long_session": {"session_id": bytes(1000)},
    "digest": {"root_digest": b""},
    "reserved_slash": {"reserved_names": [b"a/b"]},
    "reserved_climb": {"reserved_names": [b".."]},
    "many_rules": {"options": entry_pb2.TreeOptions(ignore_rules=[b"a"] * 2000)},
}


@pytest.mark.case("J07")
@pytest.mark.parametrize("fields", OPENED.values(), ids=OPENED)
def test_opened(source: Pair, fields: dict[str, Any]) -> None:
    """An answer to OpenSession that no correct server sends ends `once`, and nothing else is requested."""
    asked: list[str] = []

    def note(name: str) -> Say:
        def say(_: Iterable[bytes]) -> Iterable[bytes]:
            asked.append(name)
            return ()

        return say

    answers = {"SyncService/OpenSession": once(opened(**fields)), "SyncService/ListDirectories": note("list")}
    result = command(source, "once", answers | {"SyncService/PushChanges": note("push")})

    assert (1, []) == (result.code, asked)


STATUS = rpb.ReplicaServiceGetStatusResponse(ready=True, root_digest=bytes(32), replica_id="hostile")
SUMMARY = rpb.VerifyContentResponse(
    summary=rpb.VerifyContentResponse.Summary(root_digest=b"d" * 32)
).SerializeToString()
ENTRIES = {
    "out_of_order": entries((b"b", file(b"")), (b"a", file(b""))),
    "twice": entries((b"a", file(b"")), (b"a", file(b""))),
    "parentless": entries((b"d/x", file(b""))),
    "under_a_file": entries((b"a", file(b"")), (b"a/x", file(b""))),
    "before_parent": entries((b"d/x", file(b"")), (b"d", directory())),
    "left_and_came_back": entries((b"d", directory()), (b"e", file(b"")), (b"d/x", file(b""))),
    "root": entries((b"", directory())),
    "climbs": entries((b"../x", file(b""))),
    "unknown_kind": entries((b"a", entry_pb2.Entry(kind=9))),  # type: ignore[arg-type]
    "no_message": b"\xff\xff\xff",
}


@pytest.mark.case("I12")
@pytest.mark.parametrize("name", ["plan", "verify"])
@pytest.mark.parametrize("listing", ENTRIES.values(), ids=ENTRIES)
def test_entries(source: Pair, listing: bytes, name: str) -> None:
    """Entries out of order, twice, without parents, under a file or evil end `plan` and `verify` with a message."""
    answers: dict[str, Say] = {
        "ReplicaService/GetStatus": once(STATUS),
        "ReplicaService/ListEntries": lambda _: [listing],
        "ReplicaService/VerifyContent": lambda _: [listing, SUMMARY],
    }
    result = command(source, name, answers)

    assert 1 == result.code
    assert "" == result.stdout


@pytest.mark.case("I12")
def test_order_is_not_too_strict(source: Pair) -> None:
    """Entries in the order that is right, where a name sorts between a directory and its content, are taken."""
    listing = entries((b"a", directory()), (b"a/x", file(b"")), (b"a-b", file(b"")), (b"a.c", file(b"")))
    answers: dict[str, Say] = {
        "ReplicaService/GetStatus": once(STATUS),
        "ReplicaService/ListEntries": lambda _: [listing],
    }

    assert 0 == command(source, "plan", answers).code


def wide(_: Iterable[bytes]) -> Iterable[bytes]:
    """A directory without end."""
    return (page(0, [(b"%09d" % number, file(b""))], last=False) for number in count())


def wide_below(_: Iterable[bytes]) -> Iterable[bytes]:
    """The same as entries."""
    return (entries((b"%09d" % number, file(b""))) for number in count())


def deep(asked: Iterable[bytes]) -> Iterable[bytes]:
    """A directory in each directory."""
    paths = pb.ListDirectoriesRequest.FromString(next(iter(asked))).paths
    return (page(number, [(b"d", DIRECTORY)]) for number in range(len(paths)))


ENDLESS: dict[str, tuple[str, Say, Say]] = {
    "wide once": ("once", wide, wide_below),
    "deep once": ("once", deep, wide_below),
    "wide plan": ("plan", wide, wide_below),
    "wide verify": ("verify", wide, wide_below),
}


@pytest.mark.case("J05", "J09")
@pytest.mark.parametrize("name, listing, below", ENDLESS.values(), ids=ENDLESS)
def test_endless(source: Pair, name: str, listing: Say, below: Say) -> None:
    """A listing that goes on for ever, in width or depth, ends the command by the limit's name."""
    answers: dict[str, Say] = {
        "SyncService/OpenSession": once(opened()),
        "SyncService/ListDirectories": listing,
        "SyncService/CloseSession": once(pb.CloseSessionResponse()),
        "ReplicaService/GetStatus": once(STATUS),
        "ReplicaService/ListEntries": below,
        "ReplicaService/VerifyContent": below,
    }
    result = command(source, name, answers, *limited(max_listed_entries=1000, max_path_bytes=100))

    assert 1 == result.code
    assert "the server lists" in "".join([*result.messages, *(str(event) for event in result.events)])
