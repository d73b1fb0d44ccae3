"""A directory is swapped for a link that leads out of the root, at any moment of any operation: none ever follows it.

Each operation has the same race for some time, and must neither escape once nor fail always; the naive way of doing it
is the control that the race is one. ``make faults`` races longer.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dirsync.fs.failure import PathFailure
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.stable import read_small
from dirsync.fs.root import Root
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Kind, directory_entry, file_entry
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from tests.support.faults.crashes import untouched
from tests.support.faults.flipper import flipping, naive
from tests.support.trees.scanning import scan_tree

BUDGETS = [pytest.param(0.25, id="short"), pytest.param(5.0, id="long", marks=pytest.mark.faults)]
"""Seconds for each act."""
SECRET, INSIDE = b"the secret", b"inside"
ENTRY = file_entry(mode=0o600, size=len(INSIDE), mtime_ns=1)
PATIENCE = 20.0
"""More seconds that a busy machine gets until each outcome was seen."""
OUTCOMES = {"done", "refused"}
NOTHING = b"nothing"
Act = Callable[["Stage"], object]
"""Returns what it read or listed, if that is what it does; ``NOTHING`` if no directory was there, which is as good as
refused."""


class Stage:
    """A root with the directory ``p`` that becomes a link to ``outside``, where every name of ``p`` is taken too."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.outside = place / "outside"
        self._inner = place / "root" / "p"
        for directory in (self.outside, self._inner):
            (directory / "directory").mkdir(parents=True)
        for name in ("file", "other"):
            (self.outside / name).write_bytes(SECRET)
            (self._inner / name).write_bytes(INSIDE)
        (self.outside / "secret").write_bytes(SECRET)
        (self.outside / "link").symlink_to("secret")
        (place / "link").symlink_to(self.outside)
        self._fd = os.open(self._inner, os.O_RDONLY)
        self.root = Root.open(place / "root")
        self.staging = Staging.open(self.root)
        self.publisher = Publisher(self.root, self.staging)

    def race(self, act: Act, seconds: float) -> tuple[Counter[str], set[bytes]]:
        """Act while the directory is swapped, at least until it was found as both; how that went, and what was read."""
        outcomes, told = Counter[str](), set[bytes]()
        with flipping(self._inner, self.place / "link"):
            end, latest = time.monotonic() + seconds, time.monotonic() + seconds + PATIENCE
            while time.monotonic() < end or (len(outcomes) < len(OUTCOMES) and time.monotonic() < latest):
                self.reset()
                self.root.forget_all()
                try:
                    read = act(self)
                except PathFailure:
                    outcomes["refused"] += 1
                else:
                    outcomes["refused" if read == NOTHING else "done"] += 1
                    if isinstance(read, bytes):
                        told.add(read)
        return outcomes, told

    def reset(self) -> None:
        """Put into the real directory what acts take away, and take away what they made, by its descriptor."""
        for name in os.listdir(self._fd):
            if name.startswith("new"):
                (os.rmdir if name == "new-directory" else os.unlink)(name, dir_fd=self._fd)
        descriptor = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=self._fd)
        os.write(descriptor, INSIDE)
        os.close(descriptor)
        if "directory" not in os.listdir(self._fd):
            os.mkdir("directory", dir_fd=self._fd)

    def put(self, name: str) -> None:
        """Write and publish a file."""
        staged = self.staging.create(at(name))
        try:
            staged.write(INSIDE)
            self.publisher.publish_file(staged, at(name), ENTRY)
        finally:
            staged.discard()

    def close(self) -> None:
        """Close everything."""
        self.staging.close()
        self.root.close()
        os.close(self._fd)


def at(name: str) -> RelPath:
    """A path below the directory that is swapped."""
    return RelPath(b"p/" + name.encode())


def list_all(stage: Stage) -> bytes:
    """Every name that a scan finds below the directory."""
    tree = Tree()
    scan_tree(stage.root, tree)
    return b" ".join(path for path, _ in tree.walk() if path != b"p") or NOTHING


def look(stage: Stage) -> bytes:
    """The status of what is outside only, and of what is inside too."""
    found = [stage.root.lstat(at(name)) for name in ("secret", "other")]
    return repr(found).encode() if any(found) else NOTHING


ACTS: dict[str, Act] = {
    "write": lambda stage: stage.put("file"),
    "write new": lambda stage: stage.put("new-file"),
    "swap kinds": lambda stage: stage.put("directory"),
    "rename": lambda stage: stage.publisher.move(at("file"), at("new-name"), Kind.FILE),
    "rename over": lambda stage: stage.publisher.move(at("file"), at("other"), Kind.FILE),
    "exchange": lambda stage: stage.publisher.exchange(at("file"), at("other"), (Kind.FILE, Kind.FILE)),
    "unlink": lambda stage: stage.publisher.remove(at("file"), Kind.FILE),
    "rmdir": lambda stage: stage.publisher.remove(at("directory"), Kind.DIRECTORY),
    "mkdir": lambda stage: stage.publisher.make_directory(at("new-directory"), 0o755),
    "symlink": lambda stage: stage.publisher.make_symlink(at("new-link"), b"target"),
    "symlink over": lambda stage: stage.publisher.make_symlink(at("file"), b"target"),
    "chmod": lambda stage: stage.publisher.set_metadata(at("file"), ENTRY._replace(mode=0o640)),
    "chmod of the directory": lambda stage: stage.publisher.set_metadata(RelPath(b"p"), directory_entry(0o750)),
    "utimes": lambda stage: stage.publisher.set_metadata(at("file"), ENTRY._replace(mtime_ns=time.time_ns())),
    "open": lambda stage: read_small(stage.root, at("file"))[0],
    "hash": lambda stage: Digester(stage.root).digest(at("file"))[0],
    "read a link": lambda stage: stage.root.readlink(RelPath(b"p")),
    "look": look,
    "list": list_all,
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A root beside something that must not be touched."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.mark.case("I22", "J03", "D06")
@pytest.mark.parametrize("seconds", BUDGETS)
@pytest.mark.parametrize("act", ACTS)
def test_act(stage: Stage, act: str, seconds: float) -> None:
    """It is done inside or not at all, and both happen: nothing outside is changed, read or listed."""
    before = untouched(stage.outside)
    outcomes, told = stage.race(ACTS[act], seconds)
    secrets = {SECRET, hashlib.sha256(SECRET).digest(), f"st_size={len(SECRET)}".encode()}

    assert before == untouched(stage.outside)
    assert [] == [read for read in told if any(secret in read for secret in secrets)]
    assert OUTCOMES == outcomes.keys()


@pytest.mark.case("I22")
def test_control(stage: Stage) -> None:
    """The race is real: checking where a path leads, and then writing there, escapes."""
    escapes = 0
    with flipping(stage.place / "root" / "p", stage.place / "link"):
        end = time.monotonic() + 20
        while not escapes and time.monotonic() < end:
            naive(stage.place / "root", "p/file", b"escaped")
            escapes += (stage.outside / "file").read_bytes() == b"escaped"

    assert escapes
