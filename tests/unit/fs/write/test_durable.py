"""What is made durable when, and what happens when the disk does not take it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs import kernel
from dirsync.fs.root import Root
from dirsync.fs.write import durable
from dirsync.fs.write.durable import Durability, Fsync, NotDurable, sync_found
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT
from tests.unit.fs.places import as_nobody, make, owned_by_nobody, path_of

FEW, MANY = LIMITS.individual_fsyncs, LIMITS.individual_fsyncs + 1


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A root with two directories."""
    with Root.open(make(tmp_path, "r/d/ r/e/") / "r") as opened:
        yield opened


@pytest.fixture
def staging(root: Root) -> Iterator[Staging]:
    """Its staging directory."""
    with Staging.open(root) as opened:
        yield opened


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which calls reached the kernel; each is still made."""
    calls: list[str] = []
    single, together = durable.full_sync, kernel.sync_file_system

    def fsync(descriptor: int) -> None:
        calls.append("fsync")
        single(descriptor)

    def syncfs(descriptor: int) -> bool:
        calls.append("syncfs")
        return together(descriptor)

    monkeypatch.setattr(durable, "full_sync", fsync)
    monkeypatch.setattr(durable, "sync_file_system", syncfs)
    return calls


def staged(staging: Staging, count: int) -> list[StagedFile]:
    """Sealed files."""
    files = [staging.create(path_of(f"f{n}")) for n in range(count)]
    for file in files:
        file.write(b"x")
        file.seal(1, 0o644, None)
    return files


@pytest.mark.parametrize(
    "policy, count, expected",
    [
        (Fsync.NEVER, MANY, []),
        (Fsync.BATCH, 0, []),
        (Fsync.BATCH, FEW, ["fsync"] * FEW),
        (Fsync.BATCH, MANY, ["syncfs"]),
        (Fsync.ALWAYS, MANY, ["fsync"] * MANY),
    ],
)
def test_files(root: Root, staging: Staging, synced: list[str], policy: Fsync, count: int, expected: list[str]) -> None:
    """A few files are synced one by one, many by one sync of the file system, if the policy allows."""
    Durability(policy, root).files(staged(staging, count))

    assert expected == synced


@pytest.mark.parametrize("policy, expected", [(Fsync.NEVER, 0), (Fsync.BATCH, 3), (Fsync.ALWAYS, 3)])
def test_directories(root: Root, synced: list[str], policy: Fsync, expected: int) -> None:
    """Each touched directory once; one that is gone is passed over."""
    Durability(policy, root).entries(map(path_of, ["", "d", "e", "d", "gone"]))

    assert expected == synced.count("fsync")


def test_metadata_of_files(tmp_path: Path, root: Root, synced: list[str]) -> None:
    """What got another mode or mtime is synced itself; a link, or what is below a file, is passed over."""
    make(tmp_path / "r", "f=1 d/g=1 l->f")
    Durability(Fsync.BATCH, root).entries(map(path_of, ["f", "d/g", "l", "f/x"]))

    assert ["fsync", "fsync"] == synced


@pytest.mark.parametrize("closed", ["f", "e"])
def test_what_may_not_be_opened(tmp_path: Path, root: Root, synced: list[str], closed: str) -> None:
    """A file or directory that denies its owner is made durable with everything else."""
    make(tmp_path / "r", "f=1")
    owned_by_nobody(tmp_path / "r")
    (tmp_path / "r" / closed).chmod(0)
    with as_nobody(tmp_path / "r"):
        Durability(Fsync.ALWAYS, root).entries([path_of(closed)])

    assert ["syncfs"] == synced


def test_without_syncfs(root: Root, staging: Staging, monkeypatch: pytest.MonkeyPatch, synced: list[str]) -> None:
    """Where one sync of the file system proves nothing, each file is synced."""
    monkeypatch.setattr(durable, "sync_file_system", lambda _fd: False)
    Durability(Fsync.BATCH, root).files(staged(staging, MANY))

    assert ["fsync"] * MANY == synced


def test_failure_names_the_files(root: Root, staging: Staging) -> None:
    """The files that are not durable are named and marked; the others are durable."""
    files = staged(staging, 3)
    os.unlink(files[1].name, dir_fd=staging.descriptor)
    with pytest.raises(NotDurable, match="cannot make f1 durable: No such file") as caught:
        Durability(Fsync.BATCH, root).files(files)

    assert (files[1],) == caught.value.staged
    assert [False, True, False] == [file.failed for file in files]


SYNCING = """
import sys
from dirsync.errors import StorageError
from dirsync.fs.write.durable import Durability, Fsync
from dirsync.fs.root import Root
from dirsync.fs.write.staging import Staging
from dirsync.tree.path import RelPath, ROOT
root = Root.open(sys.argv[1])
staging = Staging.open(root)
durability = Durability(Fsync.BATCH, root)
try:
    if sys.argv[2] == "files":
        files = [staging.create(RelPath(b"f%d" % n)) for n in range(int(sys.argv[3]))]
        for file in files:
            file.seal(0, 0o644, None)
        durability.files(files)
    else:
        durability.entries([ROOT])
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "inject, arguments, expected",
    [
        ("fsync:error=EIO:when=1", ["files", "2"], "cannot make f0 durable: Input/output error\n"),
        ("syncfs:error=EIO", ["files", str(MANY)], f"cannot make {MANY} changes durable: Input/output error\n"),
        ("fsync:error=EIO", ["directories"], "cannot make the root directory durable: Input/output error"),
        ("fsync:error=EINVAL", ["directories"], ""),
    ],
    ids=["file", "file-system", "directory", "directory-cannot"],
)
@pytest.mark.needs("strace")
@pytest.mark.case("A05", "A06")
def test_failing_disk(tmp_path: Path, inject: str, arguments: list[str], expected: str) -> None:
    """A failed sync is reported and never repeated; only a directory that cannot be synced at all is forgiven."""
    make(tmp_path, "r/")
    syscall, _, _ = inject.partition(":")
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={syscall}", "-e", f"inject={inject}"]
    python = [sys.executable, "-c", SYNCING, str(tmp_path / "r"), *arguments]
    done = subprocess.run([*command, *python], stdout=subprocess.PIPE, text=True, check=True, timeout=60)

    assert done.stdout.startswith(expected)
    assert bool(expected) == bool(done.stdout)
    assert 1 == trace.read_text().count("INJECTED")


