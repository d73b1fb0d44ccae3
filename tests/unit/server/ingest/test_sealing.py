"""A small file that came in and cannot be completed."""

import errno
from pathlib import Path

import pytest

from dirsync.fs.failure import StorageFailed
from dirsync.fs.write.staged import StagedFile
from dirsync.tree.path import RelPath
from tests.support.inside.direct import direct, send
from tests.support.peers.operations import batch, commit, put


def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refuses the last call: the operation fails, and what was staged is gone."""

    def fail(_staged: StagedFile, *_: object) -> None:
        raise StorageFailed(RelPath(b"f"), "cannot stage f: no space left", code=errno.ENOSPC)

    (tmp_path / "replica").mkdir()
    monkeypatch.setattr(StagedFile, "seal", fail)
    with direct(tmp_path) as server:
        handler = server.push(server.open())
        *_, answer = send(handler, batch(put(1, b"f", b"content")), commit())
        left = [path.name for path in tmp_path.iterdir() if "staging" in path.name]
        handler.close()

    assert [1] == [failure.number for failure in answer.failures]
    assert [] == left
