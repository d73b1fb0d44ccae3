"""``ReplicaService``: the content of a replica, without a session, and what is on its disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirsync.tree.path import escape
from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.peers.operations import MTIME_NS, batch, commit, digest, make_directory, put, put_link
from tests.support.peers.wire import OK, REPLICA, Wire
from tests.support.running.programs import Pair, Server

ODD = b"caf\xe9 \\ \n \x1b[31m \xe2\x80\xae"
"""No UTF-8, a backslash, a line break, a colour and a change of direction."""
OPTIONS = entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True)


@contextmanager
def holding_a_tree(place: Path) -> Iterator[tuple[Server, Wire]]:
    """A server that holds a small tree, and a raw peer of it."""
    pair = Pair(place)
    server = pair.server(min_free_bytes=0)
    with Wire(server.address) as wire:
        session_id = wire.open_session().session_id
        push = wire.push(session_id)
        operations = [
            make_directory(1, b"docs", mode=0o750),
            put(2, b"docs/a", b"content of a"),
            put(3, b"docs/" + ODD, b"odd"),
            put(4, b"docs-and", b""),
            put_link(5, b"link", b"/etc/\xff"),
        ]
        committed = push.send(batch(*operations), commit()).receive()
        push.finish()
        wire.close_session(session_id)
        yield server, wire
    wrong = pair.end()

    assert wrong == []
    assert [] == list(committed.failures)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A raw peer of a server that holds a small tree, which no test changes."""
    with holding_a_tree(tmp_path_factory.mktemp("pair")) as (_, wire):
        yield wire


def entries(wire: Wire, **fields: object) -> list[entry_pb2.PathEntry]:
    """What ListEntries answers."""
    answer = wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(**fields))  # type: ignore[arg-type]
    assert OK == answer.status
    return [entry for page in answer.as_messages(rpb.ListEntriesResponse) for entry in page.entries]


def verify(
    wire: Wire, *, deep: bool, root_digest: bytes = b""
) -> tuple[list[entry_pb2.PathEntry], rpb.VerifyContentResponse]:
    """What VerifyContent answers: the entries, and the message with the summary."""
    request = rpb.VerifyContentRequest(deep=deep, options=OPTIONS, root_digest=root_digest)
    answer = wire.call(REPLICA + "VerifyContent", request)
    pages = answer.as_messages(rpb.VerifyContentResponse)
    assert OK == answer.status
    return [entry for page in pages for entry in page.entries], pages[-1]


def test_status(wire: Wire) -> None:
    """GetStatus says what the replica holds, under which digest, and that it has no writer."""
    wire.close_session(wire.open_session().session_id)
    status = wire.ask(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(), rpb.ReplicaServiceGetStatusResponse)
    opened = wire.open_session()

    assert (True, 5, 15, "", "") == (
        status.ready,
        status.entries,
        status.bytes,
        status.writer,
        status.not_ready_reason,
    )
    assert (opened.root_digest, opened.replica_id, opened.server_version) == (
        status.root_digest,
        status.replica_id,
        status.server_version,
    )
    assert status.root_digest.hex() == status.root_digest_hex
    assert 0 <= status.seconds_since_commit < 60


def test_status_names_the_writer(wire: Wire) -> None:
    """While a session lives its client is named, and its generation."""
    opened = wire.open_session()
    status = wire.ask(REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(), rpb.ReplicaServiceGetStatusResponse)

    assert ("tester", opened.generation) == (status.writer, status.generation)


def test_list(wire: Wire) -> None:
    """One directory is listed by its names in byte order, everything by paths, parents first."""
    inner = sorted([b"docs/a", b"docs/" + ODD])

    assert [b"docs", b"docs-and", b"link"] == [entry.path for entry in entries(wire)]
    assert inner == [entry.path for entry in entries(wire, path=b"docs")]
    assert [b"docs", *inner, b"docs-and", b"link"] == [entry.path for entry in entries(wire, recursive=True)]
    assert inner == [entry.path for entry in entries(wire, path=b"docs", recursive=True)]


