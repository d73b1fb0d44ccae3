"""What is asked about a file's holes costs no more than reading the file."""

import os
from pathlib import Path

import pytest

from dirsync.fs.read.extents import Extent, extents
from dirsync.limits import KIB, MIB


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ways in which the kernel was asked; each question still reaches it."""
    whences: list[int] = []
    lseek = os.lseek

    def watched(descriptor: int, position: int, whence: int) -> int:
        whences.append(whence)
        return lseek(descriptor, position, whence)

    monkeypatch.setattr(os, "lseek", watched)
    return whences


def test_file_without_holes_is_not_asked(disk: Path, asked: list[int]) -> None:
    """A file that holds all its bytes is one extent, however long it is."""
    (disk / "f").write_bytes(os.urandom(MIB))
    with (disk / "f").open("rb") as file:
        os.fsync(file.fileno())
        asked.clear()

        assert [Extent(5, MIB - 5, is_hole=False)] == list(extents(file.fileno(), 5, MIB - 5))
    assert [] == asked


def test_questions_are_bounded(disk: Path, asked: list[int]) -> None:
    """Holes are asked for once for each step of data, and never in the way that looks at all the rest of the file."""
    with (disk / "f").open("w+b") as file:
        file.write(os.urandom(MIB))
        file.truncate(8 * MIB)
        file.flush()
        os.fsync(file.fileno())
        asked.clear()
        found = list(extents(file.fileno(), 0, 8 * MIB))

    assert Extent(MIB, 8 * MIB, is_hole=True) == found[-1]
    assert [os.SEEK_DATA] * (MIB // (64 * KIB) + 1) == asked


def test_file_system_that_cannot_tell(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If holes are not known, everything is data."""

    def refuse(*_: int) -> int:
        raise OSError(22, "Invalid argument")

    with (disk / "f").open("w+b") as file:
        file.truncate(MIB)
        monkeypatch.setattr(os, "lseek", refuse)
        found = list(extents(file.fileno(), 0, MIB))
        monkeypatch.undo()

    assert (0, MIB) == (found[0].start, found[-1].end)
    assert not any(extent.is_hole for extent in found)
