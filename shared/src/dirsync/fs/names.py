"""Names in a directory tree on disk, listed without looking at what they name."""

import os
from collections.abc import Iterator

from dirsync.fs.failure import reading_failure
from dirsync.fs.root import Root
from dirsync.tree.directory import Directory
from dirsync.tree.path import RelPath, join
from dirsync.tree.tree import Tree


def untracked_paths(root: Root, tree: Tree, path: RelPath) -> Iterator[RelPath]:
    """Paths below the directory at ``path`` that are on disk and not in the tree; not what is below those.

    Raises:
        PathFailure: a directory that the tree has cannot be listed; Vanished if it is none any more.
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