def test_entries_say_all(wire: Wire) -> None:
    """Each kind of entry says what it is; digests are there in hexadecimal too."""
    found = {entry.path: entry for entry in entries(wire, recursive=True)}
    file, link, directory = found[b"docs/a"].entry, found[b"link"].entry, found[b"docs"].entry

    assert (entry_pb2.KIND_FILE, 0o644, 12, MTIME_NS) == (file.kind, file.mode, file.size, file.mtime_ns)
    assert (digest(b"content of a"), digest(b"content of a").hex()) == (file.digest, found[b"docs/a"].digest_hex)
    assert (entry_pb2.KIND_SYMLINK, b"/etc/\xff") == (link.kind, link.target)
    assert (entry_pb2.KIND_DIRECTORY, 0o750, 32) == (directory.kind, directory.mode, len(directory.digest))


@pytest.mark.case("E03")
def test_text_paths(wire: Wire) -> None:
    """Every path has a form in printable text, and asking by that text finds the same entry."""
    path = b"docs/" + ODD
    shown = {entry.path: entry.path_text for entry in entries(wire, recursive=True)}
    asked = {"path": {"path": path}, "text": {"path_text": shown[path]}}
    answers = [
        wire.ask(REPLICA + "StatEntry", rpb.StatEntryRequest(**fields), rpb.StatEntryResponse)  # type: ignore[arg-type]
        for fields in asked.values()
    ]

    assert escape(path) == shown[path]
    assert all(text.isprintable() for text in shown.values())
    assert answers[0] == answers[1]
    assert (path, digest(b"odd")) == (answers[0].entry.path, answers[0].entry.entry.digest)
    assert inner_paths(wire) == [entry.path for entry in entries(wire, path_text="docs")]


def inner_paths(wire: Wire) -> list[bytes]:
    """What is in ``docs``."""
    return [entry.path for entry in entries(wire, path=b"docs")]


def test_absent(wire: Wire) -> None:
    """What is not there, or no directory, is NOT_FOUND."""
    statuses = [
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=b"docs/none")).status,
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=b"docs/a/below")).status,
        wire.call(REPLICA + "StatEntry", rpb.StatEntryRequest(path=b"link/below")).status,
        wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=b"docs/a")).status,
        wire.list(wire.open_session().session_id, b"", b"none").status,
    ]

    assert [("NOT_FOUND", "PATH_NOT_FOUND", "dirsync")] * 5 == [status[:3] for status in statuses]


@pytest.mark.parametrize("deep", [False, True])
def test_verify_equal(wire: Wire, deep: bool) -> None:
    """An untouched replica has the digest that its sessions see; a caller that knows it gets no entries."""
    root_digest = wire.open_session().root_digest
    listed, last = verify(wire, deep=deep)
    known, again = verify(wire, deep=deep, root_digest=root_digest)

    assert [entry.path for entry in entries(wire, recursive=True)] == [entry.path for entry in listed]
    assert [] == known
    assert [root_digest] * 2 == [message.summary.root_digest for message in (last, again)]
    assert (5, 15 if deep else 0) == (last.summary.entries, last.summary.bytes_read)
    assert root_digest.hex() == last.summary.root_digest_hex


@pytest.mark.case("G11")
def test_verify_finds_hand_edits(tmp_path: Path) -> None:
    """A hand edit of the same size whose mtime was restored is found, and so are a new, a lost and a changed one."""
    with holding_a_tree(tmp_path / "pair") as (server, wire):
        before = wire.open_session().root_digest
        edited = server.root / "docs" / "a"
        edited.write_bytes(b"CONTENT OF A")
        os.utime(edited, ns=(MTIME_NS, MTIME_NS))
        (server.root / "new").write_bytes(b"new")
        (server.root / "link").unlink()
        (server.root / "docs-and").chmod(0o600)
        for deep in (False, True):
            listed, last = verify(wire, deep=deep, root_digest=before)
            found = {entry.path: entry.entry for entry in listed}

            assert before != last.summary.root_digest
            assert digest(b"CONTENT OF A") == found[b"docs/a"].digest
            assert (True, False, 0o600) == (b"new" in found, b"link" in found, found[b"docs-and"].mode)
            assert last.summary.repaired > 0
            assert last.summary.bytes_read >= len(b"CONTENT OF A" + b"new")
