"""Small trees on disk as text, and processes with less power, so that a test shows what it is about.

A tree is a list of words: ``docs/`` a directory, ``a=one`` a file with that content, ``l->a`` a link, ``p|`` a FIFO.
Missing parents are made.
"""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from dirsync.fs.root import Root
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules
from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from tests.support.trees.scanning import scan_tree

NOBODY = 65534
"""A user who owns nothing."""


def make(base: Path, words: str) -> Path:
    """Make what the words describe below ``base``."""
    for word in words.split():
        name = word.rstrip("/|").split("->")[0].split("=")[0]
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "->" in word:
            path.symlink_to(word.partition("->")[2])
        elif word.endswith("/"):
            path.mkdir()
        elif word.endswith("|"):
            os.mkfifo(path)
        else:
            path.write_text(word.partition("=")[2])
    return base


def let_settle() -> None:
    """Wait until no fingerprint of what is there is racy, so that it is the same at every scan."""
    time.sleep(1.2 * LIMITS.racy_window_ns / 1e9)


def scanned(root: Root, rules: ScanRules = DEFAULT_RULES) -> Tree:
    """A new tree of what is there."""
    tree = Tree()
    scan_tree(root, tree, rules)
    return tree


def names(tree: Tree) -> list[str]:
    """Every path of a tree."""
    return [path.decode() for path, _ in tree.walk()]


def entries(tree: Tree) -> dict[RelPath, Entry]:
    """Every path of a tree and what is there."""
    return {path: unpack(record) for path, record in tree.walk()}


def path_of(text: str) -> RelPath:
    """A path, taken as valid."""
    return RelPath(os.fsencode(text))


@contextlib.contextmanager
def as_nobody(base: Path) -> Iterator[None]:
    """Permission bits hold for this process meanwhile, also where it is root's.

    ``base`` itself is made readable for everybody; it has to be open already, for what is above it may not be.
    """
    base.chmod(0o755)
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def owned_by_nobody(base: Path) -> Path:
    """Give ``base`` and everything below it to the user of :func:`as_nobody`."""
    if os.geteuid() == 0:
        for directory, _, files in os.walk(base):
            os.chown(directory, NOBODY, NOBODY)
            for file in files:
                os.chown(os.path.join(directory, file), NOBODY, NOBODY, follow_symlinks=False)
    return base


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
