"""Checksums of blocks: any block of any file, of one version, each byte read once."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.errors import Unavailable
from dirsync.fs.failure import Changing
from dirsync.fs.read.checksums import block_checksums
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.limits import LIMITS, MIB
from tests.unit.fs.places import path_of

SIZE = 2 * MIB + 5000
CONTENT = os.urandom(SIZE)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StableFile]:
    """A file of a bit more than two reads."""
    (tmp_path / "f").write_bytes(CONTENT)
    with Root.open(tmp_path) as root, StableFile(root, path_of("f")) as file:
        yield file


def expected(block_size: int, block: int) -> bytes:
    """By the libraries themselves."""
    part = CONTENT[block * block_size : (block + 1) * block_size]
    return zlib.adler32(part).to_bytes(4, "little") + hashlib.sha256(part).digest()


@pytest.mark.parametrize("block_size", [512, 4096, 5000, MIB - 1, MIB, MIB + 1, SIZE - 1, SIZE, 16 * MIB])
@pytest.mark.case("D14")
def test_every_block(file: StableFile, block_size: int) -> None:
    """Blocks of any size, larger ones than a read too; each byte is hashed once."""
    blocks = -(-SIZE // block_size)
    hashed: list[int] = []
    runs = list(block_checksums(file, block_size, [(0, blocks)], hashed=hashed.append))

    assert b"".join(expected(block_size, block) for block in range(blocks)) == b"".join(packed for _, packed in runs)
    assert SIZE == sum(hashed)
    assert max(hashed) <= LIMITS.file_read_bytes
    at = 0
    for first, packed in runs:
        assert at == first
        at += len(packed) // 36


def test_ranges(file: StableFile) -> None:
    """Only what was asked for is read."""
    hashed: list[int] = []
    runs = list(block_checksums(file, 4096, [(1, 2), (100, 1), (513, 1)], hashed=hashed.append))

    assert [(1, expected(4096, 1) + expected(4096, 2)), (100, expected(4096, 100)), (513, expected(4096, 513))] == runs
    assert 3 * 4096 + SIZE % 4096 == sum(hashed)


@pytest.mark.parametrize("block_size", [4096, 2 * MIB])
@pytest.mark.parametrize("change", ["edit", "truncate", "grow"])
@pytest.mark.case("D01", "D02")
def test_changed(file: StableFile, tmp_path: Path, change: str, block_size: int) -> None:
    """No more is returned of a file that was changed."""
    runs = block_checksums(file, block_size, [(0, -(-SIZE // block_size))])
    next(runs)
    match change:
        case "edit":
            with (tmp_path / "f").open("r+b") as opened:
                opened.write(b"edited")
        case "truncate":
            os.truncate(tmp_path / "f", 10)
        case _:
            os.truncate(tmp_path / "f", SIZE + 1)
    with pytest.raises(Changing, match="f changed while it was read"):
        next(runs)


def test_cancelled(file: StableFile) -> None:
    """A caller that does not need the rest does not wait for it."""
    asked = iter([False, True])
    runs = block_checksums(file, 4096, [(0, 514)], cancelled=lambda: next(asked))
    next(runs)
    with pytest.raises(Unavailable):
        next(runs)
