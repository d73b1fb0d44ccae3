"""Operations of a session with ignore rules: what a path is, or becomes, decides whether the rules name it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.apply import step_applier
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.outcome import Outcome
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import batch, commit, delete, directory, file, make_directory, put, seen

ONLY_KEEP = TreeOptions(Attributes(), (b"/*", b"!/keep/"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """An empty replica."""
    with direct(tmp_path) as server:
        yield server


def test_directory_included_again(server: Direct) -> None:
    """A directory that a rule with a slash includes again is made, filled, changed and removed."""
    handler = server.push(server.open(ONLY_KEEP))
    (made,) = send(handler, batch(make_directory(1, b"keep"), put(2, b"keep/a", b"1")), commit())
    there = (server.place / "keep/a").read_bytes()
    (changed,) = send(handler, batch(make_directory(3, b"keep", seen(directory()), mode=0o700)), commit())
    was = delete(4, b"keep/a", seen(file(b"1")))
    (removed,) = send(handler, batch(was, delete(5, b"keep", seen(directory()))), commit())
    handler.close()

    assert ([], [], [], b"1") == (*(list(answer.failures) for answer in (made, changed, removed)), there)
    assert [] == list(server.place.iterdir())


@pytest.mark.parametrize("name", [b"keep", b"other"])
def test_file_of_that_name(server: Direct, name: bytes) -> None:
    """A file where only a directory is included again is ignored, and so is anything else."""
    handler = server.push(server.open(ONLY_KEEP))
    (answer,) = send(handler, batch(put(1, name, b"1")), commit())
    handler.close()

    assert [Outcome.REFUSED] == [failure.outcome for failure in answer.failures]
    assert "is ignored in this session" in answer.failures[0].message
    assert [] == list(server.place.iterdir())


def test_ignored_file_in_the_way(server: Direct) -> None:
    """An ignored file where the source has a directory of its own is not replaced."""
    (server.place / "keep").write_text("mine")
    handler = server.push(server.open(ONLY_KEEP))
    (answer,) = send(handler, batch(make_directory(1, b"keep")), commit())
    handler.close()

    assert 1 == len(answer.failures)
    assert "mine" == (server.place / "keep").read_text()


def test_lost_and_found(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is put into the replica's own lost+found, or over it."""
    monkeypatch.setattr(step_applier, "has_lost_and_found", lambda _root: True)
    handler = server.push(server.open())
    (answer,) = send(handler, batch(make_directory(1, b"lost+found"), make_directory(2, b"d")), commit())
    handler.close()

    assert [1] == [failure.number for failure in answer.failures]
    assert "belongs to the file system of the replica" in answer.failures[0].message
    assert ["d"] == [path.name for path in server.place.iterdir()]
