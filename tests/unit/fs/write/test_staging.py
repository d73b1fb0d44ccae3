"""Where content waits, and what of others it leaves alone."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.errors import UsageError
from dirsync.fs.failure import StorageFailed, Vanished
from dirsync.fs.root import Root
from dirsync.fs.write.staging import STAGING_NAME, Staging
from tests.unit.fs.places import as_nobody, make, owned_by_nobody, path_of

F = path_of("f")
LEFTOVER = "staged-0123abcd-00000001"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A directory that holds the root ``r`` and its siblings."""
    return make(tmp_path, "r/")


@pytest.fixture
def root(base: Path) -> Iterator[Root]:
    """The root in it."""
    with Root.open(base / "r") as opened:
        yield opened


def listing(base: Path) -> list[str]:
    """What is in a directory, and one level below."""
    return sorted(str(path.relative_to(base)) for pattern in ("*", "*/*") for path in base.glob(pattern))


def test_sibling(base: Path, root: Root) -> None:
    """Staging is beside the root, private, made on demand and gone when empty; no name is reserved."""
    with Staging.open(root) as staging:
        before = listing(base)
        file = staging.create(F)
        mode = (base / ".r.dirsync-staging").stat().st_mode & 0o777
        file.discard()
        staging.tidy()

        assert (["r"], 0o700, frozenset()) == (before, mode, staging.reserved_names)
        assert ["r"] == listing(base)


@pytest.mark.privileged
def test_in_root(base: Path, root: Root) -> None:
    """Where the parent cannot be written, staging is in the root and its name is reserved."""
    owned_by_nobody(base / "r")
    with as_nobody(base):
        staging = Staging.open(root)
        file = staging.create(F)
    with staging:
        assert frozenset({STAGING_NAME}) == staging.reserved_names
        assert ["r", "r/.dirsync-staging"] == listing(base)
        file.discard()
    assert ["r"] == listing(base)


def test_root_with_a_long_name(tmp_path: Path) -> None:
    """Where the sibling's name would not fit, staging is in the root."""
    base = make(tmp_path, f"{'r' * 250}/") / ("r" * 250)
    with Root.open(base) as root, Staging.open(root) as staging:
        staging.create(F).discard()

        assert frozenset({STAGING_NAME}) == staging.reserved_names


@pytest.mark.privileged
def test_read_only_root(base: Path, root: Root) -> None:
    """A root that cannot be written at all is refused with the user that cannot."""
    with as_nobody(base), pytest.raises(UsageError, match=r"r cannot be written by uid \d+: Permission denied"):
        Staging.open(root)


@pytest.mark.parametrize("words", ["file=x", "file->r", "file/"], ids=["file", "link", "directory"])
@pytest.mark.case("E07")
def test_name_taken(base: Path, root: Root, words: str) -> None:
    """What has our name and is not our private directory is left alone, and the next name is taken."""
    taken = make(base, words.replace("file", ".r.dirsync-staging")) / ".r.dirsync-staging"
    before = os.lstat(taken)
    with Staging.open(root) as staging:
        staging.create(F)

        assert (before.st_ino, before.st_mtime_ns) == (os.lstat(taken).st_ino, os.lstat(taken).st_mtime_ns)
        assert (base / ".r.dirsync-staging-2").is_dir()


@pytest.mark.case("E07")
def test_every_name_taken(base: Path, root: Root) -> None:
    """There is an end to the names, with a message."""
    for suffix in ("", *(f"-{n}" for n in range(2, 20))):
        make(base, f".r.dirsync-staging{suffix}=x r/.dirsync-staging{suffix}=x")

    with pytest.raises(UsageError, match=r"every name for staging below .*r is taken"):
        Staging.open(root)


