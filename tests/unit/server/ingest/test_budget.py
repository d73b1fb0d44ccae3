"""How much may still come in on a stream, with what is on its way already."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dirsync.errors import LimitExceeded, StorageError
from dirsync.tree.path import RelPath
from dirsync_server.ingest.budget import USAGE_REFRESH_BYTES, SpaceBudget
from tests.support.inside.direct import QUOTA, Direct, direct

A, B = RelPath(b"a"), RelPath(b"b")


@dataclass
class Content:
    """A file that is on its way."""

    announced: int
    arrived: int = 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """A replica that holds 30 of its 100 bytes."""
    (tmp_path / "replica").mkdir()
    (tmp_path / "replica" / "a").write_bytes(bytes(30))
    with direct(tmp_path, QUOTA._replace(max_bytes=100)) as server:
        yield server


def admits(budget: SpaceBudget, path: RelPath, size: int) -> bool:
    """Whether a file of this size may come."""
    try:
        budget.admit(path, size)
    except LimitExceeded:
        return False
    return True


def test_what_is_there_counts(server: Direct) -> None:
    """The replica's own bytes count, but not those of the file that is replaced."""
    budget = SpaceBudget(server.replica, {})

    assert (True, False) == (admits(budget, B, 70), admits(budget, B, 71))
    assert (True, False) == (admits(budget, A, 100), admits(budget, A, 101))


def test_what_is_on_its_way_counts(server: Direct) -> None:
    """What was announced counts as a whole from the start, and goes on counting when it has arrived."""
    incoming = {1: Content(announced=40, arrived=10)}
    budget = SpaceBudget(server.replica, incoming)

    assert (True, False) == (admits(budget, B, 30), admits(budget, B, 31))

    del incoming[1]
    budget.take(40)

    assert 40 == budget.staged
    assert (True, False) == (admits(budget, B, 30), admits(budget, B, 31))

    budget.committed()

    assert 0 == budget.staged
    assert admits(budget, B, 70)


def test_the_disk_is_asked_again(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many admitted bytes, and only then, the disk is asked how much is left."""
    server.replica.set_quota(QUOTA._replace(max_file_size=1 << 40, max_bytes=1 << 50, min_free_bytes=1))
    free = [1 << 50, 0]
    monkeypatch.setattr(server.replica.root, "free_bytes", lambda: free.pop(0))
    budget = SpaceBudget(server.replica, {})
    budget.admit(B, USAGE_REFRESH_BYTES)
    with pytest.raises(StorageError, match="MIN_FREE_BYTES"):
        budget.admit(B, 1)

    assert [] == free
