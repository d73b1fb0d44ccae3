"""A process that exchanges a directory and a symbolic link, as fast as the kernel can.

Each exchange is atomic, so the name is always there, now a directory and now a link that leads elsewhere: a process
that looks first and acts by the same path afterwards acts elsewhere sooner or later. It is a process of its own,
because that makes the race as hard as one by an attacker, and dies with its parent.

:func:`naive` is the control of every race: the usual check followed by the act, which does escape.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.running.beside import begin, beside

_AT_FDCWD, _EXCHANGE = -100, 2


@contextmanager
def flipping(path: Path, link: Path) -> Iterator[None]:
    """While this lasts, what is at these two paths changes places all the time; after it everything is back."""
    inode = path.lstat().st_ino
    try:
        with beside("tests.support.faults.flipper", path, link):
            yield
    finally:
        if path.lstat().st_ino != inode:
            exchange(path, link)


def exchange(first: Path, second: Path) -> None:
    """Let what is at two paths change places."""
    _exchange(_library(), os.fsencode(first), os.fsencode(second))


def naive(root: Path, path: str, content: bytes) -> bool:
    """Write a file the usual way: refuse a path that leads out of the root, then write. Whether it was written."""
    target = os.path.join(root, path)
    with suppress(OSError):
        if os.path.realpath(os.path.dirname(target)).startswith(os.path.realpath(root) + os.sep):
            with open(target, "wb") as file:
                file.write(content)
            return True
    return False


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _exchange(library: ctypes.CDLL, first: bytes, second: bytes) -> None:
    if library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _flip(first: bytes, second: bytes) -> None:
    library = _library()
    begin()
    while True:
        with suppress(FileNotFoundError):
            _exchange(library, first, second)


if __name__ == "__main__":
    _flip(os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2]))
