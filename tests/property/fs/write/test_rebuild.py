"""Whatever pieces a file is rebuilt from, what is staged is their sequence, and the digest is its own."""

import hashlib
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.read.extents import extents
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staging import Staging
from dirsync.tree.path import RelPath

PAGE = 4096
lengths = st.integers(0, 5 * PAGE) | st.sampled_from((PAGE, 2 * PAGE, 2 * PAGE + 1))
bases = st.lists(st.binary(min_size=1, max_size=2 * PAGE) | lengths, max_size=6)
"""Runs of data, and lengths of holes."""


def make(path: Path, runs: list[bytes | int]) -> bytes:
    """Make a file of these runs; its content."""
    with path.open("wb") as file:
        for run in runs:
            if isinstance(run, int):
                file.seek(run, os.SEEK_CUR)
                file.truncate()
            else:
                file.write(run)
    return path.read_bytes()


@st.composite
def rebuilds(draw: st.DrawFn) -> tuple[list[bytes | int], list[bytes | int | tuple[float, float]]]:
    """A basis, and pieces: literals, lengths of zeros, and ranges of the basis as fractions of it."""
    fractions = st.tuples(st.floats(0, 1), st.floats(0, 1))
    return draw(bases), draw(st.lists(st.binary(max_size=PAGE) | lengths | fractions, max_size=8))


@given(rebuilds())
def test_pieces_make_up_the_file(drawn: tuple[list[bytes | int], list[bytes | int | tuple[float, float]]]) -> None:
    """Literals, zeros and copies of data and holes: content, size and digest are those of their sequence."""
    runs, pieces = drawn
    expected = b""
    with tempfile.TemporaryDirectory() as directory:
        seed = make(Path(directory, "basis"), runs)
        with Root.open(directory) as root, Staging.open(root) as staging, StableFile(root, RelPath(b"basis")) as basis:
            file = staging.create(RelPath(b"f"))
            rebuild = Rebuild(file, basis)
            for piece in pieces:
                match piece:
                    case bytes():
                        rebuild.write(piece)
                        expected += piece
                    case int():
                        rebuild.zeros(piece)
                        expected += bytes(piece)
                    case (at, share):
                        offset = int(at * len(seed))
                        length = int(share * (len(seed) - offset))
                        rebuild.copy(offset, length)
                        expected += seed[offset : offset + length]
            found = os.pread(file.fd, len(expected) + 1, 0)
            file.seal(len(expected), 0o600, None)
            file.discard()

    assert expected == found
    assert (len(expected), hashlib.sha256(expected).digest()) == (rebuild.size, rebuild.digest())


@given(bases, st.floats(0, 1), st.floats(0, 1))
def test_extents_cover_the_range(runs: list[bytes | int], first: float, second: float) -> None:
    """Extents follow one another from the start to the end, none empty, and what is a hole reads as zeros."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "basis")
        content = make(path, runs)
        start, end = sorted((int(first * len(content)), int(second * len(content))))
        with path.open("rb") as file:
            found = list(extents(file.fileno(), start, end))

    assert [start, *(extent.end for extent in found)] == [*(extent.start for extent in found), end]
    assert all(extent.start < extent.end for extent in found)
    assert not any(any(content[extent.start : extent.end]) for extent in found if extent.is_hole)
