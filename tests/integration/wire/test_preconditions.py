"""Every kind of operation on everything that can be at its path: the documented outcome, and nothing clobbered.

An operation says what the planner saw (``expected``). Here it says that nothing is there (``ABSENT``), what really is
there (``THERE``), or something that was there once (``STALE``). What is there was made by hand behind the server's
back, which is the worst case. ``ok`` means applied; anything else is the reason of the failure, and then everything at
the path must be as it was, to the inode.
"""

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import (
    MTIME_NS,
    batch,
    begin,
    commit,
    data,
    delete,
    digest,
    directory,
    end,
    file,
    link,
    make_directory,
    put,
    put_link,
    seen,
    set_metadata,
)
from tests.support.peers.wire import OK, Push, Wire
from tests.support.running.programs import Server

NEW = b"what is put"
OLD = b"what was there"
TARGET = b"where/it/leads"

Send = Callable[[int, bytes, pb.Expected], list[pb.PushChangesRequest]]


class Area(NamedTuple):
    """Where the operations go."""

    push: Push
    root: Path
    numbers: Iterator[int]


class Found(NamedTuple):
    """Something at a path: how to make it, and how a planner who saw it would describe it."""

    make: Callable[[Path], None]
    entry: entry_pb2.Entry | None


def _nothing(_path: Path) -> None:
    pass


def _file(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)
        path.chmod(0o644)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))

    return make


def _directory(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir(mode=0o755)
        for name in names:
            (path / name).write_bytes(OLD)

    return make


FOUND = {
    "absent": Found(_nothing, None),
    "same_file": Found(_file(NEW), file(NEW)),
    "other_file": Found(_file(OLD), file(OLD)),
    "link": Found(lambda path: path.symlink_to("/etc/hostname"), link(b"/etc/hostname")),
    "empty_directory": Found(_directory(), directory()),
    "full_directory": Found(_directory("child"), directory()),
    "ignored": Found(_directory("left.ignored"), directory()),
    "fifo": Found(os.mkfifo, file(b"")),
}


def _put_file(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [batch(put(number, path, NEW, expected))]


def _put_link(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [batch(put_link(number, path, TARGET, expected))]


def _make_directory(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [batch(make_directory(number, path, expected, mode=0o750))]


def _set_metadata(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [batch(set_metadata(number, path, expected, mode=0o700))]


def _delete(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [batch(delete(number, path, expected))]


def _put_large(number: int, path: bytes, expected: pb.Expected) -> list[pb.PushChangesRequest]:
    return [begin(number, path, len(NEW), expected), data(number, NEW), end(number, digest(NEW))]


SEND: dict[str, Send] = {
    "put_file": _put_file,
    "put_large": _put_large,
    "put_link": _put_link,
    "make_directory": _make_directory,
    "set_metadata": _set_metadata,
    "delete": _delete,
}
EXPECTED: dict[str, Callable[[entry_pb2.Entry | None], entry_pb2.Entry | None]] = {
    "ABSENT": lambda _: None,
    "THERE": lambda entry: entry,
    "STALE": lambda _: file(b"was there once"),
}
TABLE = """
                       absent   same_file  other_file  link     empty_directory  full_directory  ignored    fifo
put_file        ABSENT ok       ok         CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
put_file        THERE  ok       ok         ok          ok       ok               CHANGED         UNTRACKED  UNTRACKED
put_file        STALE  CHANGED  ok         CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
put_link        ABSENT ok       CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
put_link        THERE  ok       ok         ok          ok       ok               CHANGED         UNTRACKED  UNTRACKED
put_link        STALE  CHANGED  CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
make_directory  ABSENT ok       CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         ok         UNTRACKED
make_directory  THERE  ok       ok         ok          ok       ok               ok              CHANGED    UNTRACKED
make_directory  STALE  CHANGED  CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         CHANGED    UNTRACKED
set_metadata    THERE  -        ok         ok          CHANGING ok               ok              UNTRACKED  UNTRACKED
set_metadata    STALE  CHANGED  CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
delete          THERE  -        ok         ok          ok       ok               CHANGED         UNTRACKED  UNTRACKED
delete          STALE  ok       CHANGED    CHANGED     CHANGED  CHANGED          CHANGED         UNTRACKED  UNTRACKED
"""
"""What happens; ``-`` where no correct client can send the operation. A file in frames is like ``put_file``."""


def _rows() -> Iterator[tuple[str, str, str, str]]:
    header, *lines = TABLE.strip("\n").splitlines()
    for line in lines:
        operation, expected, *outcomes = line.split()
        kinds = [operation, "put_large"] if operation == "put_file" else [operation]
        for kind in kinds:
            yield from (
                (kind, expected, found, outcome)
                for found, outcome in zip(header.split(), outcomes, strict=True)
                if outcome != "-"
            )


def snapshot(path: Path) -> list[object]:
    """What is at a path and below it, to the inode, with content and times that only a change moves."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return []
    inner: list[object] = []
    if path.is_symlink():
        inner = [os.readlink(path)]
    elif path.is_dir():
        inner = [(name, snapshot(path / name)) for name in sorted(os.listdir(path))]
    elif path.is_file():
        inner = [path.read_bytes()]
    return [status.st_ino, status.st_mode, status.st_ctime_ns, *inner]


def check_applied(operation: str, found: str, path: Path) -> None:
    """What an applied operation left is what it says."""
    match operation:
        case "put_file" | "put_large":
            assert (NEW, MTIME_NS) == (path.read_bytes(), path.lstat().st_mtime_ns)
        case "put_link":
            assert TARGET.decode() == os.readlink(path)
        case "make_directory":
            assert (True, 0o750) == (path.is_dir(), stat.S_IMODE(path.lstat().st_mode))
        case "set_metadata":
            assert 0o700 == stat.S_IMODE(path.lstat().st_mode)
        case _:
            assert not os.path.lexists(path)
    if found in ("full_directory", "ignored"):
        assert [OLD] == [(path / name).read_bytes() for name in os.listdir(path)]


@pytest.fixture(scope="module")
def area(server: Server, wire: Wire) -> Iterator[Area]:
    """A push stream of a session that ignores ``*.ignored``; it must end well."""
    session = wire.open_session(ignore=[b"*.ignored"])
    push = wire.push(session.session_id)
    yield Area(push, server.root, itertools.count(1))
    status = push.finish()[1]

    assert OK == status


@pytest.mark.parametrize("operation, expected, found, outcome", list(_rows()))
def test_outcome(area: Area, operation: str, expected: str, found: str, outcome: str) -> None:
    """The operation is applied only where what it expects is there, and else says why and changes nothing."""
    number = next(area.numbers)
    name = b"area-%d" % number
    made = area.push.send(batch(make_directory(number, name)), commit()).receive()
    path = area.root / name.decode() / "x"
    FOUND[found].make(path)
    before = snapshot(path)
    precondition = seen(EXPECTED[expected](FOUND[found].entry))
    area.push.send(*SEND[operation](number := next(area.numbers), name + b"/x", precondition))
    failures = area.push.send(commit()).receive().failures

    assert [] == list(made.failures)
    if outcome == "ok":
        assert [] == list(failures)
        check_applied(operation, found, path)
    else:
        reason = "UNTRACKED_IN_THE_WAY" if outcome == "UNTRACKED" else outcome
        assert [(number, reason)] == [(failure.number, failure.reason) for failure in failures]
        assert before == snapshot(path)
