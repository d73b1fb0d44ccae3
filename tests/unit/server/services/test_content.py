"""Content for two-way clients: exactly the bytes that were asked for, of one version, or an error that says why not."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.errors import DirsyncError, LimitExceeded
from dirsync.limits import KIB, LIMITS, MIB
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT, RelPath
from dirsync.wire.compression import Compression
from dirsync.wire.content import (
    ByteRange,
    ContentPiece,
    ContentRequest,
    check_content_pieces,
    decode_content_piece,
    encode_content_request,
)
from dirsync.wire.session import SessionMode
from tests.support.inside.direct import Direct, direct
from tests.support.trees.content import random_bytes

CONTENT = random_bytes(3 * MIB + 17)


class Reader:
    """A two-way session, and its reads."""

    def __init__(self, server: Direct) -> None:
        self.server = server
        self.session = server.open(TreeOptions(ignore_rules=(b"*.secret",)), mode=SessionMode.TWO_WAY)

    def write(self, name: str, content: bytes = CONTENT) -> bytes:
        """Put a file into the replica; returns the digest of its content."""
        (self.server.place / name).write_bytes(content)
        self.server.replica.scanner.rescan()
        return hashlib.sha256(content).digest()

    def ask(
        self, digest: bytes, *ranges: tuple[int, int], path: bytes = b"", offered: tuple[Compression, ...] = ()
    ) -> ContentRequest:
        """A request."""
        asked = tuple(ByteRange(*one) for one in ranges)
        return ContentRequest(self.session, digest, RelPath(path), asked, frozenset(offered))

    def pieces(self, request: ContentRequest) -> Iterator[ContentPiece]:
        """The pieces that answer it."""
        raws = self.server.api.read_content(encode_content_request(request), self.server.call)
        return (decode_content_piece(raw) for raw in raws)

    def read(self, request: ContentRequest, size: int = len(CONTENT)) -> bytes:
        """The bytes that answer it, which must be those asked for."""
        wanted = request.ranges or (ByteRange(0, size),)
        return b"".join(
            bytes(piece.literal) or bytes(piece.zeros) for piece in check_content_pieces(self.pieces(request), wanted)
        )

    def refusal(self, request: ContentRequest) -> str:
        """Why it is refused; empty if it is not."""
        try:
            for _ in self.pieces(request):
                pass
        except DirsyncError as error:
            return error.reason
        return ""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A two-way session on an empty replica."""
    with direct(tmp_path) as server:
        yield Reader(server)


def test_all(reader: Reader) -> None:
    """Without ranges all of the content comes, in pieces that a message can hold."""
    digest = reader.write("f")
    lengths = [len(piece.literal) for piece in reader.pieces(reader.ask(digest))]

    assert CONTENT == reader.read(reader.ask(digest))
    assert LIMITS.frame_bytes == max(lengths)


@pytest.mark.parametrize(
    "path", [b"", b"f", b"other", b"gone", b"d"], ids=["none", "right", "other", "gone", "directory"]
)
def test_path_is_a_hint(reader: Reader, path: bytes) -> None:
    """The content is found by its digest, whatever path is named."""
    (reader.server.place / "d").mkdir()
    reader.write("other", b"something else")
    digest = reader.write("f")

    assert CONTENT == reader.read(reader.ask(digest, path=path))


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 1)],
        [(len(CONTENT) - 1, 1)],
        [(0, 4096), (8192, 4096), (12_288, 10)],
        [(17, LIMITS.frame_bytes + 1)],
        [(number * 100, 7) for number in range(LIMITS.max_content_ranges)],
    ],
    ids=["first", "last", "blocks", "more than a frame", "most"],
)
def test_ranges(reader: Reader, ranges: list[tuple[int, int]]) -> None:
    """Exactly the ranges come, in their order."""
    digest = reader.write("f")
    expected = b"".join(CONTENT[offset : offset + length] for offset, length in ranges)

    assert expected == reader.read(reader.ask(digest, *ranges))


def test_going_on_where_it_ended(reader: Reader) -> None:
    """A read that was cut is continued with the rest as its range."""
    digest = reader.write("f")
    pieces = reader.pieces(reader.ask(digest))
    first = bytes(next(pieces).literal)
    pieces.close()  # type: ignore[attr-defined]
    rest = reader.read(reader.ask(digest, (len(first), len(CONTENT) - len(first))))

    assert CONTENT == first + rest


def test_empty_file(reader: Reader) -> None:
    """A file without content has no piece."""
    digest = reader.write("f", b"")

    assert [] == list(reader.pieces(reader.ask(digest, path=b"f")))


def test_holes(reader: Reader) -> None:
    """The holes of a file come as runs of zeros, whatever their size."""
    place = reader.server.place / "f"
    with place.open("wb") as file:
        file.truncate(900 * KIB)
        file.seek(300 * KIB)
        file.write(CONTENT[: 200 * KIB])
    content = place.read_bytes()
    reader.server.replica.scanner.rescan()
    request = reader.ask(hashlib.sha256(content).digest())
    pieces = list(reader.pieces(request))

    assert content == reader.read(request, len(content))
    assert sum(len(piece.literal) for piece in pieces) < 300 * KIB
    assert len(pieces) < 5


