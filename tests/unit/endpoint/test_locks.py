"""Readers of a replica never wait for files: not for a scan, not for a commit, not for content that is read."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dirsync.endpoint.finder import ContentFinder
from dirsync.endpoint.verify import verify
from dirsync.fs.index.index import Index
from dirsync.location import Location
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import RelPath
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.replica import ListRequest as ListEntries
from dirsync.wire.replica import decode_entries, encode_list_entries
from dirsync.wire.session import OpenRequest, encode_open
from tests.support.inside.direct import NAMESPACE, NO_CONTEXT, Direct, direct, send
from tests.support.peers.operations import (
    ABSENT,
    batch,
    begin,
    commit,
    data,
    delete,
    digest,
    directory,
    end,
    file,
    make_directory,
    put,
    put_link,
    seen,
    set_metadata,
)

PATIENCE = 60
"""Seconds after which a call that should not wait counts as one that does."""

SYSTEM_CALLS = """
    chmod close copy_file_range fchmod fdatasync fstat fstatvfs fsync ftruncate link listdir lseek lstat mkdir open
    posix_fallocate pread preadv pwrite read readlink readv rename replace rmdir scandir sendfile stat statvfs symlink
    sync unlink utime write writev
"""
"""Functions of ``os`` that may wait for a disk."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """A replica of a few entries."""
    root = tmp_path / "replica"
    (root / "d" / "deep").mkdir(parents=True)
    for name in ("a", "d/b", "d/deep/c"):
        (root / name).write_text(name)
    with direct(tmp_path) as server:
        yield server


class Gate:
    """A system call that does not come back, for one thread, until it is let through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[[tuple[Any, ...]], bool]) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.thread: threading.Thread | None = None
        original = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if threading.current_thread() is self.thread and when(arguments):
                self.reached.set()
                self.open.wait(PATIENCE)
            return original(*arguments, **named)

        monkeypatch.setattr(os, name, call)


def rescan(server: Direct) -> None:
    """A scan of everything, which finds an edit."""
    server.replica.scanner.rescan()


def push(server: Direct) -> None:
    """A commit of a change of each kind."""
    handler = server.push(server.open())
    (answer,) = send(
        handler,
        batch(
            put(1, b"d/new", b"new"),
            put_link(2, b"link", b"a"),
            set_metadata(3, b"a", seen(file(b"a"))),
            delete(4, b"d/b", seen(file(b"d/b"))),
        ),
        commit(),
    )
    handler.close()

    assert [] == list(answer.failures)


def open_other(server: Direct) -> None:
    """A session under other ignore rules, for which everything is scanned."""
    server.open(TreeOptions(ignore_rules=(b"*.tmp",)))


@pytest.mark.parametrize(
    "name, when, act",
    [
        ("scandir", lambda _: True, rescan),
        ("open", lambda arguments: arguments[0] == b"a", rescan),
        ("rename", lambda _: True, push),
        ("unlink", lambda arguments: arguments[0] == b"b", push),
        ("symlink", lambda _: True, push),
        ("utime", lambda _: True, push),
        ("scandir", lambda _: True, open_other),
    ],
    ids=["listing", "content", "publishing", "removing", "linking", "metadata", "opening"],
)
def test_readers_answer_while_the_disk_hangs(
    server: Direct, monkeypatch: pytest.MonkeyPatch, name: str, when: Any, act: Callable[[Direct], None]
) -> None:
    """The status, a listing, entries and a session's listing come while the writer hangs in a system call."""
    session = server.open()
    before = server.status()
    (server.place / "a").write_text("edited by hand") if act is rescan else None
    gate = Gate(monkeypatch, name, when)
    gate.thread = threading.Thread(target=act, args=(server,))
    with ThreadPoolExecutor(1) as pool:
        try:
            gate.thread.start()
            assert gate.reached.wait(PATIENCE)

            status = pool.submit(server.status).result(PATIENCE)
            everything = encode_list_entries(ListEntries(NAMESPACE, RelPath(b""), recursive=True))
            entries = pool.submit(lambda: list(server.reader.list_entries(everything, NO_CONTEXT))).result(PATIENCE)
            if act is rescan:
                assert [b"a", b"d"] == [one for one, _ in pool.submit(server.list, session).result(PATIENCE)]
        finally:
            gate.open.set()
            gate.thread.join(PATIENCE)

    assert before.ready
    assert status.ready
    assert {b"d", b"d/deep", b"d/deep/c"} <= {path for page in entries for path, _ in decode_entries(page)}
    assert not gate.thread.is_alive()


