"""What is staged is what the digest names, whatever a server sends and whatever the source has."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dirsync.endpoint.apply.outcomes import Mismatch
from dirsync.errors import DirsyncError, NotFound, Unavailable
from dirsync.fs.failure import StorageFailed
from dirsync.fs.root import Root
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, file_entry
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.wire.content import ContentPiece, ContentRequest
from dirsync_client.receive.content import ContentStager
from dirsync_client.receive.results import Counted
from dirsync_client.receive.segments import Segment, covering, from_offset, missing
from dirsync_client.reconcile.two_way.commands import Receive

CONTENT = b"what the replica has" * 100
Answer = Callable[[ContentRequest], Iterator[ContentPiece]]


def entry_of(content: bytes, size: int | None = None) -> Entry:
    """A file with this content, or one that is said to have another size."""
    digest = hashlib.sha256(content).digest()
    return file_entry(mode=0o644, size=len(content) if size is None else size, mtime_ns=7, digest=digest)


LARGE = random.Random(3).randbytes(1_000_000)


class Place:
    """A source, and a server that answers as it is told."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path / "source"
        self.path.mkdir()
        self.requests: list[ContentRequest] = []
        self.answer = answer
        self.gives_up = self._give_up_after = False
        self._open()

    def _open(self) -> None:
        self.root = Root.open(self.path)
        self.staging = Staging.open(self.root)
        self.stager = ContentStager(
            self.root, self.staging, b"session", self._read, lambda *_: iter(()), 4096, lambda: self.gives_up
        )

    def restart(self) -> None:
        """Another process."""
        self.close()
        self._open()

    def stage_large(self, content: bytes = LARGE, *, give_up: bool = False) -> bytes:
        """Stage a large file; ``give_up``: the session ends with the first call."""
        self._give_up_after = give_up
        try:
            return self.stage(content)
        finally:
            self.gives_up = False

    def stage(self, content: bytes = CONTENT, near: RelPath | None = None, size: int | None = None) -> bytes:
        """Stage a file; returns what is staged."""
        receive = Receive(PutFile(RelPath(b"f"), None, entry_of(content, size)), near, RelPath(b"f"))
        staged, self.counted = self.stager.stage(receive)
        return self.read(staged)

    def read(self, staged: StagedFile) -> bytes:
        """What a staged file holds."""
        descriptor = staged.reopen()
        try:
            return os.read(descriptor, 1 << 21)
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
        try:
            yield from self.answer(request)
        except Unavailable:
            self.gives_up = self._give_up_after
            raise


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


@pytest.mark.case("J01", "I05", "I09")
@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies(make: Callable[[Answer], Place], lie: str) -> None:
    """Nothing of it stays."""
    place = make(LIES[lie])
    with pytest.raises(DirsyncError):
        place.stage()

    assert [] == place.staged


@pytest.mark.case("I10")
def test_a_size_that_does_not_fit(make: Callable[[Answer], Place]) -> None:
    """More than the disk has is not even begun."""
    place = make(whole)
    with pytest.raises(StorageFailed):
        place.stage(size=1 << 60)

    assert ([], []) == (place.requests, place.staged)


def cut_after(size: int, content: bytes = LARGE) -> Answer:
    """An answer that ends with the connection after so many bytes."""

    def answer(request: ContentRequest) -> Iterator[ContentPiece]:
        left = size
        for offset, length in request.ranges:
            for at in range(offset, offset + length, 100_000):
                if left <= 0:
                    raise Unavailable("the connection was lost")
                literal = content[at : min(at + 100_000, offset + length)]
                left -= len(literal)
                yield ContentPiece(at, literal)

    return answer


@pytest.mark.parametrize("new_process", [False, True])
def test_a_cut_download_goes_on(make: Callable[[Answer], Place], new_process: bool) -> None:
    """What had come is not asked for again, in this process or in the next one, and what is published is whole."""
    place = make(cut_after(300_000))
    with pytest.raises(Unavailable):
        place.stage_large(give_up=True)
    if new_process:
        place.restart()
    asked = len(place.requests)
    place.answer = cut_after(1 << 30)

    assert LARGE == place.stage_large()
    assert [(300_000, 700_000)] == [tuple(found) for request in place.requests[asked:] for found in request.ranges]
    assert Counted(700_000, 0, resumed=300_000) == place.counted


def test_a_deadline_costs_nothing(make: Callable[[Answer], Place]) -> None:
    """A call that ends after some bytes is followed by one for the rest; one that brings nothing is not repeated."""
    place = make(cut_after(300_000))
    staged = place.stage_large()
    firsts = [request.ranges[0].offset for request in place.requests]
    place.answer = cut_after(0)
    with pytest.raises(Unavailable):
        place.stage_large(CONTENT * 100)

    assert (LARGE, [0, 300_000, 600_000, 900_000]) == (staged, firsts)
    assert 5 == len(place.requests)


@pytest.mark.parametrize("damage", ["other bytes", "too long", "a directory", "a link"])
def test_what_is_kept_proves_nothing(make: Callable[[Answer], Place], damage: str) -> None:
    """What somebody, or a crash, left of a download is found out by the digest, and the next try begins anew."""
    place = make(cut_after(300_000))
    with pytest.raises(Unavailable):
        place.stage_large(give_up=True)
    (kept,) = [found / name for found in place.path.parent.glob(".source*") for name in os.listdir(found)]
    match damage:
        case "other bytes":
            kept.write_bytes(b"x" * 300_000)
        case "too long":
            kept.write_bytes(bytes(len(LARGE) + 1))
        case _:
            kept.unlink()
            kept.mkdir() if damage == "a directory" else kept.symlink_to(place.path)
    place.answer = cut_after(1 << 30)
    for _ in range(2):
        with suppress(Mismatch):
            assert LARGE == place.stage_large()
            break
    else:
        pytest.fail("never")
    assert [] == os.listdir(place.path)


def test_an_edit_of_what_came_in_part(make: Callable[[Answer], Place]) -> None:
    """If the replica's file changes meanwhile, what had come of the other version is not taken for the new one's."""
    place, other = make(cut_after(300_000)), LARGE[:500_000] + b"edited" + LARGE[500_006:]
    with pytest.raises(Unavailable):
        place.stage_large(give_up=True)
    place.answer = cut_after(1 << 30, other)

    assert other == place.stage_large(other)
    assert place.requests[-1].ranges[0].offset == 0


def test_segments_from_an_offset() -> None:
    """What is there is cut off; what the old version has is taken from the right place."""
    segments = [Segment(0, 10, None), Segment(10, 5, 100), Segment(15, 5, None)]

    assert segments == from_offset(segments, 0)
    assert [Segment(4, 6, None), *segments[1:]] == from_offset(segments, 4)
    assert [Segment(12, 3, 102), segments[2]] == from_offset(segments, 12)
    assert [] == from_offset(segments, 20)
    assert [(4, 6), (15, 5)] == missing(from_offset(segments, 4))


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
