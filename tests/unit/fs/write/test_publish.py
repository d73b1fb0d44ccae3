"""The acts on a replica: what they leave, what they leave alone, and what they refuse."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.fs.failure import Changing, NotEmpty, PathFailure, Refused, StorageFailed, Vanished
from dirsync.fs.fingerprint import RACY, parse
from dirsync.fs.root import Root
from dirsync.fs.write import replace
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staging import Staging
from dirsync.limits import Limits
from dirsync.tree.entry import Entry, Kind, directory_entry
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from tests.unit.fs.places import as_nobody, make, names, owned_by_nobody, path_of, scanned
from tests.unit.fs.replicas import CONTENT, FILE, N, Replica

Act = Callable[[Replica], bytes]

ACTS: dict[str, tuple[Act, Kind]] = {
    "file": (lambda replica: replica.put(), Kind.FILE),
    "directory": (lambda replica: replica.publisher.make_directory(N, 0o750), Kind.DIRECTORY),
    "link": (lambda replica: replica.publisher.make_symlink(N, b"target"), Kind.SYMLINK),
}


def kind_of(path: Path) -> Kind:
    """What is there."""
    return Kind.SYMLINK if path.is_symlink() else Kind.DIRECTORY if path.is_dir() else Kind.FILE


@pytest.fixture(params=[True, False], ids=["exchange", "no-exchange"])
def _kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as the kernel is, once as one that cannot exchange two names."""
    if not request.param:
        monkeypatch.setattr(replace, "exchange", lambda *_: False)
    # The look comes right after the act, however long this machine takes to it.
    monkeypatch.setattr(Limits, "racy_window_ns", 60 * 10**9)


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("before", ["", "n=old", "n/", "n->outside", "n->../outside"])
def test_anything_over_anything(replica: Replica, before: str, act: str) -> None:
    """Whatever is there is replaced, a link not followed, and the fingerprint is that of what is there then."""
    make(replica.at, before)
    do, kind = ACTS[act]
    proof = parse(do(replica))
    status = os.lstat(replica.at / "n")

    assert proof is not None
    assert kind is kind_of(replica.at / "n")
    assert (status.st_ino, status.st_ctime_ns, status.st_mode) == (proof.inode, proof.ctime_ns, proof.st_mode)
    assert bool(proof.flags & RACY) == (kind is not Kind.DIRECTORY)


def test_file(replica: Replica) -> None:
    """Content, mode and mtime are those of the entry."""
    replica.put()
    status = os.lstat(replica.at / "n")

    assert CONTENT == (replica.at / "n").read_bytes()
    assert (FILE.mode, FILE.mtime_ns) == (status.st_mode & 0o7777, status.st_mtime_ns)


def test_directory_and_link(replica: Replica) -> None:
    """A directory has its mode whatever the umask, a link its target."""
    replica.publisher.make_directory(path_of("d"), 0o777)
    replica.publisher.make_symlink(path_of("d/l"), b"\xff/../..")

    assert 0o777 == (replica.at / "d").stat().st_mode & 0o7777
    assert b"\xff/../.." == os.readlink(os.fsencode(replica.at / "d/l"))