@pytest.mark.case("A14", "E07")
def test_leftovers(base: Path, root: Root) -> None:
    """What a crash left under our names goes; everything else stays, whatever it is called."""
    kept = ["notes", "staged-x", f"{LEFTOVER}.bak", f"x{LEFTOVER}", f"{LEFTOVER[:-1]}2/content"]
    at = make(base, ".r.dirsync-staging/") / ".r.dirsync-staging"
    at.chmod(0o700)
    make(at, f"{LEFTOVER}=half {LEFTOVER[:-1]}3/ {LEFTOVER[:-1]}4->x {'=x '.join(kept)}=x")
    Staging.open(root).close()

    assert sorted(kept) == sorted(str(path.relative_to(at)) for path in at.rglob("*") if not path.is_dir())
    assert not (at / f"{LEFTOVER[:-1]}3").exists()


@pytest.mark.case("A14")
def test_leftovers_of_uploads(base: Path, root: Root) -> None:
    """An interrupted upload stays. What a file was exchanged with, and has its name after a crash, goes."""
    names = [f"upload-{number:032x}" for number in range(3)]
    at = make(base, ".r.dirsync-staging/") / ".r.dirsync-staging"
    at.chmod(0o700)
    make(at, f"{names[0]}=kept {names[1]}/ {names[2]}->x")
    Staging.open(root).close()

    assert [names[0]] == os.listdir(at)


@pytest.mark.case("E10")
def test_name_is_independent(root: Root) -> None:
    """The staged name has one short length, whatever the target's."""
    with Staging.open(root) as staging:
        names = [staging.create(path_of(name)).name for name in ("f", "n" * 255, "d/" * 2000 + "f")]

    assert {len(LEFTOVER)} == {len(name) for name in names}
    assert len(set(names)) == 3


def test_directory_removed_under_us(base: Path, root: Root) -> None:
    """The directory is removed while it is in use: it is made again."""
    with Staging.open(root) as staging:
        staging.create(F).discard()
        (base / ".r.dirsync-staging").rmdir()
        file = staging.create(F)

        assert (base / ".r.dirsync-staging" / os.fsdecode(file.name)).is_file()
        file.discard()


def test_directory_replaced_under_us(base: Path, root: Root) -> None:
    """A link in its place is not followed."""
    with Staging.open(root) as staging:
        staging.create(F).discard()
        staging.tidy()
        make(base, "elsewhere/ .r.dirsync-staging->elsewhere")
        with pytest.raises(StorageFailed, match="cannot stage f: Not a directory"):
            staging.create(F)

    assert [] == list((base / "elsewhere").iterdir())


def test_disk_that_removes_nothing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A staged file that cannot be removed is removed later, or by the next start; who discards it does not fail."""

    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Staging.open(root) as staging:
        staged = staging.create(F)
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", fail)
            staged.discard()
            staging.create(F).discard()
            assert 2 == len(staging.names())
        staging.tidy()

        assert [] == staging.names()


@pytest.mark.parametrize("words", ["x=1", "x/in=1", "x->r"], ids=["file", "directory", "link"])
def test_take_in(base: Path, root: Root, words: str) -> None:
    """Something of the root comes in as it is, also where the directory was removed under us."""
    make(base / "r", words)
    before = os.lstat(base / "r/x")
    with Staging.open(root) as staging:
        staging.create(F).discard()
        (base / ".r.dirsync-staging").rmdir()
        name = os.fsdecode(staging.take_in(path_of("x"), root.descriptor, b"x"))
        after = os.lstat(base / ".r.dirsync-staging" / name)
        (base / ".r.dirsync-staging" / name).rename(base / "r/x")

    assert before.st_ino == after.st_ino


def test_take_in_nothing(root: Root) -> None:
    """What is not there does not come in, and staging does not take itself for gone."""
    with Staging.open(root) as staging, pytest.raises(Vanished, match="cannot stage x: No such file"):
        staging.take_in(path_of("x"), root.descriptor, b"x")


def test_clones_share_the_directory(base: Path, root: Root) -> None:
    """Each thread's clone stages beside the others; the directory goes with the last file."""
    with Staging.open(root) as staging, staging.clone() as twin:
        first, second = staging.create(F), twin.create(F)
        staging.tidy()
        first.discard()
        staging.tidy()
        third = staging.create(F)
        for file in (second, third):
            file.discard()
        twin.tidy()
        staging.create(F).discard()

        assert first.name != second.name
    assert ["r"] == listing(base)
