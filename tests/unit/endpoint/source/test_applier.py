"""What comes in is published at the source, and what somebody changed there stays."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.endpoint.source.applier import Applied, SourceApplier, SourceStep
from dirsync.endpoint.source.operation import SourceOperation
from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import UNKNOWN, Entry, Kind, directory_entry, file_entry, pack, symlink_entry, unpack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata

A, D, DX = RelPath(b"a"), RelPath(b"d"), RelPath(b"d/x")


def entry_of(content: bytes, mode: int = 0o644, seconds: int = 5) -> Entry:
    """A file with this content."""
    digest = hashlib.sha256(content).digest()
    return file_entry(mode=mode, size=len(content), mtime_ns=seconds * 10**9, digest=digest)


class Here:
    """A source that is written to."""

    def __init__(self, path: Path) -> None:
        self.path = path / "source"
        self.path.mkdir()
        (path / "state").mkdir()
        self.source = Source(
            Root.open(self.path), Index.open(path / "state", "index"), SourceOptions(b".dirsyncignore", (b"ignored",))
        )
        self.staging = Staging.open(self.source.root)
        self.applier = SourceApplier(self.source, self.staging)

    def scan(self) -> None:
        """Look at everything, and read every file."""
        for _ in self.source.scan():
            pass
        for path, record in list(self.source.tree.files()):
            if unpack(record).digest == UNKNOWN:
                digest, _, _ = Digester(self.source.root).digest(path)
                self.source.tree.put(path, pack(unpack(record)._replace(digest=digest), record[52:]))

    def step(self, operation: SourceOperation, content: bytes | None = None) -> SourceStep:
        """A step, with its content staged."""
        if content is None:
            return SourceStep(operation)
        staged = self.staging.create(operation.path)
        staged.write(content)
        return SourceStep(operation, staged)

    def apply(self, *steps: SourceStep) -> Applied:
        """Apply steps."""
        return self.applier.apply(steps)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    """A source."""
    opened = Here(tmp_path)
    yield opened
    opened.applier.close()
    opened.source.close()


def outcomes(applied: Applied) -> list[Outcome]:
    """Why steps were not applied."""
    return [failure.outcome for _, failure in applied.failures]


def test_makes_files_directories_and_links(here: Here) -> None:
    """In order, and the tree knows them without a scan."""
    new = entry_of(b"new", 0o600)
    applied = here.apply(
        here.step(MakeDirectory(D, None, 0o750)),
        here.step(PutFile(DX, None, new), b"new"),
        here.step(PutSymlink(A, None, symlink_entry(b"d/x"))),
    )

    assert 3 == len(applied.done)
    assert b"new" == (here.path / "d" / "x").read_bytes()
    assert (0o600, 5 * 10**9) == ((here.path / "d/x").stat().st_mode & 0o777, (here.path / "d/x").stat().st_mtime_ns)
    assert 0o750 == (here.path / "d").stat().st_mode & 0o777
    assert "d/x" == os.readlink(here.path / "a")
    assert new == here.source.tree.get(DX)
    assert ["source", "state"] == sorted(name for name in os.listdir(here.path.parent) if not name.startswith("."))
    before = here.source.tree.digest()
    here.scan()
    assert before == here.source.tree.digest()


def test_replaces_and_removes_what_was_expected(here: Here) -> None:
    """A file by a file, a directory by a file, metadata, and a removal."""
    (here.path / "a").write_bytes(b"old")
    os.utime(here.path / "a", ns=(0, 0))
    (here.path / "d").mkdir()
    here.scan()
    old = here.source.tree.get(A)
    here.apply(here.step(PutFile(A, old, entry_of(b"new")), b"new"))
    here.scan()  # what was just published is racy, so it is read once more
    here.apply(here.step(SetMetadata(A, entry_of(b"new"), entry_of(b"new", 0o640, 7))))
    applied = here.apply(here.step(PutFile(D, directory_entry(0o755), entry_of(b"file")), b"file"))
    here.scan()

    assert [] == applied.failures
    assert (b"new", b"file") == ((here.path / "a").read_bytes(), (here.path / "d").read_bytes())
    assert 0o640 == (here.path / "a").stat().st_mode & 0o777
    assert entry_of(b"new", 0o640, 7) == here.source.tree.get(A)
    here.apply(here.step(Delete(A, entry_of(b"new"))))
    assert not (here.path / "a").exists()
    assert A not in here.source.tree


@pytest.mark.parametrize("edit", ["content", "removed", "created", "kind"])
def test_an_edit_that_races_wins(here: Here, edit: str) -> None:
    """What was changed since the planner looked stays, and its path is named."""
    if edit != "created":
        (here.path / "a").write_bytes(b"old")
        here.scan()
    old = here.source.tree.get(A)
    match edit:
        case "content" | "created":
            (here.path / "a").write_bytes(b"edited")
        case "removed":
            (here.path / "a").unlink()
        case _:
            (here.path / "a").unlink()
            (here.path / "a").mkdir()
    before = sorted(os.walk(here.path))
    applied = here.apply(here.step(PutFile(A, old, entry_of(b"new")), b"new"))

    assert [Outcome.CHANGED] == outcomes(applied)
    assert [A] == applied.changed
    assert before == sorted(os.walk(here.path))
    if edit in ("content", "created"):
        assert b"edited" == (here.path / "a").read_bytes()


@pytest.mark.parametrize("kind", [Kind.SYMLINK, Kind.DIRECTORY])
def test_an_edit_during_the_preparation_wins(here: Here, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    """What replaces a file is staged; somebody renames another file over it while the directory for that is made."""
    (here.path / "a").write_bytes(b"old")
    (here.path / "theirs").write_bytes(b"theirs")
    here.scan()
    old, make = here.source.tree.get(A), os.mkdir

    def make_late(*arguments: Any, **named: Any) -> None:
        make(*arguments, **named)
        if (here.path / "theirs").exists():
            (here.path / "theirs").rename(here.path / "a")

    monkeypatch.setattr(os, "mkdir", make_late)
    step = PutSymlink(A, old, symlink_entry(b"d")) if kind is Kind.SYMLINK else MakeDirectory(A, old, 0o755)
    applied = here.apply(here.step(step))

    assert [Outcome.CHANGED] == outcomes(applied)
    assert b"theirs" == (here.path / "a").read_bytes()


def test_a_removal_leaves_what_was_added(here: Here) -> None:
    """A directory is removed only when it is empty."""
    (here.path / "d").mkdir()
    here.scan()
    (here.path / "d" / "x").write_bytes(b"1")
    applied = here.apply(here.step(Delete(D, directory_entry(0o755))))

    assert [Outcome.CHANGED] == outcomes(applied)
    assert DX in applied.changed
    assert DX in here.source.tree
    assert (here.path / "d" / "x").exists()


def test_ignored_content_keeps_its_directory(here: Here) -> None:
    """It is not ours to remove."""
    (here.path / "d").mkdir()
    (here.path / "d" / "ignored").write_bytes(b"1")
    (here.path / "d" / "x").write_bytes(b"1")
    here.scan()
    applied = here.apply(here.step(Delete(DX, here.source.tree.get(DX))), here.step(Delete(D, directory_entry(0o755))))

    assert [] == applied.failures
    assert ["ignored"] == os.listdir(here.path / "d")
    assert D not in here.source.tree


def test_what_is_not_mirrored_is_in_the_way(here: Here) -> None:
    """An ignored file, or a FIFO, is never replaced."""
    os.mkfifo(here.path / "a")
    here.scan()
    applied = here.apply(here.step(PutFile(A, None, entry_of(b"new")), b"new"))

    assert [Outcome.REFUSED] == outcomes(applied)
    assert (here.path / "a").is_fifo()


def test_no_link_leads_outside(here: Here, tmp_path: Path) -> None:
    """A directory that a program replaced by a link is no directory."""
    (tmp_path / "outside").mkdir()
    (here.path / "d").mkdir()
    here.scan()
    (here.path / "d").rmdir()
    (here.path / "d").symlink_to(tmp_path / "outside")
    applied = here.apply(here.step(PutFile(DX, None, entry_of(b"new")), b"new"))

    assert 1 == len(applied.failures)
    assert [] == os.listdir(tmp_path / "outside")


def test_nothing_is_written_to_another_root(here: Here, tmp_path: Path) -> None:
    """A directory that took the place of the source is not the source."""
    here.path.rename(tmp_path / "elsewhere")
    here.path.mkdir()
    applied = here.apply(here.step(PutFile(A, None, entry_of(b"new")), b"new"))

    assert [Outcome.STORAGE] == outcomes(applied)
    assert [] == os.listdir(here.path) == os.listdir(tmp_path / "elsewhere")


def test_applied_before_counts_as_done(here: Here) -> None:
    """Its result was lost: nothing is written again, and nothing stays staged."""
    here.apply(here.step(PutFile(A, None, entry_of(b"new")), b"new"))
    inode = (here.path / "a").stat().st_ino
    here.scan()
    applied = here.apply(here.step(PutFile(A, None, entry_of(b"new")), b"new"))

    assert 1 == len(applied.done)
    assert inode == (here.path / "a").stat().st_ino
    assert Kind.FILE is unpack(here.source.tree.record(A) or pack(directory_entry(0))).kind


def test_a_staging_directory_that_was_made_again(here: Here) -> None:
    """What stages removes the directory when it is empty, and another thread makes it again: that one is used."""
    here.apply(here.step(PutSymlink(A, None, symlink_entry(b"x"))), here.step(MakeDirectory(D, None, 0o755)))
    assert here.staging.descriptor >= 0
    other = here.staging.clone()
    other.tidy()
    staged = other.create(DX)
    staged.write(b"new")
    staged.seal(3, 0o644, 5 * 10**9)
    applied = here.apply(SourceStep(PutFile(DX, None, entry_of(b"new")), staged))
    other.close()

    assert ([], b"new") == (applied.failures, (here.path / "d" / "x").read_bytes())
