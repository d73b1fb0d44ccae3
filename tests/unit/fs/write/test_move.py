"""Moving what a replica holds, and letting two names change places."""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.clock import wall_ns
from dirsync.fs import kernel
from dirsync.fs.failure import Changing, NotEmpty, PathFailure, Refused, Vanished
from dirsync.fs.fingerprint import pack_status, parse
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.fs.scan.walk import scan_steps
from dirsync.fs.volume import volume_of
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, directory_entry, identity_of, pack
from dirsync.tree.tree import Tree
from tests.support.faults.privileges import tmpfs
from tests.support.trees.scanning import scan_tree
from tests.unit.fs.places import as_nobody, make, names, owned_by_nobody, path_of, scanned
from tests.unit.fs.replicas import Replica

A, B = path_of("a"), path_of("b")
WORDS = {Kind.FILE: "{0}={0}", Kind.DIRECTORY: "{0}/in={0}", Kind.SYMLINK: "{0}->to-{0}"}
"""How an entry of a kind is made under a name, so that it shows where it came from."""
PAIRS = list(itertools.product(Kind, Kind))


def made(base: Path, name: str, kind: Kind, at: str = "") -> None:
    """Make something of that kind that carries ``name``, at ``at`` or under that name."""
    word = WORDS[kind].format(name)
    make(base, word)
    if at:
        (base / name).rename(base / at)


def told(path: Path) -> tuple[Kind, str]:
    """What is at a path, and what name it carries."""
    if path.is_symlink():
        return Kind.SYMLINK, os.readlink(path).removeprefix("to-")
    return (Kind.DIRECTORY, (path / "in").read_text()) if path.is_dir() else (Kind.FILE, path.read_text())


def later() -> int:
    """A time when nothing is racy any more."""
    return wall_ns() + 10 * 10**9


def assert_proves(proof: bytes, path: Path) -> None:
    """The fingerprint is that of what is at the path now."""
    assert proof[1:] == pack_status(os.lstat(path))


@pytest.mark.parametrize("source, path", [("a", "b"), ("d/a", "b"), ("a", "e/b"), ("d/a", "e/b")])
@pytest.mark.parametrize("kind", Kind)
def test_move(replica: Replica, kind: Kind, source: str, path: str) -> None:
    """What is at the source is at the target, the same thing, and its fingerprint is that of what is there."""
    make(replica.at, "d/ e/")
    made(replica.at, "a", kind, at=source)
    before = os.lstat(replica.at / source)
    proof = replica.publisher.move(path_of(source), path_of(path), kind)

    assert (kind, "a") == told(replica.at / path)
    assert not os.path.lexists(replica.at / source)
    assert (volume_of(before.st_dev), before.st_ino) == identity_of(proof)
    assert_proves(proof, replica.at / path)


@pytest.mark.parametrize("there", [Kind.FILE, Kind.SYMLINK])
@pytest.mark.parametrize("kind", [Kind.FILE, Kind.SYMLINK])
def test_move_over(replica: Replica, kind: Kind, there: Kind) -> None:
    """A file or link that is at the target is replaced; a link is not followed."""
    made(replica.at, "a", kind)
    made(replica.at, "b", there)
    proof = replica.publisher.move(A, B, kind)

    assert (kind, "a") == told(replica.at / "b")
    assert ["b"] == replica.names()
    assert_proves(proof, replica.at / "b")


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("kind, there", [pair for pair in PAIRS if Kind.DIRECTORY in pair])
def test_no_directory_is_replaced_or_replaces(replica: Replica, kind: Kind, there: Kind, empty: bool) -> None:
    """Not even an empty directory goes silently, and nothing goes for a directory."""
    made(replica.at, "a", kind)
    made(replica.at, "b", there)
    if empty and there is Kind.DIRECTORY:
        (replica.at / "b/in").unlink()
    before = replica.names()
    with pytest.raises(Changing, match="cannot move a to b: something else is there by now"):
        replica.publisher.move(A, B, kind)

    assert before == replica.names()
    assert (kind, "a") == told(replica.at / "a")


@pytest.mark.parametrize("kind, there", [pair for pair in PAIRS if pair[0] is not pair[1]])
def test_move_of_another_kind(replica: Replica, kind: Kind, there: Kind) -> None:
    """What is of another kind by now stays where it is."""
    made(replica.at, "a", there)
    with pytest.raises(Changing, match=f"a is no {kind.name.lower()} any more"):
        replica.publisher.move(A, B, kind)

    assert (there, "a") == told(replica.at / "a")
    assert not os.path.lexists(replica.at / "b")


