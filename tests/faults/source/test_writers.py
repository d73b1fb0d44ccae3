"""Files that are written all the time: no mixture of two versions ever passes for a version."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dirsync.fs.failure import PathFailure
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.stable import read_small
from dirsync.fs.root import Root
from dirsync.tree.path import RelPath
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import equal
from tests.support.trees.writer import is_whole, writing

pytestmark = pytest.mark.programs

READINGS = 10_000
"""Where only times are compared, some dozen of so many are torn."""
PUBLICATIONS = 1_000
SECONDS = 90
"""For all of them, on a machine that is busy."""
SIZE = 60_000
SIZES = [5_000, SIZE, 200_000]
"""Bytes of files that travel in a batch, and of one that travels in frames."""
F = RelPath(b"f")

ways = pytest.mark.parametrize("truncates", [False, True], ids=["rewritten", "emptied"])


@pytest.mark.case("D01", "D02")
@ways
def test_read(tmp_path: Path, *, truncates: bool) -> None:
    """Of many readings of a file that is written all the time, none returns a mixture, and most succeed."""
    taken = torn = 0
    with writing({tmp_path / "f": SIZE}, truncates=truncates), Root.open(tmp_path) as root:
        for _ in range(READINGS):
            with suppress(PathFailure):
                content, _ = read_small(root, F)
                taken += 1
                torn += not is_whole(content, SIZE)

    assert 0 == torn
    assert taken > READINGS // 2


@pytest.mark.case("D01", "D02")
@ways
def test_hashed(tmp_path: Path, *, truncates: bool) -> None:
    """Nor does any digest that is taken belong to a mixture."""
    digests = set[bytes]()
    with writing({tmp_path / "f": SIZE}, truncates=truncates), Root.open(tmp_path) as root:
        digester = Digester(root)
        for _ in range(READINGS):
            with suppress(PathFailure):
                digests.add(digester.digest(F)[0])

    assert 1 < len(digests) <= 26 + truncates


@pytest.mark.case("D01", "D02")
@ways
def test_control(tmp_path: Path, *, truncates: bool) -> None:
    """The race is real: a plain read returns a mixture sooner or later."""
    path = tmp_path / "f"
    with writing({path: SIZE}, truncates=truncates):
        end = time.monotonic() + 30
        while is_whole(path.read_bytes(), SIZE) and time.monotonic() < end:
            pass
        torn = time.monotonic() < end

    assert torn


@pytest.mark.case("D01", "D02")
@ways
def test_published(pair: Pair, *, truncates: bool) -> None:
    """What is published of files that are written all the time is one version, a thousand times, and then the last."""
    files = {pair.source / f"f{number}": SIZES[number % len(SIZES)] for number in range(9)}
    published, torn = set[tuple[str, int]](), list[str]()
    pair.server()
    (pair.source / "other").touch()
    with writing(files, truncates=truncates):
        client = pair.client(settle="1ms", synced=False)
        end = time.monotonic() + SECONDS
        while len(published) < PUBLICATIONS and time.monotonic() < end:
            for path, size in files.items():
                with suppress(FileNotFoundError), (pair.replica / path.name).open("rb") as file:
                    content = file.read()
                    published.add((path.name, os.fstat(file.fileno()).st_ctime_ns))
                    if not is_whole(content, size):
                        torn.append(f"{path.name}: {content[:1]!r} ... {content[-1:]!r}, {len(content)} bytes")
            time.sleep(0.002)  # leaves the processors to the three that race
    until(lambda: equal(pair.source, pair.replica), "the last version")
    client.stop()

    assert [] == torn
    assert len(published) >= PUBLICATIONS
