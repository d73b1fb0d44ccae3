"""Comparing the names on disk with those of a tree, without reading any status."""

import os
from collections.abc import Iterator

from dirsync.fs.failure import reading_failure
from dirsync.fs.root import Root
from dirsync.tree.directory import Directory
from dirsync.tree.path import RelPath, join
from dirsync.tree.tree import Tree


def untracked_paths(root: Root, tree: Tree, path: RelPath) -> Iterator[RelPath]:
    """Paths below the directory at ``path`` that are on disk but not in the tree, without what is below them.

    Raises:
        PathFailure: a directory that the tree has cannot be listed; Vanished if it is no directory any more.
    """
    root.forget_all()
    start = tree.directory(path)
    stack = [] if start is None else [(path, start)]
    while stack:
        at, directory = stack.pop()
        try:
            names = os.listdir(root.directory(at))
        except OSError as error:
            raise reading_failure(at, "list", error) from error
        for name in map(os.fsencode, names):
            child = directory.children.get(name)
            if child is None:
                yield join(at, name)
            elif isinstance(child, Directory):
                stack.append((join(at, name), child))