def test_move_of_what_is_not_mirrored(replica: Replica) -> None:
    """A FIFO that took the file's place stays."""
    make(replica.at, "a|")
    with pytest.raises(Changing, match="a is no file any more"):
        replica.publisher.move(A, B, Kind.FILE)

    assert stat.S_ISFIFO(os.lstat(replica.at / "a").st_mode)


@pytest.mark.parametrize(
    "source, path, message",
    [
        ("gone", "b", "cannot move gone to b: No such file"),
        ("gone/a", "b", "gone: No such file"),
        ("a", "gone/b", "gone: No such file"),
        ("a", "l/b", "l is no directory any more"),
        ("l/x", "b", "l is no directory any more"),
    ],
)
@pytest.mark.case("I21")
def test_move_from_or_to_nowhere(replica: Replica, source: str, path: str, message: str) -> None:
    """Without a source, or without one of the directories, nothing moves; a link in place of one is not followed."""
    make(replica.at, "a=a l->../outside")
    with pytest.raises(Vanished, match=message):
        replica.publisher.move(path_of(source), path_of(path), Kind.FILE)
    with pytest.raises(Vanished, match=message.replace("move", "exchange").replace(" to ", " and ")):
        replica.publisher.exchange(path_of(source), path_of(path), (Kind.FILE, Kind.FILE))

    assert ["a", "l"] == replica.names()


def test_move_into_itself(replica: Replica) -> None:
    """The kernel's refusal is a failure of that path."""
    make(replica.at, "a/in=a")
    with pytest.raises(Refused, match="cannot move a to a/b: Invalid argument"):
        replica.publisher.move(A, path_of("a/b"), Kind.DIRECTORY)

    assert ["a", "a/in"] == replica.names()


def test_what_is_below_a_moved_directory_is_untouched(disk: Path) -> None:
    """A directory's rename changes no fingerprint below it, so tree and index follow and nothing is read again."""
    at = make(disk, "r/d/e/f=one r/d/l->f r/d/g=two r/x=three") / "r"
    tree, loaded = Tree(), Tree()
    with Root.open(at) as root, Staging.open(root) as staging, Index.open(disk, "index") as index:
        scan_tree(root, tree, now=later)
        for kept, record in tree.walk():
            index.put(kept, record)
        proof = Publisher(root, staging).move(path_of("d"), path_of("moved"), Kind.DIRECTORY)
        tree.move(path_of("d"), path_of("moved"))
        index.move(path_of("d"), path_of("moved"))
        record = pack(directory_entry(0o755), proof)
        tree.put(path_of("moved"), record)
        index.put(path_of("moved"), record)
        index.flush()
        index.load(loaded)

        assert dict(tree.walk()) == dict(loaded.walk())
        assert [] == [path for step in scan_steps(root, loaded, now=later) for path in (*step.changed, *step.replaced)]
        assert dict(tree.walk()) == dict(loaded.walk())


def test_kept_descriptors_do_not_follow(replica: Replica) -> None:
    """After a move the old name is a new directory, and the new name the old one, with everything below."""
    publisher = replica.publisher
    make(replica.at, "d/e/")
    replica.put(path_of("d/e/before"))
    publisher.move(path_of("d"), path_of("m"), Kind.DIRECTORY)
    publisher.make_directory(path_of("d"), 0o755)
    publisher.make_directory(path_of("d/e"), 0o755)
    replica.put(path_of("d/e/new"))
    replica.put(path_of("m/e/after"))
    publisher.exchange(path_of("d"), path_of("m"), (Kind.DIRECTORY, Kind.DIRECTORY))
    replica.put(path_of("d/e/last"))

    assert ["d", "d/e", "d/e/after", "d/e/before", "d/e/last", "m", "m/e", "m/e/new"] == replica.names()


def test_depths_beyond_the_kept_descriptors(replica: Replica) -> None:
    """Both directories stay open for the act, however many are on the way to them."""
    deep = "/".join("d" * (LIMITS.directory_descriptors + 6))
    make(replica.at, f"s/{deep}/a=a t/{deep}/b=b")
    source, path = path_of(f"s/{deep}/a"), path_of(f"t/{deep}/b")
    replica.publisher.exchange(source, path, (Kind.FILE, Kind.FILE))
    replica.publisher.move(source, path, Kind.FILE)

    assert "b" == (replica.at / os.fsdecode(path)).read_text()
    assert not (replica.at / os.fsdecode(source)).exists()


