"""Digests of files as they are, and what happens where they cannot be had."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from dirsync.errors import Unavailable
from dirsync.fs.failure import Vanished
from dirsync.fs.fingerprint import matches
from dirsync.fs.read.hashing import Digester, resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Record, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.problem import ProblemKind
from dirsync.tree.tree import Tree
from tests.unit.fs.places import as_nobody, entries, make, path_of, scanned

READ = LIMITS.file_read_bytes


@pytest.mark.parametrize("size", [0, 1, READ - 1, READ, READ + 1, 3 * READ])
@pytest.mark.case("D14")
def test_digest(tmp_path: Path, size: int) -> None:
    """The digest is that of the whole content, for every size around the read's."""
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    with Root.open(tmp_path) as root:
        counted: list[int] = []
        digest, status, _ = Digester(root, hashed=counted.append).digest(path_of("f"))

    assert hashlib.sha256(content).digest() == digest
    assert size == status.st_size == sum(counted)


def test_digest_of_what_is_gone(tmp_path: Path) -> None:
    """A file that is not there has no digest."""
    with Root.open(tmp_path) as root, pytest.raises(Vanished):
        Digester(root).digest(path_of("f"))


@pytest.mark.parametrize("threads", [1, 2])
def test_resolve(tmp_path: Path, threads: int) -> None:
    """Every unknown file gets its digest; what is no file is passed over."""
    words = " ".join(f"d{n % 3}/f{n}={n}" for n in range(LIMITS.hash_batch_files * 3))
    make(tmp_path, f"{words} l->d0/f0")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        paths = [path for path, _ in tree.walk()]
        problems = resolve(root, tree, [path_of("absent"), *paths], threads=threads)
        digests = {path: entry.digest for path, entry in entries(tree).items() if entry.size}

        assert [] == problems
        assert {path: hashlib.sha256(path.rpartition(b"f")[2]).digest() for path in digests} == digests
        assert [] == list(unknown_files(tree))


def test_only_one_thread_asks_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree is not made for two threads: looked up in one while the other puts, files land in the wrong directory."""
    asked: list[int] = []
    record = Tree.record

    def watched(tree: Tree, path: RelPath) -> Record | None:
        asked.append(threading.get_ident())
        return record(tree, path)

    monkeypatch.setattr(Tree, "record", watched)
    with Root.open(make(tmp_path, " ".join(f"r/d{number % 3}/f{number}" for number in range(30))) / "r") as root:
        tree = scanned(root)
        paths = list(unknown_files(tree))
        asked.clear()
        assert [] == resolve(root, tree, paths, threads=3)

    assert len(asked) >= len(paths) == 30
    assert {threading.get_ident()} == set(asked)
    assert [] == list(unknown_files(tree))


def test_resolve_takes_what_it_reads(tmp_path: Path) -> None:
    """A file that changed since the scan gets the record of what was read; declared metadata stays."""
    make(tmp_path, "f=abc")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        record = tree.record(path_of("f"))
        assert record is not None
        tree.put(path_of("f"), pack(unpack(record)._replace(mode=0o777), record[53:]))
        (tmp_path / "f").write_text("abcdef")
        resolve(root, tree, [path_of("f")])
        entry = entries(tree)[path_of("f")]

        assert (6, hashlib.sha256(b"abcdef").digest(), 0o777) == (entry.size, entry.digest, entry.mode)


@pytest.mark.case("B06")
def test_resolve_says_what_it_cannot_read(tmp_path: Path) -> None:
    """A file without permission and one that is gone are problems; the tree keeps both, the others are done."""
    make(tmp_path, "a=1 b=2 c=3")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        (tmp_path / "a").chmod(0)
        (tmp_path / "b").unlink()
        with as_nobody(tmp_path):
            problems = resolve(root, tree, map(path_of, "abc"))
        unread = {path.decode() for path, entry in entries(tree).items() if entry.digest == UNKNOWN}

        assert {("a", ProblemKind.UNREADABLE), ("b", ProblemKind.VANISHED)} == {
            (problem.path.decode(), problem.kind) for problem in problems
        }
        assert {"a", "b"} == unread


def test_cancel(tmp_path: Path) -> None:
    """Cancelling ends the work, and no thread stays."""
    make(tmp_path, " ".join(f"f{n}=x" for n in range(200)))
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        before = threading.active_count()
        with pytest.raises(Unavailable, match="cancelled"):
            resolve(root, tree, list(unknown_files(tree)), cancelled=lambda: True)

        assert before == threading.active_count()
        assert 200 == len(list(unknown_files(tree)))


def test_resolved_record_is_proved(tmp_path: Path) -> None:
    """What was hashed long after its last change need not be hashed again."""
    make(tmp_path, "f=abc")
    status = os.lstat(tmp_path / "f")
    with Root.open(tmp_path) as root:
        tree = scanned(root)
        resolve(root, tree, [path_of("f")], now=lambda: status.st_ctime_ns + 10**10)
        record = tree.record(path_of("f"))

        assert record is not None
        assert matches(record, status)
