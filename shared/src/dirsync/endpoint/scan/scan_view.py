"""A replica's tree as a scan works on it: what the scan finds is kept apart until it is published.

A scan reads directories for as long as the disk takes. It must not hold the data lock meanwhile, and no reader may see
a directory of which half was looked at. So a scan changes copies of the directories in which something is different;
directories that are as they were cost nothing.

Invariant: from the first change to the last :meth:`ScanView.take_changes` the caller holds the writer mutex, so no
other thread changes the tree. That is why its directories are read here without the data lock. They are found from the
root and not by the tree's own methods, because those keep what they found, and readers use them at the same time.
"""

from collections.abc import Callable, Iterable, Iterator

from dirsync.tree.directory import Directory
from dirsync.tree.entry import Entry, Kind, Record, unpack
from dirsync.tree.path import ROOT, RelPath, components, is_within, join, split
from dirsync.tree.tree import Tree

_DIRECTORY = int(Kind.DIRECTORY)


class ScanView(Tree):
    """The tree below, with the changes of a scan in it. It has paths and records; digests and counts mean nothing."""

    def __init__(self, below: Callable[[], Tree]) -> None:
        """``below`` returns the tree; it is asked anew each time, because another one may take its place."""
        super().__init__()
        self._below = below
        self._copies: dict[RelPath, Directory] = {}
        """Directories that are new or that hold a difference. Each is found here before it is found in the tree."""
        self._differences: dict[RelPath, bool] = {}
        """Paths that are not as in the tree, and whether all that the tree has there, and below, is gone."""

    @property
    def differs(self) -> bool:
        """Whether anything was changed that is not published."""
        return bool(self._differences)

    def take_changes(self, paths: Iterable[RelPath]) -> list[tuple[RelPath, Record | None]]:
        """What has to be done to the tree to make it as the view at ``paths``, which the caller does then.

        Paths come after those that hold them. ``None``: remove what is there, with everything below it.
        """
        changes: list[tuple[RelPath, Record | None]] = []
        for path in paths:
            record = self.record(path)
            if self._differences.pop(path, False) or record is None:
                changes.append((path, None))
            if record is not None:
                changes.append((path, record))
        if not self._differences:
            self._copies.clear()
        return changes

    def __contains__(self, path: RelPath) -> bool:
        return self._node(path) is not None

    def record(self, path: RelPath) -> Record | None:
        """As :meth:`Tree.record`."""
        found = self._node(path)
        return found.record if isinstance(found, Directory) else found

    def directory(self, path: RelPath) -> Directory | None:
        """As :meth:`Tree.directory`."""
        found = self._node(path)
        return found if isinstance(found, Directory) else None

    def children(self, path: RelPath = ROOT) -> Iterator[tuple[bytes, Entry]]:
        """As :meth:`Tree.children`, directories without their digests."""
        directory = self.directory(path)
        if directory is None:
            raise KeyError(path)
        for name in sorted(directory.children):
            child = directory.children[name]
            yield name, unpack(child.record if isinstance(child, Directory) else child)

    def put(self, path: RelPath, record: Record) -> None:
        """As :meth:`Tree.put`."""
        parent, name = split(path)
        siblings = self._own(parent).children
        before = siblings.get(name)
        if record[0] == _DIRECTORY and isinstance(before, Directory):
            siblings[name] = own = self._own(path)
            own.record = record
        else:
            if isinstance(before, Directory):
                self._forget_below(path)
            if record[0] == _DIRECTORY:
                siblings[name] = self._copies[path] = Directory(record)
            else:
                siblings[name] = record
        self._differences.setdefault(path, False)

    def remove(self, path: RelPath) -> None:
        """As :meth:`Tree.remove`."""
        self.take(path)

    def take(self, path: RelPath) -> Record | Directory | None:
        """As :meth:`Tree.take`; the node is for looking at only."""
        node = self._node(path)
        if node is None:
            return None
        parent, name = split(path)
        del self._own(parent).children[name]
        if isinstance(node, Directory):
            self._forget_below(path)
        if self._is_in_tree(path):
            self._differences[path] = True
        else:
            self._differences.pop(path, None)
        return node

    def _node(self, path: RelPath) -> Record | Directory | None:
        copies = self._copies
        node: Record | Directory | None = copies.get(ROOT) or self._below().root
        at = ROOT
        for name in components(path):
            if not isinstance(node, Directory):
                return None
            node = node.children.get(name)
            if copies and isinstance(node, Directory):
                at = join(at, name)
                node = copies.get(at, node)
        return node

    def _own(self, path: RelPath) -> Directory:
        """The directory at ``path`` as one that may be changed."""
        own = self._copies.get(path)
        if own is None:
            known = self._node(path)
            if not isinstance(known, Directory):
                raise KeyError(path)
            own = self._copies[path] = Directory(known.record)
            own.children = dict(known.children)
        return own

    def _forget_below(self, path: RelPath) -> None:
        for copied in [copied for copied in self._copies if is_within(copied, path)]:
            del self._copies[copied]
        for different in [different for different in self._differences if is_within(different, path)]:
            del self._differences[different]

    def _is_in_tree(self, path: RelPath) -> bool:
        node: Record | Directory | None = self._below().root
        for name in components(path):
            node = node.children.get(name) if isinstance(node, Directory) else None
        return node is not None
