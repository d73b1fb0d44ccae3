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
from dirsync.tree.lookup.chain import Chain
from dirsync.tree.path import ROOT, RelPath, is_within, split
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
        self._chain_here = Chain(below().root)
        """Leads to the directory of the view that was asked for last."""
        self._chain_in_tree: Chain | None = None
        """The same in the tree, until its changes are published."""
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
            for path in self._copies:
                self._chain_here.leave(path)
            self._copies.clear()
        self._chain_in_tree = None
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

    def forget_places(self) -> None:
        """Find directories from the root again: another thread may have moved or removed some."""
        self._chain_here = Chain(self._below().root)

    def _node(self, path: RelPath) -> Record | Directory | None:
        copies, chain = self._copies, self._chain_here
        copied = copies.get(path)
        if copied is not None:
            return copied
        root = copies.get(ROOT) or self._below().root
        if chain.directories[0] is not root:
            chain = self._chain_here = Chain(root)
        if not path:
            return root
        parent, name = split(path)
        if not chain.lead_to(parent, copies):
            return None
        return chain.directories[-1].children.get(name)

    def _own(self, path: RelPath) -> Directory:
        """The directory at ``path`` as one that may be changed."""
        own = self._copies.get(path)
        if own is None:
            known = self._node(path)
            if not isinstance(known, Directory):
                raise KeyError(path)
            own = self._copies[path] = Directory(known.record)
            own.children = dict(known.children)
            self._chain_here.replace(path, own)
        return own

    def _forget_below(self, path: RelPath) -> None:
        self._chain_here.leave(path)
        self._differences.pop(path, None)
        copies = [copied for copied in self._copies if is_within(copied, path)]
        if not copies:
            return  # so nothing was changed there
        for copied in copies:
            del self._copies[copied]
        for different in [different for different in self._differences if is_within(different, path)]:
            del self._differences[different]

    def _is_in_tree(self, path: RelPath) -> bool:
        chain = self._chain_in_tree = self._chain_in_tree or Chain(self._below().root)
        parent, name = split(path)
        return chain.lead_to(parent) and name in chain.directories[-1].children
