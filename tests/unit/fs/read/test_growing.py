"""The first part of a file that grows is a version; a mixture never is."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.fs.failure import Changing, PathFailure
from dirsync.fs.fingerprint import RACY, flags_of
from dirsync.fs.read import stable
from dirsync.fs.read.growing import GrowingFile
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, digest_of, size_of
from tests.unit.fs.places import path_of

F = path_of("f")
SIZE = 2 * LIMITS.frame_bytes + 1000
OLD = b"a" * SIZE


def append(file: Path, content: bytes = b"more") -> None:
    """Add to the end."""
    with file.open("ab") as opened:
        opened.write(content)


def overwrite(file: Path, at: int, content: bytes) -> None:
    """Write over some of it."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def read(
    root: Root, after_frame: Callable[[int], object] = lambda _: None, while_proved: Callable[[int], object] = id
) -> tuple[Record | None, bool, bytes]:
    """Read ``f``, with something done after each piece of the first and of the second reading."""
    with GrowingFile(root, F) as file:
        content = b""
        for number, frame in enumerate(file.frames()):
            content += frame
            after_frame(number)
        number = 0
        while not file.prove():
            while_proved(number)
            number += 1
        return file.finish(), file.is_older, content


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A large file, written a while ago."""
    (tmp_path / "f").write_bytes(OLD)
    os.utime(tmp_path / "f", ns=(0, 0))
    return tmp_path / "f"


def test_at_rest(source: Path) -> None:
    """A file that nobody writes is read once."""
    with Root.open(source.parent) as root:
        record, older, content = read(root)

    assert record is not None
    assert (hashlib.sha256(OLD).digest(), False, OLD) == (digest_of(record), older, content)


@pytest.mark.case("D01")
def test_appended_all_the_time(source: Path) -> None:
    """Of a file that grows between any two pieces, what was there at first is a version, and it is known to be old."""
    with Root.open(source.parent) as root:
        record, older, content = read(root, lambda _: append(source), lambda _: append(source))

    assert record is not None
    assert (hashlib.sha256(OLD).digest(), SIZE, OLD) == (digest_of(record), size_of(record), content)
    assert older
    assert flags_of(record) & RACY


@pytest.mark.case("D01", "D02")
@pytest.mark.parametrize(
    "change",
    [
        lambda f: overwrite(f, 0, b"b"),
        lambda f: overwrite(f, SIZE - 1, b"b"),
        lambda f: os.truncate(f, SIZE - 1),
        lambda f: f.write_bytes(b"b" * SIZE),
        lambda f: os.utime(f, ns=(1, 1)),
    ],
    ids=["first byte", "last byte", "truncated", "rewritten", "touched"],
)
def test_rewritten(source: Path, change: Callable[[Path], object]) -> None:
    """A file that is rewritten is given up before the next piece."""
    pieces = list[int]()

    def note_and_change(number: int) -> None:
        pieces.append(number)
        change(source)

    with Root.open(source.parent) as root, pytest.raises(Changing, match="f was rewritten while it was read"):
        read(root, note_and_change)

    assert [0] == pieces


def overwrite_both(file: Path) -> None:
    """Write over some of it at both ends."""
    overwrite(file, 10, b"b")
    overwrite(file, SIZE - 10, b"b")


REWRITES: dict[str, Callable[[Path], object]] = {
    "read before": lambda f: overwrite(f, 10, b"b"),
    "to be read": lambda f: overwrite(f, SIZE - 10, b"b"),
    "both": overwrite_both,
    "all": lambda f: f.write_bytes(b"b" * SIZE),
}


@pytest.mark.case("D01")
@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("reading", ["first", "second"])
def test_rewritten_and_appended(source: Path, rewrite: str, reading: str) -> None:
    """A writer who also appends each time hides nothing: what is published was the content at one moment."""
    before = source.read_bytes()

    def change(number: int) -> None:
        if number == 0:
            REWRITES[rewrite](source)
        append(source)

    def only_append(_: int) -> None:
        append(source)

    hooks = (change, only_append) if reading == "first" else (only_append, change)
    with Root.open(source.parent) as root:
        try:
            record, _, content = read(root, *hooks)
        except PathFailure:
            return
    after = source.read_bytes()[:SIZE]

    assert record is None or content in (before, after)


@pytest.mark.case("D01")
def test_half_a_write(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that differs before and after waiting for writers may be that of half a write: it starts no version."""
    monkeypatch.setattr(stable, "wait_for_writers_of", lambda _: append(source))
    with Root.open(source.parent) as root:
        record, _, _ = read(root)

    assert record is None


def test_emptied(source: Path) -> None:
    """A file that was emptied while it was read is no version."""
    with Root.open(source.parent) as root, pytest.raises(Changing):
        read(root, lambda _: os.truncate(source, 0))