def test_root_directory_is_a_directory(root: Root, synced: list[str]) -> None:
    """The root itself can be made durable."""
    Durability(Fsync.BATCH, root).entries([ROOT])

    assert ["fsync"] == synced


@pytest.mark.parametrize(
    "policy, can, calls",
    [
        (Fsync.NEVER, True, []),
        (Fsync.BATCH, True, ["syncfs"]),
        (Fsync.ALWAYS, True, ["syncfs"]),
        (Fsync.BATCH, False, ["syncfs", "sync"]),
    ],
)
@pytest.mark.case("A03")
def test_what_is_found_at_the_start(
    root: Root, monkeypatch: pytest.MonkeyPatch, policy: Fsync, can: bool, calls: list[str]
) -> None:
    """The file system is synced, by whatever call does that reliably; not where durability is left to the kernel."""
    made: list[str] = []

    def syncfs(_descriptor: int) -> bool:
        made.append("syncfs")
        return can

    monkeypatch.setattr(durable, "sync_file_system", syncfs)
    monkeypatch.setattr(os, "sync", lambda: made.append("sync"))
    sync_found(root.descriptor, policy)

    assert calls == made


def test_what_is_found_cannot_be_made_durable(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not take it is told: nothing there can be acknowledged."""

    def syncfs(_descriptor: int) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable, "sync_file_system", syncfs)
    with pytest.raises(NotDurable, match="what is there cannot be made durable: Input/output error"):
        sync_found(root.descriptor, Fsync.BATCH)
