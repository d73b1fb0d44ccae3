"""What is staged is what the digest names, whatever a server sends and whatever the source has."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.errors import DirsyncError, NotFound
from dirsync.fs.failure import StorageFailed
from dirsync.fs.root import Root
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, file_entry
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.wire.content import ContentPiece, ContentRequest
from dirsync_client.receive.content import ContentStager, Segment, covering
from dirsync_client.receive.results import Counted
from dirsync_client.reconcile.two_way.commands import Receive

CONTENT = b"what the replica has" * 100
Answer = Callable[[ContentRequest], Iterator[ContentPiece]]


def entry_of(content: bytes, size: int | None = None) -> Entry:
    """A file with this content, or one that is said to have another size."""
    digest = hashlib.sha256(content).digest()
    return file_entry(mode=0o644, size=len(content) if size is None else size, mtime_ns=7, digest=digest)


class Place:
    """A source, and a server that answers as it is told."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path / "source"
        self.path.mkdir()
        self.root = Root.open(self.path)
        self.staging = Staging.open(self.root)
        self.requests: list[ContentRequest] = []
        self._answer = answer
        self.stager = ContentStager(
            self.root, self.staging, b"session", self._read, lambda *_: iter(()), 4096, lambda: False
        )

    def stage(self, content: bytes = CONTENT, near: RelPath | None = None, size: int | None = None) -> bytes:
        """Stage a file; returns what is staged."""
        receive = Receive(PutFile(RelPath(b"f"), None, entry_of(content, size)), near, RelPath(b"f"))
        staged, self.counted = self.stager.stage(receive)
        return self.read(staged)

    def read(self, staged: StagedFile) -> bytes:
        """What a staged file holds."""
        descriptor = staged.reopen()
        try:
            return os.read(descriptor, 1 << 20)
        finally:
            os.close(descriptor)

    @property
    def staged(self) -> list[str]:
        """Names that are left in the staging directory."""
        return [name for found in self.path.parent.glob(".source*") for name in os.listdir(found)]

    def close(self) -> None:
        """Let go of everything."""
        self.stager.close()
        self.staging.close()
        self.root.close()

    def _read(self, request: ContentRequest) -> Iterator[ContentPiece]:
        self.requests.append(request)
        return self._answer(request)


def whole(request: ContentRequest) -> Iterator[ContentPiece]:
    """An honest answer, in two pieces."""
    yield ContentPiece(0, CONTENT[:1000])
    yield ContentPiece(1000, CONTENT[1000 : sum(request.ranges[-1])])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[Answer], Place]]:
    """Makes a place, and lets go of it."""
    places: list[Place] = []

    def made(answer: Answer) -> Place:
        places.append(Place(tmp_path, answer))
        return places[-1]

    yield made
    for place in places:
        place.close()


def test_takes_it_from_the_server(make: Callable[[Answer], Place]) -> None:
    """All of it, with its metadata."""
    place = make(whole)

    assert CONTENT == place.stage()
    assert Counted(len(CONTENT), 0) == place.counted


def test_takes_it_from_the_source(make: Callable[[Answer], Place]) -> None:
    """Nothing is asked for."""
    place = make(whole)
    (place.path / "there").write_bytes(CONTENT)

    assert CONTENT == place.stage(near=RelPath(b"there"))
    assert [] == place.requests


@pytest.mark.parametrize("there", [b"x" * len(CONTENT), b"short", None])
def test_what_is_not_there_any_more_is_asked_for(make: Callable[[Answer], Place], there: bytes | None) -> None:
    """A file of the source that was changed, or is gone, is no source of content."""
    place = make(whole)
    if there is not None:
        (place.path / "there").write_bytes(there)

    assert CONTENT == place.stage(near=RelPath(b"there"))
    assert 1 == len(place.requests)


def _gone(_request: ContentRequest) -> Iterator[ContentPiece]:
    raise NotFound("gone", reason="CONTENT_NOT_FOUND")


LIES: dict[str, Answer] = {
    "other bytes": lambda _: iter([ContentPiece(0, b"x" * len(CONTENT))]),
    "nothing": lambda _: iter(()),
    "too little": lambda _: iter([ContentPiece(0, CONTENT[:-1])]),
    "too much": lambda _: iter([ContentPiece(0, CONTENT + b"x")]),
    "another place": lambda _: iter([ContentPiece(1, CONTENT)]),
    "zeros without end": lambda _: iter([ContentPiece(0, b"", 1 << 60)]),
    "gone": _gone,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies(make: Callable[[Answer], Place], lie: str) -> None:
    """Nothing of it stays."""
    place = make(LIES[lie])
    with pytest.raises(DirsyncError):
        place.stage()

    assert [] == place.staged


def test_a_size_that_does_not_fit(make: Callable[[Answer], Place]) -> None:
    """More than the disk has is not even begun."""
    place = make(whole)
    with pytest.raises(StorageFailed):
        place.stage(size=1 << 60)

    assert ([], []) == (place.requests, place.staged)


def test_covering() -> None:
    """The segments follow each other, have everything, and take from the old version what was found there."""
    assert [] == covering({}, 0)
    assert [Segment(0, 5, None)] == covering({}, 5)
    assert [Segment(0, 4, 100), Segment(4, 2, None)] == covering({0: (4, 100)}, 6)
    assert [Segment(0, 4, None), Segment(4, 2, 7)] == covering({4: (4, 7)}, 6)
    assert [Segment(0, 4, 0), Segment(4, 2, 12)] == covering({0: (4, 0), 2: (4, 10)}, 6)
    chance = random.Random(1)
    for _ in range(200):
        size = chance.randrange(1, 50)
        found = {chance.randrange(size): (chance.randrange(1, 20), chance.randrange(1000)) for _ in range(8)}
        segments = covering(found, size)
        assert [0, *(s.offset + s.length for s in segments)] == [*(s.offset for s in segments), size]
        for offset, length, at in segments:
            if at is not None:
                assert any(
                    start <= offset and offset + length <= start + span and at - offset == old - start
                    for start, (span, old) in found.items()
                )
