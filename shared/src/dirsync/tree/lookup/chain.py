"""The way from the root of a tree to one of its directories."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dirsync.tree.directory import Directory
from dirsync.tree.path import ROOT, RelPath, join, split

_SLASH: Final = ord("/")


class Chain:
    """The directories from the root to one of them, and the names that lead there.

    Paths mostly come ordered by directory. So it goes on from where it is, and what a path costs does not grow with its
    depth.
    """

    __slots__ = ("directories", "names", "path")

    def __init__(self, root: Directory) -> None:
        self.path = ROOT
        self.names: list[bytes] = []
        self.directories = [root]

    def lead_to(self, path: RelPath, instead: Mapping[RelPath, Directory] = MappingProxyType({})) -> bool:
        """Make it lead to the directory at ``path``; whether there is one. Else it leads to one above it.

        ``instead``: directories that are used instead of those that the tree has at these paths.
        """
        if path == self.path:
            return True
        if not _is_at_or_above(self.path, path):
            self._climb(path)
        if path == self.path:
            return True
        children, at = self.directories[-1].children, self.path
        for name in (path[len(self.path) + 1 :] if self.path else path).split(b"/"):
            child = children.get(name)
            if not isinstance(child, Directory):
                self._name_itself(path)
                return False
            if instead:
                at = join(at, name)
                child = instead.get(at, child)
            self.names.append(name)
            self.directories.append(child)
            children = child.children
        self.path = path
        return True

    def replace(self, path: RelPath, directory: Directory) -> None:
        """Use this directory at ``path`` from now on."""
        if _is_at_or_above(path, self.path):
            self.directories[_depth(path)] = directory

    def leave(self, path: RelPath) -> None:
        """Make it lead to the directory that holds ``path``, if it leads there or below it."""
        if self.path and _is_at_or_above(path, self.path):
            self._cut(split(path)[0])

    def _climb(self, path: RelPath) -> None:
        """Lead to ``path`` or the directory that holds it where they are above, or else to the root."""
        parent, _ = split(path)
        if _is_at_or_above(path, self.path):
            self._cut(path)
        else:
            self._cut(parent if _is_at_or_above(parent, self.path) else ROOT)

    def _cut(self, path: RelPath) -> None:
        depth = _depth(path)
        del self.names[depth:]
        del self.directories[depth + 1 :]
        self.path = path

    def _name_itself(self, path: RelPath) -> None:
        """It leads to some directory above ``path``: find out which path that has."""
        left = path.count(b"/") + 1 - len(self.names)
        self.path = RelPath(path.rsplit(b"/", left)[0]) if self.names else ROOT


def _is_at_or_above(above: RelPath, path: RelPath) -> bool:
    if not above:
        return True
    length = len(above)
    return path.startswith(above) and (len(path) == length or path[length] == _SLASH)


def _depth(path: RelPath) -> int:
    return path.count(b"/") + 1 if path else 0
