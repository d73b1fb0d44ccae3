"""A new version of a large file is hashed from where it differs, at both ends."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dirsync.endpoint.quota import Quota
from dirsync.fs.read.content_hash import Checkpoint
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.limits import LIMITS
from tests.support.inside.direct import Direct, direct
from tests.support.inside.uploads import Uploader

CONTENT = random.Random(1).randbytes(5 * LIMITS.frame_bytes + 1000)
MORE = random.Random(2).randbytes(2 * LIMITS.frame_bytes)
QUOTA = Quota(max_file_size=1 << 30, max_bytes=1 << 30, max_entries=1000, min_free_bytes=0)
AT = 3 * LIMITS.frame_bytes + 17
LONGER, EDITED = CONTENT + MORE, CONTENT[:AT] + b"?" + CONTENT[AT + 1 :]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """It has the file, and has hashed it itself."""
    (tmp_path / "source").mkdir()
    with direct(tmp_path, QUOTA) as server:
        yield server


@pytest.fixture
def uploader(tmp_path: Path, server: Direct) -> Iterator[Uploader]:
    """The client that sent it."""
    uploader = Uploader(tmp_path / "source")
    write(tmp_path, CONTENT, 1)
    assert uploader.session(server)
    yield uploader
    uploader.close()


def write(place: Path, content: bytes, mtime_ns: int) -> None:
    """The file of the source."""
    (place / "source" / "file").write_bytes(content)
    os.utime(place / "source" / "file", ns=(mtime_ns, mtime_ns))


def lie(known: KnownHashes) -> None:
    """Let states be of something else, by which one can tell that they are used."""
    digest = hashlib.sha256(CONTENT).digest()
    checkpoints = known.get(digest)
    assert len(checkpoints) >= 5
    known.remember(digest, [checkpoint._replace(state=hashlib.sha256(b"else")) for checkpoint in checkpoints])


@pytest.mark.parametrize("target", [LONGER, EDITED], ids=["longer", "edited"])
def test_the_new_version_is_right(tmp_path: Path, server: Direct, uploader: Uploader, target: bytes) -> None:
    """And it is known in turn."""
    write(tmp_path, target, 2)

    assert uploader.session(server, basis=CONTENT)
    assert target == (tmp_path / "replica" / "file").read_bytes()
    assert len(server.replica.hashes.get(hashlib.sha256(target).digest())) >= 5
    assert len(uploader.hashes.get(hashlib.sha256(target).digest())) >= 5


@pytest.mark.parametrize(
    "known",
    [lambda server, _uploader: server.replica.hashes, lambda _server, uploader: uploader.hashes],
    ids=["server", "client"],
)
def test_what_is_known_is_used(
    tmp_path: Path, server: Direct, uploader: Uploader, known: Callable[[Direct, Uploader], KnownHashes]
) -> None:
    """If one end is told other states, the ends do not agree on the digest, and nothing is published."""
    lie(known(server, uploader))
    write(tmp_path, LONGER, 2)

    assert not uploader.session(server, basis=CONTENT)
    assert ["MISMATCH"] == uploader.failures
    assert CONTENT == (tmp_path / "replica" / "file").read_bytes()


def test_a_basis_that_was_changed_by_hand(tmp_path: Path, server: Direct, uploader: Uploader) -> None:
    """What was staged is compared, and not what the basis should be."""
    status = (tmp_path / "replica" / "file").stat()
    descriptor = os.open(tmp_path / "replica" / "file", os.O_WRONLY)
    wrong_at = 2 * LIMITS.frame_bytes

    def change() -> None:
        os.pwrite(descriptor, b"!", wrong_at)
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))

    server.replica.hashes.get = _after(change, server.replica.hashes.get)  # type: ignore[method-assign,assignment]
    write(tmp_path, LONGER, 2)
    try:
        assert not uploader.session(server, basis=CONTENT)
    finally:
        os.close(descriptor)
    assert len(uploader.failures) == 1
    assert len(CONTENT) == (tmp_path / "replica" / "file").stat().st_size


Get = Callable[[bytes], Sequence[Checkpoint]]


def _after(change: Callable[[], None], call: Get) -> Get:
    """The same call, after a change."""

    def changed(digest: bytes) -> Sequence[Checkpoint]:
        change()
        return call(digest)

    return changed


@pytest.mark.parametrize("cut_after", range(1, 6))
def test_cut_while_it_is_compared(tmp_path: Path, server: Direct, uploader: Uploader, cut_after: int) -> None:
    """What is kept of an upload has the digest of its content, and is gone on with."""
    write(tmp_path, LONGER, 2)
    assert not uploader.session(server, cut_after, CONTENT)
    for kept in server.replica.uploads.listing():
        assert hashlib.sha256(LONGER[: kept.size]).digest() == kept.digest

    assert uploader.session(server, basis=CONTENT)
    assert LONGER == (tmp_path / "replica" / "file").read_bytes()
