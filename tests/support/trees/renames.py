"""What users and programs do with names: a directory as it was, and the changes made in it.

Each case stands for itself below a directory of its own, and all content in it is its own, so that nothing of one case
can be made from what another has. After its hands nothing is left that the replica did not have before, save what
``sends`` counts.
"""

import ctypes
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dirsync.limits import KIB
from tests.support.trees.content import random_bytes

LARGE = 150 * KIB
"""Bytes of a file that travels in frames."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


Hands = Callable[[Path], None]


class Rename(NamedTuple):
    """One case."""

    before: tuple[str, ...]
    """Paths; names that begin with ``L`` are those of large files, the others of small ones."""
    hands: Hands
    moves: tuple[str, ...] = ()
    """The paths to which the replica moves something, in byte order: a directory is one, whatever it holds."""
    steps: int = 0
    """How many moves and exchanges that takes; 0 where that is left open."""
    sends: int = 0
    """Bytes of content that are new."""


def contents(name: str, *paths: str) -> dict[str, bytes | None]:
    """Files at these paths, each with content that nothing else has; a path that ends in ``/`` is a directory."""
    return {
        path: None
        if path.endswith("/")
        else random_bytes(LARGE if Path(path).name.startswith("L") else 2 * KIB, zlib.crc32(f"{name}/{path}".encode()))
        for path in paths
    }


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step."""
    result = _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)

    assert result == 0, os.strerror(ctypes.get_errno())


def aside(one: Path, other: Path) -> None:
    """Exchange two names as users do, by way of a third."""
    third = one.with_name("third")
    one.rename(third)
    other.rename(one)
    third.rename(other)


def _moves(*pairs: str) -> Hands:
    def hands(top: Path) -> None:
        for pair in pairs:
            old, new = pair.split(" > ")
            (top / new).parent.mkdir(exist_ok=True)
            (top / old).rename(top / new)

    return hands


def _exchanges(*pairs: str) -> Hands:
    def hands(top: Path) -> None:
        for pair in pairs:
            one, other = pair.split(" = ")
            exchange(top / one, top / other)

    return hands


def _rotate_logs(top: Path) -> None:
    (top / "log.1").rename(top / "log.2")
    (top / "log").rename(top / "log.1")
    (top / "log").write_bytes(os.urandom(10))


def _leave_and_remove(top: Path) -> None:
    (top / "d/La").rename(top / "La")
    (top / "d").rmdir()


def _replace_directory(top: Path) -> None:
    (top / "app/a").unlink()
    (top / "app/La").unlink()
    (top / "app").rmdir()
    (top / "new").rename(top / "app")


RENAMES: dict[str, Rename] = {
    "small file": Rename(("a",), _moves("a > b"), ("b",)),
    "large file": Rename(("La",), _moves("La > Lb"), ("Lb",)),
    "into a directory": Rename(("La", "d/x"), _moves("La > d/La"), ("d/La",)),
    "into a new directory": Rename(("La", "b"), _moves("La > new/La", "b > new/b"), ("new/La", "new/b")),
    "out of a directory": Rename(("d/La", "d/x"), _moves("d/La > La"), ("La",)),
    "out of a directory that goes": Rename(("d/La",), _leave_and_remove, ("La",)),
    "over a file": Rename(("La", "Lb"), _moves("La > Lb"), ("Lb",)),
    "over another kind of file": Rename(("a", "Lb"), _moves("a > Lb"), ("Lb",)),
    "twice": Rename(("La", "b"), _moves("La > L2", "L2 > L3", "b > b2", "b2 > b3"), ("L3", "b3")),
    "there and back": Rename(("La", "d/x"), _moves("La > L2", "L2 > La", "d > e", "e > d")),
    "directory": Rename(("d/a", "d/deep/er/Lb", "d/empty/"), _moves("d > e"), ("e",)),
    "directory into a directory": Rename(("d/a", "e/Lb"), _moves("d > e/d"), ("e/d",)),
    "directory out of a directory": Rename(("d/e/La", "d/x"), _moves("d/e > e"), ("e",)),
    "directory twice": Rename(("d/a", "d/Lb"), _moves("d > e", "e > f"), ("f",)),
    "into a directory that moved": Rename(
        ("d/x", "La", "b/c"), _moves("d > e", "La > e/La", "b > e/b"), ("e", "e/La", "e/b")
    ),
    "out of a directory that moved": Rename(("d/b/Lc", "d/x"), _moves("d > e", "e/b > b"), ("b", "e")),
    "within a directory that moved": Rename(
        ("d/La", "d/b/c"), _moves("d > e", "e/La > e/Lz", "e/b > e/y"), ("e", "e/Lz", "e/y")
    ),
    "parent and child": Rename(("d/e/La", "d/x"), _moves("d/e > top", "d > top/d"), ("top", "top/d")),
    "shifted names": Rename(("v1/La", "v2/Lb", "v3/Lc"), _moves("v3 > v4", "v2 > v3", "v1 > v2"), ("v2", "v3", "v4")),
}
"""Cases that are moves and nothing else."""

EXCHANGES: dict[str, Rename] = {
    "small files": Rename(("a", "b"), lambda top: aside(top / "a", top / "b"), steps=1),
    "large files": Rename(("La", "d/Lb"), lambda top: aside(top / "La", top / "d/Lb"), steps=1),
    "files at once": Rename(("La", "Lb"), _exchanges("La = Lb"), steps=1),
    "directories": Rename(("d/a", "d/La", "e/b", "e/f/c"), lambda top: aside(top / "d", top / "e"), steps=1),
    "directories at once": Rename(("d/La", "e/Lb"), _exchanges("d = e"), steps=1),
    "three files": Rename(("La", "Lb", "Lc"), _exchanges("La = Lb", "Lb = Lc")),
    "three directories": Rename(("d/La", "e/Lb", "f/Lc"), _exchanges("d = e", "e = f")),
    "a new version": Rename(("app/a", "app/La", "new/b", "new/Lb"), _moves("app > app.old", "new > app"), steps=2),
    "logs": Rename(("log", "log.1"), _rotate_logs, sends=10),
    "in place of a directory that goes": Rename(("app/a", "app/La", "new/b", "new/Lb"), _replace_directory),
    "file and directory": Rename(("La", "d/b", "d/e/Lc"), _exchanges("La = d")),
    "a file out of a directory that moved": Rename(("d/La", "d/x"), _moves("d > e", "e/La > La")),
}
"""Cases in which a name stays in use for something else, or a move is not the only way."""