@pytest.mark.parametrize(
    "offered, content, packed",
    [
        ((), b"text " * 100_000, False),
        ((Compression.NONE,), b"text " * 100_000, False),
        ((Compression.ZSTD,), b"text " * 100_000, True),
        ((Compression.GZIP,), b"text " * 100_000, True),
        ((Compression.ZSTD, Compression.GZIP), CONTENT, False),
    ],
    ids=["nothing offered", "none", "zstd", "gzip", "random"],
)
def test_compression(reader: Reader, offered: tuple[Compression, ...], content: bytes, *, packed: bool) -> None:
    """Content is compressed if the client can decode that and it becomes smaller."""
    digest = reader.write("f", content)
    request = reader.ask(digest, offered=offered)

    assert content == reader.read(request, len(content))
    assert packed is (sum(piece.saved for piece in reader.pieces(request)) > len(content) // 2)


def test_unknown_content(reader: Reader) -> None:
    """Content that the replica does not have is not found, also where it was a moment ago."""
    digest = reader.write("f")
    nobodys = reader.refusal(reader.ask(bytes(range(32)), path=b"f"))
    (reader.server.place / "f").unlink()

    assert "CONTENT_NOT_FOUND" == nobodys
    assert "CONTENT_NOT_FOUND" == reader.refusal(reader.ask(digest, path=b"f"))


def rewrite(file: Path) -> None:
    """Other content of the same size, in place."""
    with file.open("r+b") as open_file:
        open_file.write(CONTENT[::-1])


def shorten(file: Path) -> None:
    """Cut the file off."""
    os.truncate(file, LIMITS.frame_bytes + 5)


def replace(file: Path) -> None:
    """Another file in its place."""
    new = file.with_name("new")
    new.write_bytes(b"new")
    new.replace(file)


@pytest.mark.parametrize("change", [rewrite, shorten, replace])
def test_changed_meanwhile(reader: Reader, change: Callable[[Path], None]) -> None:
    """A file that changes while it is read ends the read; no byte of the new version comes as one of the old."""
    digest = reader.write("f")
    pieces = reader.pieces(reader.ask(digest))
    got = [bytes(next(pieces).literal)]
    change(reader.server.place / "f")
    with pytest.raises(DirsyncError) as ended:
        got += (bytes(piece.literal) for piece in pieces)

    assert "CONTENT_CHANGED" == ended.value.reason
    assert CONTENT.startswith(b"".join(got))
    assert "CONTENT_NOT_FOUND" == reader.refusal(reader.ask(digest, path=b"f"))


def test_elsewhere_after_a_change(reader: Reader) -> None:
    """Content whose file was edited is read from another file that still has it."""
    digest = reader.write("f")
    reader.write("g")
    (reader.server.place / "f").write_bytes(b"edited")

    assert CONTENT == reader.read(reader.ask(digest, path=b"f"))


@pytest.mark.parametrize("name", ["key.secret", "link"])
def test_what_is_no_content_of_the_replica(reader: Reader, tmp_path: Path, name: str) -> None:
    """Ignored files, and what a link leads to, are never read, even by one who knows their digest."""
    content = random_bytes(1000)
    if name == "link":
        (tmp_path / "outside").write_bytes(content)
        (reader.server.place / name).symlink_to(tmp_path / "outside")
        reader.server.replica.scanner.rescan()
        digest = hashlib.sha256(content).digest()
    else:
        digest = reader.write(name, content)

    assert "CONTENT_NOT_FOUND" == reader.refusal(reader.ask(digest, path=name.encode()))


def test_unread_files_are_not_read(reader: Reader) -> None:
    """The digest of a file that the server has not read names no content."""
    reader.write("f")
    entry = reader.server.replica.state.get(RelPath(b"f"))
    unread = bytes(16) + os.urandom(16)

    assert entry is not None
    assert "INVALID_DIGEST" == reader.refusal(reader.ask(unread, path=b"f"))


def test_bytes_behind_the_end(reader: Reader) -> None:
    """Ranges that the content does not have are refused before anything is sent."""
    digest = reader.write("f")

    assert "INVALID_RANGE" == reader.refusal(reader.ask(digest, (0, 1), (len(CONTENT), 1)))


def test_reads_at_a_time(reader: Reader) -> None:
    """A session reads a few contents at a time; one that ended, in whatever way, makes room."""
    digest = reader.write("f")
    reads = [reader.pieces(reader.ask(digest)) for _ in range(LIMITS.max_content_reads)]
    for one in reads:
        next(one)
    with pytest.raises(LimitExceeded):
        next(reader.pieces(reader.ask(digest)))
    reads.pop().close()  # type: ignore[attr-defined]

    assert CONTENT == reader.read(reader.ask(digest))

    for _ in reads.pop():
        pass

    assert 0 == sum(len(one.streams) for one in reader.server.sessions.writers("default"))


def test_mirror_sessions_read_nothing(tmp_path: Path) -> None:
    """A mirror session has nothing to read for."""
    with direct(tmp_path) as server:
        request = ContentRequest(server.open(), bytes(range(32)), ROOT)
        with pytest.raises(DirsyncError) as refused:
            next(server.api.read_content(encode_content_request(request), server.call))

    assert "OUT_OF_TURN" == refused.value.reason