@pytest.mark.parametrize("before", ["", "n=old", "n->outside"])
@pytest.mark.parametrize("mode", [0o755, 0o700, 0o555, 0o000])
def test_directory_appears_with_its_mode(
    replica: Replica, before: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to be done once its name is there: a crash between two calls would leave a mode nobody chose."""
    make(replica.at, before)
    changed: list[str] = []
    change = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        changed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        change(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    replica.publisher.make_directory(N, mode)

    assert mode == (replica.at / "n").stat().st_mode & 0o7777
    assert str(replica.at / "n") not in changed


@pytest.mark.parametrize("before", ["r/", "r/n=old"])
def test_directory_that_its_owner_may_not_write(tmp_path: Path, before: str) -> None:
    """It can be made without being root, too, also in place of a file, for which it has to be moved."""
    base = owned_by_nobody(make(tmp_path, before))
    with Root.open(base / "r") as root, as_nobody(base), Staging.open(root) as staging:
        Publisher(root, staging).make_directory(N, 0o555)

    assert 0o555 == (base / "r" / "n").stat().st_mode & 0o7777


def test_existing_directory_keeps_its_content(replica: Replica) -> None:
    """Making a directory that is there only sets its mode."""
    make(replica.at, "n/x=1")
    replica.publisher.make_directory(N, 0o700)

    assert ["n", "n/x"] == replica.names()
    assert 0o700 == (replica.at / "n").stat().st_mode & 0o7777


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("act", ["file", "link"])
def test_directory_with_content_stays(replica: Replica, act: str) -> None:
    """What a directory still holds is not ours to delete: nothing is replaced, and the message says what to do."""
    make(replica.at, "n/ignored=1")
    do, _ = ACTS[act]
    with pytest.raises(NotEmpty, match="n still contains entries that are not mirrored"):
        do(replica)

    assert ["n", "n/ignored"] == replica.names()


def test_content_that_comes_too_late(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something put into the directory between the look and the exchange comes back with it."""
    make(replica.at, "n/")

    def look(_parent: int, _name: bytes) -> bool:
        make(replica.at, "n/late=1")
        return True

    monkeypatch.setattr(replace, "_is_empty", look)
    with pytest.raises(NotEmpty):
        replica.put()

    assert ["n", "n/late"] == replica.names()


@pytest.mark.parametrize(
    "policy, declared, expected",
    [
        (ModePolicy.preserve(), 0o7755, (0o755, 0o755)),
        (ModePolicy.preserve(), 0o000, (0o000, 0o000)),
        (ModePolicy.fixed(0o4644, 0o2755), 0o700, (0o644, 0o755)),
    ],
    ids=["no-setuid", "none", "fixed"],
)
@pytest.mark.case("D19", "I23")
def test_modes(tmp_path: Path, policy: ModePolicy, declared: int, expected: tuple[int, int]) -> None:
    """Permission bits as the policy says, and never setuid, setgid or sticky."""
    make(tmp_path, "r/")
    replica = Replica(tmp_path, policy)
    replica.put(entry=FILE._replace(mode=declared))
    replica.publisher.make_directory(path_of("d"), declared)
    modes = [(replica.at / name).stat().st_mode & 0o7777 for name in "nd"]
    replica.publisher.set_metadata(N, FILE._replace(mode=declared))
    replica.publisher.set_metadata(path_of("d"), Entry(Kind.DIRECTORY, declared))
    modes += [(replica.at / name).stat().st_mode & 0o7777 for name in "nd"]
    replica.close()

    assert [*expected, *expected] == modes


def test_mtime_that_does_not_count(tmp_path: Path) -> None:
    """Where mtimes are not preserved a file has that of its arrival."""
    make(tmp_path, "r/")
    replica = Replica(tmp_path, attributes=Attributes(mtime=False))
    replica.put(entry=FILE._replace(mtime_ns=0))
    first = os.lstat(replica.at / "n").st_mtime_ns
    replica.publisher.set_metadata(N, FILE._replace(mtime_ns=0))
    replica.close()

    assert first > FILE.mtime_ns
    assert first == os.lstat(replica.at / "n").st_mtime_ns


def test_set_metadata(replica: Replica) -> None:
    """Mode and mtime change, content does not; a directory keeps its mtime."""
    make(replica.at, "n=old d/")
    os.utime(replica.at / "d", ns=(5, 5))
    replica.publisher.set_metadata(N, FILE)
    replica.publisher.set_metadata(path_of("d"), directory_entry(0o711))
    file, directory = os.lstat(replica.at / "n"), os.lstat(replica.at / "d")

    assert (0o640, FILE.mtime_ns) == (file.st_mode & 0o7777, file.st_mtime_ns)
    assert (0o711, 5) == (directory.st_mode & 0o7777, directory.st_mtime_ns)
    assert "old" == (replica.at / "n").read_text()


@pytest.mark.parametrize(
    "there, entry", [("n/", FILE), ("n->../outside/x", FILE), ("n=x", directory_entry(0o700)), ("n|", FILE)]
)
def test_set_metadata_of_another_kind(replica: Replica, there: str, entry: Entry) -> None:
    """What is of another kind by now keeps its metadata, and so does what a link leads to."""
    before = os.lstat(make(replica.at, there) / "n")
    outside = os.lstat(replica.base / "outside/x")
    with pytest.raises(Changing, match="n is no"):
        replica.publisher.set_metadata(N, entry)

    assert before == os.lstat(replica.at / "n")
    assert outside == os.lstat(replica.base / "outside/x")


@pytest.mark.parametrize("there, kind", [("n=x", Kind.FILE), ("n->../outside", Kind.SYMLINK), ("n/", Kind.DIRECTORY)])
def test_remove(replica: Replica, there: str, kind: Kind) -> None:
    """What is there goes, and a second time is fine."""
    make(replica.at, there)
    replica.publisher.remove(N, kind)
    replica.publisher.remove(N, kind)

    assert [] == replica.names()


@pytest.mark.parametrize("there, kind", [("n=x", Kind.DIRECTORY), ("n->../outside", Kind.DIRECTORY), ("n/", Kind.FILE)])
def test_remove_of_another_kind(replica: Replica, there: str, kind: Kind) -> None:
    """What is of another kind by now stays."""
    make(replica.at, there)
    with pytest.raises(Changing, match=f"n is no {kind.name.lower()} any more"):
        replica.publisher.remove(N, kind)

    assert ["n"] == replica.names()


def test_remove_directory_with_content(replica: Replica) -> None:
    """A directory that still holds anything stays."""
    make(replica.at, "n/x=1")
    with pytest.raises(NotEmpty):
        replica.publisher.remove(N, Kind.DIRECTORY)

    assert ["n", "n/x"] == replica.names()


def test_removed_directory_is_forgotten(replica: Replica) -> None:
    """A directory that takes the place of a removed one is the one that is written."""
    replica.publisher.make_directory(path_of("d"), 0o755)
    replica.put(path_of("d/x"))
    replica.publisher.remove(path_of("d/x"), Kind.FILE)
    replica.publisher.remove(path_of("d"), Kind.DIRECTORY)
    replica.publisher.make_directory(path_of("d"), 0o755)
    replica.put(path_of("d/y"))

    assert ["d", "d/y"] == replica.names()


CONFINED: dict[str, Callable[[Replica, RelPath], object]] = {
    "file": lambda replica, path: replica.put(path),
    "directory": lambda replica, path: replica.publisher.make_directory(path, 0o700),
    "link": lambda replica, path: replica.publisher.make_symlink(path, b"t"),
    "metadata": lambda replica, path: replica.publisher.set_metadata(path, FILE),
    "remove": lambda replica, path: replica.publisher.remove(path, Kind.FILE),
}


@pytest.mark.parametrize("act", CONFINED)
@pytest.mark.parametrize("name", ["x", "new"])
@pytest.mark.case("I21")
def test_nothing_through_a_link(replica: Replica, act: str, name: str) -> None:
    """A link in place of a directory is not written through; the fixture proves that nothing outside was touched."""
    make(replica.at, "d->../outside")
    before = os.lstat(replica.base / "outside/x")
    with pytest.raises(Vanished, match="d is no directory"):
        CONFINED[act](replica, path_of(f"d/{name}"))

    assert before == os.lstat(replica.base / "outside/x")


@pytest.mark.parametrize("act", CONFINED)
def test_parent_is_gone(replica: Replica, act: str) -> None:
    """Without its directory nothing can be done at a path, and nothing else is made for it."""
    with pytest.raises(Vanished):
        CONFINED[act](replica, path_of("gone/x"))

    assert [] == replica.names()


@pytest.mark.parametrize("mode", [0o555, pytest.param(0o000, marks=pytest.mark.privileged), 0o311])
@pytest.mark.parametrize("act", ["file", "directory", "link", "remove"])
def test_own_directory_without_permission(tmp_path: Path, act: str, mode: int) -> None:
    """Directories of ours that we made unwritable are opened up for the act, and have their mode again after it."""
    base = owned_by_nobody(make(tmp_path, "r/p/d/x=1"))
    for directory in ("r/p/d", "r/p"):
        (base / directory).chmod(mode)
    path = path_of("p/d/x" if act == "remove" else "p/d/n")
    with Root.open(base / "r") as root:
        with as_nobody(base / "r"), Staging.open(root) as staging:
            publisher = Publisher(root, staging)
            match act:
                case "file":
                    staged = staging.create(path)
                    staged.write(CONTENT)
                    publisher.publish_file(staged, path, FILE)
                case "directory":
                    publisher.make_directory(path, 0o755)
                case "link":
                    publisher.make_symlink(path, b"t")
                case _:
                    publisher.remove(path, Kind.FILE)
        found = os.path.lexists(base / "r" / os.fsdecode(path))

        assert found == (act != "remove")
        assert [mode, mode] == [(base / d).stat().st_mode & 0o7777 for d in ("r/p", "r/p/d")]


def test_foreign_directory_without_permission(tmp_path: Path) -> None:
    """A directory that is not ours stays as it is, and the act is refused with the user that may not."""
    make(tmp_path, "r/d/x=1")
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory of somebody else")
    with Root.open(tmp_path / "r") as root, Staging.open(root) as staging:
        publisher = Publisher(root, staging)
        with as_nobody(tmp_path / "r"), pytest.raises(Refused, match=r"d/x: Permission denied \(uid 65534\)"):
            publisher.remove(path_of("d/x"), Kind.FILE)

        assert ["d", "d/x"] == names(scanned(root))


@pytest.mark.case("E04")
def test_name_too_long_for_the_disk(replica: Replica) -> None:
    """255 bytes are fine; what the file system does not take is refused with the path."""
    replica.put(path_of("n" * 255))
    with pytest.raises(Refused, match=r"cannot publish n+: File name too long"):
        replica.put(path_of("n" * 256))

    assert ["n" * 255] == replica.names()


def test_failed_file_is_not_published(replica: Replica) -> None:
    """A staged file that could not be made durable never gets its name."""
    staged = replica.stage()
    replica.publisher.seal(staged, FILE)
    staged.failed = True
    with pytest.raises(StorageFailed, match="n could not be made durable"):
        replica.publisher.publish_file(staged, N, FILE)
    staged.discard()

    assert [] == replica.names()


def test_replaced_right_after(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's file is never mistaken for the one that was published."""
    staged = replica.stage()
    rename = os.rename

    def rename_and_interfere(*args: object, **kwargs: object) -> None:
        rename(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        (replica.at / "other").write_text("other")
        rename(replica.at / "other", replica.at / "n")

    monkeypatch.setattr(os, "rename", rename_and_interfere)
    with pytest.raises(Changing, match="n was replaced by another process"):
        replica.publisher.publish_file(staged, N, FILE)


@pytest.mark.case("B08")
def test_every_failure_is_of_one_path(replica: Replica) -> None:
    """What the kernel refuses becomes a failure with the path, never a bare OSError."""
    with Root.open("/proc") as proc, Staging.open(replica.root) as staging:
        publisher = Publisher(proc, staging)
        for act in (
            lambda: publisher.make_directory(N, 0o700),
            lambda: publisher.make_symlink(N, b"t"),
            lambda: publisher.remove(path_of("version"), Kind.FILE),
        ):
            with pytest.raises(PathFailure) as caught:
                act()

            assert caught.value.path in (N, path_of("version"))