class Held:
    """A data lock that knows who holds it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._here = threading.local()

    @property
    def here(self) -> bool:
        """Whether this thread holds it."""
        return getattr(self._here, "depth", 0) > 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._here.depth = getattr(self._here, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        self._here.depth -= 1
        self._lock.release()


@pytest.fixture
def violations(server: Direct, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls and index writes that were made under the data lock."""
    found: list[str] = []
    held = Held()
    server.replica.state.lock = held  # type: ignore[assignment]

    def watch(place: Any, name: str) -> None:
        original = getattr(place, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if held.here:
                found.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(place, name, call)

    for name in SYSTEM_CALLS.split():
        if hasattr(os, name):
            watch(os, name)
    watch(Index, "_queue")
    return found


def move(number: int, source: bytes, path: bytes, what: Any, there: pb.Expected = ABSENT) -> pb.Operation:
    """Move what is at a path, or let two change places."""
    exchange = there is not ABSENT
    moved = pb.Operation.Move(source=source, source_expected=seen(what), exchange=exchange)
    return pb.Operation(number=number, path=path, expected=there, move=moved)


def test_nothing_waits_under_the_data_lock(server: Direct, violations: list[str]) -> None:
    """Whatever a replica is asked to do, the lock that readers take is held for work in memory only."""
    session = server.open(TreeOptions(ignore_rules=(b"*.tmp",)))
    handler = server.push(session)
    (server.place / "a").write_text("edited by hand")
    (server.place / "d" / "new by hand").mkdir()
    (server.place / "d" / "x.tmp").mkdir()
    large = bytes(100_000)
    (first,) = send(
        handler,
        batch(
            put(1, b"e", b"e"), make_directory(2, b"f"), put(3, b"f/g", b"g"), put(4, b"a", b"lost", seen(file(b"a")))
        ),
        begin(5, b"f/large", len(large)),
        data(5, large),
        end(5, digest(large)),
        commit(rescan=True),
    )
    (second,) = send(
        handler,
        batch(
            move(6, b"f/g", b"h", file(b"g")),
            move(7, b"e", b"h", file(b"e"), seen(file(b"g"))),
            delete(8, b"d/deep/c", seen(file(b"d/deep/c"))),
            delete(9, b"d/deep", seen(directory())),
            delete(10, b"d", seen(directory())),
        ),
        commit(),
    )
    handler.close()
    with ContentFinder(server.replica) as finder:
        found = finder.open(digest(b"d/b"))
        assert found is not None
        found.close()
        finder.report_stale(RelPath(b"d/b"), digest(b"d/b"))
    verify(server.replica, TreeOptions(), deep=True)
    server.open(TreeOptions(Attributes(mode=False)))
    server.status()
    server.list(server.open())
    request = OpenRequest(NAMESPACE, "client", "1", TreeOptions(ignore_rules=(b"*.old",)), Location("", ()))
    server.api.open_session(encode_open(request), server.call)

    assert [4] == [failure.number for failure in first.failures]
    assert [10] == [failure.number for failure in second.failures]
    assert [] == violations


def test_only_the_writer_changes_the_state(server: Direct) -> None:
    """Whoever changes the state without the writer mutex is found out at once."""
    with pytest.raises(AssertionError, match="only the writer"):
        server.replica.state.remove(RelPath(b"a"))