def test_move_over_another_name_of_the_same_file(replica: Replica) -> None:
    """Of two hard links the one is gone and the other there, where rename(2) by itself does nothing."""
    make(replica.at, "a=a")
    (replica.at / "b").hardlink_to(replica.at / "a")
    proof = replica.publisher.move(A, B, Kind.FILE)

    assert ["b"] == replica.names()
    assert "a" == (replica.at / "b").read_text()
    assert_proves(proof, replica.at / "b")


def test_moved_over_while_it_moves(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's file is never mistaken for the one that was checked."""
    make(replica.at, "a=a other=other")
    rename = os.rename

    def interfere_and_rename(*args: object, **kwargs: object) -> None:
        rename(replica.at / "other", replica.at / "a")
        rename(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(os, "rename", interfere_and_rename)
    with pytest.raises(Changing, match="b was replaced by another process while it was moved"):
        replica.publisher.move(A, B, Kind.FILE)


def test_late_directory_with_content_stays(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that appears after the look and holds anything is not replaced by a moved one."""
    make(replica.at, "a/in=a")
    rename = os.rename

    def interfere_and_rename(*args: object, **kwargs: object) -> None:
        make(replica.at, "b/late=1")
        rename(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(os, "rename", interfere_and_rename)
    with pytest.raises(NotEmpty):
        replica.publisher.move(A, B, Kind.DIRECTORY)

    assert ["a", "a/in", "b", "b/late"] == replica.names()


@pytest.mark.privileged
def test_move_to_another_file_system(replica: Replica) -> None:
    """What is mounted below the replica cannot be moved into: the failure has the kernel's number, both stay."""
    make(replica.at, "a=a b=b")
    with tmpfs(replica.at / "m") as mounted:
        (mounted / "c").write_text("c")
        with pytest.raises(Refused, match="cannot move a to m/b") as moved:
            replica.publisher.move(A, path_of("m/b"), Kind.FILE)
        with pytest.raises(Refused, match="cannot exchange a and m/c") as exchanged:
            replica.publisher.exchange(A, path_of("m/c"), (Kind.FILE, Kind.FILE))

        assert ["a", "b", "m", "m/c"] == replica.names()
    (replica.at / "m").rmdir()

    assert (errno.EXDEV, errno.EXDEV) == (moved.value.errno, exchanged.value.errno)


@pytest.fixture(params=[True, False], ids=["exchange", "no-exchange"])
def exchanges(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Once as the kernel is, once as one that cannot exchange two names."""
    if not request.param:
        monkeypatch.setattr(kernel, "exchange", lambda *_: False)
    return bool(request.param)


@pytest.mark.usefixtures("exchanges")
@pytest.mark.parametrize("second", ["b", "d/b"])
@pytest.mark.parametrize("kinds", PAIRS)
def test_exchange(replica: Replica, kinds: tuple[Kind, Kind], second: str) -> None:
    """Two things of any kind change places, with what is in them, and each fingerprint is that of what is there."""
    make(replica.at, "d/")
    made(replica.at, "a", kinds[0])
    made(replica.at, "b", kinds[1], at=second)
    before = [os.lstat(replica.at / name).st_ino for name in ("a", second)]
    proofs = replica.publisher.exchange(A, path_of(second), kinds)
    found = [parse(proof) for proof in proofs]

    assert (kinds[1], "b") == told(replica.at / "a")
    assert (kinds[0], "a") == told(replica.at / second)
    assert before[::-1] == [proof.inode for proof in found if proof]
    for proof, name in zip(proofs, ("a", second), strict=True):
        assert_proves(proof, replica.at / name)


@pytest.mark.usefixtures("exchanges")
@pytest.mark.parametrize("wrong", [0, 1])
def test_exchange_of_another_kind(replica: Replica, wrong: int) -> None:
    """What is of another kind by now stays, and so does the other."""
    make(replica.at, "a=a b=b")
    kinds = [Kind.FILE, Kind.FILE]
    kinds[wrong] = Kind.DIRECTORY
    with pytest.raises(Changing, match=f"{'ab'[wrong]} is no directory any more"):
        replica.publisher.exchange(A, B, (kinds[0], kinds[1]))

    assert ("a", "b") == ((replica.at / "a").read_text(), (replica.at / "b").read_text())


@pytest.mark.usefixtures("exchanges")
def test_exchange_with_what_is_inside(replica: Replica) -> None:
    """A directory does not change places with its own content: the refusal leaves both where they were."""
    make(replica.at, "d/a=a")
    with pytest.raises(PathFailure, match="cannot exchange d/a and d"):
        replica.publisher.exchange(path_of("d/a"), path_of("d"), (Kind.FILE, Kind.DIRECTORY))

    assert ["d", "d/a"] == replica.names()


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_exchange_that_fails_half_way(replica: Replica, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """Whichever step by way of staging fails, both are where they were."""
    make(replica.at, "a=a b/in=b")
    rename, count = os.rename, itertools.count(1)

    def rename_or_fail(*args: object, **kwargs: object) -> None:
        if next(count) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(kernel, "exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", rename_or_fail)
    with pytest.raises(PathFailure, match="No space left on device"):
        replica.publisher.exchange(A, B, (Kind.FILE, Kind.DIRECTORY))

    assert ["a", "b", "b/in"] == replica.names()
    assert "a" == (replica.at / "a").read_text()


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A replica of a user who is not root: ``p`` and ``q`` hold a file and a directory each; none may be written."""
    base = owned_by_nobody(make(tmp_path, "r/p/d/x=x r/q/e/y=y r/p/f=f r/q/g=g"))
    for directory in ("p/d", "p", "q/e", "q"):
        (base / "r" / directory).chmod(0o555)
    return base / "r"


@contextlib.contextmanager
def publishing(base: Path) -> Iterator[Publisher]:
    """That user's actions; the user cannot even reach the replica by path."""
    with Root.open(base) as root, as_nobody(base), Staging.open(root) as staging:
        yield Publisher(root, staging)


def modes(base: Path) -> dict[str, int]:
    """The mode of every directory in a replica."""
    return {str(path.relative_to(base)): path.stat().st_mode & 0o7777 for path in base.rglob("*") if path.is_dir()}


def test_move_of_our_own_directory_without_permission(locked: Path) -> None:
    """Both parents and the directory itself are opened up, and have their modes again before the proof is taken."""
    with publishing(locked) as publisher:
        proof = publisher.move(path_of("p/d"), path_of("q/d"), Kind.DIRECTORY)

    assert dict.fromkeys(("p", "q", "q/d", "q/e"), 0o555) == modes(locked)
    assert "x" == (locked / "q/d/x").read_text()
    assert_proves(proof, locked / "q/d")


@pytest.mark.usefixtures("exchanges")
def test_exchange_of_our_own_without_permission(locked: Path) -> None:
    """The same for two directories, and for a file and a directory."""
    with publishing(locked) as publisher:
        proofs = publisher.exchange(path_of("p/d"), path_of("q/e"), (Kind.DIRECTORY, Kind.DIRECTORY))
        publisher.exchange(path_of("p/f"), path_of("q/e"), (Kind.FILE, Kind.DIRECTORY))
        publisher.move(path_of("q/g"), path_of("p/g"), Kind.FILE)

    assert dict.fromkeys(("p", "p/d", "p/f", "q"), 0o555) == modes(locked)
    assert ["p/d/y", "p/f/x"] == sorted(str(path.relative_to(locked)) for path in locked.glob("p/*/*"))
    assert ("f", "g") == ((locked / "q/e").read_text(), (locked / "p/g").read_text())
    assert_proves(proofs[0], locked / "p/d")


def test_refused_move_leaves_modes(locked: Path) -> None:
    """Where the move fails all the same, every mode is as before."""
    before = modes(locked)
    with publishing(locked) as publisher:
        with pytest.raises(Changing):
            publisher.move(path_of("p/d"), path_of("q/e"), Kind.DIRECTORY)
        with pytest.raises(Refused):
            publisher.move(path_of("p/d"), path_of("p/d/z"), Kind.DIRECTORY)

    assert (before, dict.fromkeys(("p", "p/d", "q", "q/e"), 0o555)) == (modes(locked), before)


def test_foreign_directory_is_not_opened_up(tmp_path: Path) -> None:
    """A directory that is not ours stays, and the refusal says who may not."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory of somebody else")
    make(tmp_path, "r/d/x=1")
    with Root.open(tmp_path / "r") as root, Staging.open(root) as staging:
        with as_nobody(tmp_path / "r"), pytest.raises(Refused, match=r"cannot move d/x to y: Permission denied \(uid"):
            Publisher(root, staging).move(path_of("d/x"), path_of("y"), Kind.FILE)

        assert ["d", "d/x"] == names(scanned(root))
