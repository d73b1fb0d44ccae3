"""Deleting a directory in which something is left that is not mirrored."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import batch, commit, delete, directory, make_directory, seen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """An empty replica."""
    with direct(tmp_path) as server:
        yield server


def test_refused(server: Direct) -> None:
    """It is refused and stays mirrored, so that the client names a problem instead of trying for ever."""
    session = server.open()
    handler = server.push(session)
    send(handler, batch(make_directory(1, b"d"), make_directory(2, b"d/f")), commit())
    os.mkfifo(server.place / "d/f/fifo")
    (first,) = send(handler, batch(delete(3, b"d/f", seen(directory()))), commit())
    (again,) = send(handler, batch(delete(4, b"d/f", seen(directory()))), commit())
    handler.close()

    assert [Outcome.REFUSED, Outcome.REFUSED] == [answer.failures[0].outcome for answer in (first, again)]
    assert "d/f" in first.failures[0].message
    assert first.root_digest == again.root_digest
    assert [b"f"] == [name for name, _ in server.list(session, RelPath(b"d"))]
    assert (server.place / "d/f/fifo").is_fifo()
