"""A directory of a source is swapped for a link that leads out of it while what comes in is applied there.

As :mod:`tests.security.peers.test_flipper`, for the client that carries changes both ways: what it stages, publishes,
changes, removes and reads stays in its source. ``make faults`` races longer.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.source.applier import SourceApplier, SourceStep
from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.errors import DirsyncError
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.fs.write.durable import Fsync
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, directory_entry, file_entry, symlink_entry
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata
from dirsync.wire.content import ContentPiece, ContentRequest
from dirsync_client.receive.content import ContentStager
from dirsync_client.reconcile.two_way.commands import Receive
from dirsync_client.transfer.hasher import hash_file
from tests.support.faults.crashes import untouched
from tests.support.faults.flipper import flipping

BUDGETS = [pytest.param(0.2, id="short"), pytest.param(5.0, id="long", marks=pytest.mark.faults)]
"""Seconds for each act."""
PATIENCE = 60.0
"""More seconds that a busy machine gets until an act was both done and refused."""
SECRET, INSIDE, COMES = b"the secret", b"inside....", b"what comes"
DIRECTORY = directory_entry(0o755)


def file_of(content: bytes, mode: int = 0o644) -> Entry:
    """A file with this content."""
    digest = hashlib.sha256(content).digest()
    return file_entry(mode=mode, size=len(content), mtime_ns=10**18, digest=digest)


class Stage:
    """A source whose directory ``p`` becomes a link to ``outside``, where every name of ``p`` is taken too."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.outside, self.inner = place / "outside", place / "source" / "p"
        for directory, content in ((self.outside, SECRET), (self.inner, INSIDE)):
            (directory / "empty").mkdir(parents=True)
            (directory / "file").write_bytes(content)
            os.utime(directory / "file", ns=(0, 10**18))
        (place / "link").symlink_to(self.outside)
        (place / "state").mkdir()
        self._fd = os.open(self.inner, os.O_RDONLY)
        self.source = Source(Root.open(place / "source"), Index.open(place / "state", "index"), SourceOptions(b".no"))
        for _ in self.source.scan():
            pass
        self.staging = Staging.open(self.source.root)
        self.applier = SourceApplier(self.source, self.staging, Fsync.NEVER)
        self.stager = ContentStager(
            self.source.root, self.staging, b"s", self._read, lambda *_: iter(()), 4096, lambda: False
        )

    def put(self, name: str, near: str | None = None) -> bool:
        """Stage and publish a file, over what is there."""
        content = COMES if near is None else INSIDE
        path, old = at(name), self._read_through(name)
        command = Receive(PutFile(path, old, file_of(content, 0o600)), None if near is None else at(near), path)
        staged, _ = self.stager.stage(command)
        assert staged.size == len(content)
        return self.apply(SourceStep(command.operation, staged))

    def apply(self, step: SourceStep) -> bool:
        """Apply a step; whether it was done."""
        self.source.look([step.operation.path])
        return bool(self.applier.apply([step]).done)

    def reset(self) -> None:
        """Put into the real directory what acts take away, and take away what they made, by its descriptor."""
        for name in os.listdir(self._fd):
            if name.startswith("new"):
                (os.rmdir if name == "new-directory" else os.unlink)(name, dir_fd=self._fd)
        os.unlink("file", dir_fd=self._fd) if "file" in os.listdir(self._fd) else None
        descriptor = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=self._fd)
        os.write(descriptor, INSIDE)
        os.utime(descriptor, ns=(0, 10**18))
        os.close(descriptor)
        if "empty" not in os.listdir(self._fd):
            os.mkdir("empty", dir_fd=self._fd)
        self.source.look([RelPath(b"p"), at("file"), at("empty")])

    def close(self) -> None:
        """Close everything."""
        self.stager.close()
        self.applier.close()
        self.source.close()
        os.close(self._fd)

    def _read_through(self, name: str) -> Entry | None:
        """What is known of a file, with its digest."""
        path = at(name)
        time.sleep(0.02)  # what was written within the clock's tick is read again, whatever is known of it
        record = hash_file(Digester(self.source.root), path) if path in self.source.tree else None
        if isinstance(record, bytes):
            self.source.tree.put(path, record)
        return self.source.tree.get(path)

    def _read(self, _: ContentRequest) -> Iterator[ContentPiece]:
        yield ContentPiece(0, COMES)


def at(name: str) -> RelPath:
    """A path below the directory that is swapped."""
    return RelPath(b"p/" + name.encode())


def known(stage: Stage, name: str) -> Entry | None:
    """What the source is known to have."""
    return stage.source.tree.get(at(name))


ACTS: dict[str, Callable[[Stage], bool]] = {
    "put": lambda stage: stage.put("new-file"),
    "put over": lambda stage: stage.put("file"),
    "copy": lambda stage: stage.put("new-copy", near="file"),
    "symlink": lambda s: s.apply(SourceStep(PutSymlink(at("new-link"), None, symlink_entry(b"x")))),
    "mkdir": lambda stage: stage.apply(SourceStep(MakeDirectory(at("new-directory"), None, 0o755))),
    "delete": lambda s: known(s, "file") is not None and s.apply(SourceStep(Delete(at("file"), known(s, "file")))),
    "rmdir": lambda s: known(s, "empty") is not None and s.apply(SourceStep(Delete(at("empty"), known(s, "empty")))),
    "metadata": lambda s: (
        (entry := known(s, "empty")) is not None
        and s.apply(
            SourceStep(SetMetadata(at("empty"), entry, directory_entry(0o700 if entry.mode == 0o755 else 0o755)))
        )
    ),
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A source beside something that must not be touched."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.mark.case("I22", "J03", "D06")
@pytest.mark.parametrize("seconds", BUDGETS)
@pytest.mark.parametrize("act", ACTS)
def test_act(stage: Stage, act: str, seconds: float) -> None:
    """It is done in the source or not at all, and both happen; nothing outside is changed, or copied into it."""
    before, outcomes = untouched(stage.outside), Counter[str]()
    with flipping(stage.inner, stage.place / "link"):
        end, latest = time.monotonic() + seconds, time.monotonic() + seconds + PATIENCE
        while time.monotonic() < end or (len(outcomes) < 2 and time.monotonic() < latest):
            stage.reset()
            try:
                done = ACTS[act](stage)
            except DirsyncError:
                done = False
            outcomes["done" if done else "refused"] += 1

    assert before == untouched(stage.outside)
    assert not [path for path in stage.inner.rglob("*") if path.is_file() and path.read_bytes() == SECRET]
    assert {"done", "refused"} == outcomes.keys()
