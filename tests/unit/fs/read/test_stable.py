"""One version of a file, or none."""

import itertools
import os
from pathlib import Path

import pytest

from dirsync.fs.failure import Changing, TooLarge, Vanished
from dirsync.fs.read.stable import StableFile, read_small
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from tests.unit.fs.places import make, path_of

F = path_of("f")


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536])
@pytest.mark.case("D14")
def test_read_small(tmp_path: Path, size: int) -> None:
    """Content of any size up to the limit is exact, and its status goes with it."""
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    with Root.open(tmp_path) as root:
        found, status = read_small(root, F)

    assert content == found
    assert size == status.st_size


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 4096])
@pytest.mark.case("D14")
def test_frames(tmp_path: Path, size: int) -> None:
    """Frames are full but for the last, and together the content."""
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    with Root.open(tmp_path) as root, StableFile(root, F) as file:
        frames = list(file.frames(2048))

        assert content == b"".join(frames)
        assert [2048] * (size // 2048) + [size % 2048] * (size % 2048 > 0) == [len(frame) for frame in frames]
        assert file.settled() is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.write_bytes(b"b" * 100),
        lambda f: os.truncate(f, 200),
        lambda f: os.truncate(f, 50),
        lambda f: os.utime(f, ns=(1, 1)),
    ],
    ids=["rewritten", "grown", "truncated", "touched"],
)
@pytest.mark.case("D01", "D02")
def test_change_while_reading(tmp_path: Path, change: object) -> None:
    """What was read is dropped if the file was changed meanwhile."""
    assert callable(change)
    (tmp_path / "f").write_bytes(b"a" * 100)
    os.utime(tmp_path / "f", ns=(0, 0))
    with Root.open(tmp_path) as root, StableFile(root, F) as file:
        file.read(10)
        change(tmp_path / "f")

        assert b"" == b"".join(file.frames(1000))[100:]
        assert file.settled() is None


def test_replaced_while_reading(tmp_path: Path) -> None:
    """A file that is replaced by rename is read to its end in the version that was opened."""
    make(tmp_path, "f=old g=newer")
    with Root.open(tmp_path) as root, StableFile(root, F) as file:
        (tmp_path / "g").rename(tmp_path / "f")

        assert b"old" == file.read(100)


@pytest.mark.parametrize(
    "disturbances, expected",
    [(0, b"00"), (1, b"11"), (LIMITS.stable_read_attempts, None)],
    ids=["no", "once", "always"],
)
@pytest.mark.case("D01")
def test_never_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disturbances: int, expected: bytes | None
) -> None:
    """A file that is rewritten between two reads is read again, and given up after a bounded number of attempts."""
    file = tmp_path / "f"
    file.write_bytes(b"00")
    os.utime(file, ns=(0, 0))
    reads = itertools.count()

    def one_byte(reading: StableFile, _size: int) -> bytes:
        read = next(reads)
        if read % 2 and read // 2 < disturbances:
            file.write_bytes(b"%d" % (read // 2 + 1) * 2)
        return os.read(reading.descriptor, 1)

    monkeypatch.setattr(StableFile, "read", one_byte)
    with Root.open(tmp_path) as root:
        if expected is None:
            with pytest.raises(Changing, match="f changed each time"):
                read_small(root, F)
        else:
            content, _ = read_small(root, F)

            assert expected == content


def test_too_large(tmp_path: Path) -> None:
    """A file beyond the limit is not read at all."""
    (tmp_path / "f").write_bytes(b"x" * (LIMITS.inline_file_bytes + 1))
    with Root.open(tmp_path) as root, pytest.raises(TooLarge, match=f"f is larger than {LIMITS.inline_file_bytes}"):
        read_small(root, F)


def test_vanished(tmp_path: Path) -> None:
    """A file that is gone says so."""
    with Root.open(tmp_path) as root, pytest.raises(Vanished, match="cannot open f: No such file"):
        read_small(root, F)
