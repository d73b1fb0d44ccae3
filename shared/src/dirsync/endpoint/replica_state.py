"""What a replica holds: the tree, the index that remembers it, where its content is, and how much that is.

The four are kept in step here and nowhere else. The lock guards them and every act on the replica's files; whoever
reads the tree or changes anything holds it.

The records say what the *source* declared, beside the fingerprint that proves the file untouched since, so a replica
with fixed modes or coarse timestamps compares equal all the same.
"""

import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.endpoint.content_index import Contents
from dirsync.fs.index.index import Index
from dirsync.tree.directory import files
from dirsync.tree.entry import Entry, Kind, Record, size_of, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

_REBUILD_BELOW = 0.75
"""Contents that are full are gathered again if the tree has fewer entries than this part of their bound: then at least
a quarter of them is of content that nothing has any more."""


_NOWHERE = RelPath(b"/")
"""A path that nothing can have, for what is on its way."""


class Moved(NamedTuple):
    """How much a move brought to its new place."""

    files: int
    bytes: int


class Holdings:
    """What one replica holds."""

    def __init__(self, index: Index, attributes: Attributes) -> None:
        self.lock = threading.RLock()
        self.tree = Tree(attributes)
        self.contents = Contents()
        self.ready = False
        """Whether the tree is known."""
        self.rearranged = 0
        """How often a directory went elsewhere, or away: a descriptor that was kept of one may be that of another."""
        self._index = index
        self._bytes: int | None = 0
        """Sum of the sizes of all files; ``None`` after a look that found changes: counted when somebody asks."""

    # Reading.

    @property
    def bytes(self) -> int:
        """Sum of the sizes of all files."""
        with self.lock:
            if self._bytes is None:
                self._bytes = sum(size_of(record) for _, record in files(self.tree.root))
            return self._bytes

    def size_of(self, path: RelPath) -> int:
        """Bytes of the file at ``path``; 0 if there is none."""
        with self.lock:
            record = self.tree.record(path)
        return 0 if record is None else unpack(record).size

    def entry(self, path: RelPath) -> Entry | None:
        """What is at ``path``; a directory without its digest."""
        with self.lock:
            record = self.tree.record(path)
        return None if record is None else unpack(record)

    # Changes that we made. They hold the lock.

    def put(self, path: RelPath, record: Record) -> None:
        """Something was published at ``path``."""
        before = self.tree.record(path)
        self.rearranged += before is not None and before[0] == Kind.DIRECTORY != record[0]
        self._leaves(path, before)
        self.tree.put(path, record)
        self._index.put(path, record)
        self._arrives(path, record)

    def remove(self, path: RelPath) -> None:
        """What was at ``path``, no directory with content, is gone."""
        before = self.tree.record(path)
        self.rearranged += before is not None and before[0] == Kind.DIRECTORY
        self._leaves(path, before)
        self.tree.remove(path)
        self._index.remove(path)

    def move(self, source: RelPath, path: RelPath, record: Record) -> Moved:
        """What was at ``source``, with everything below it, is at ``path``, in place of a file or link.

        ``record`` is the one that it has there.
        """
        self.rearranged += 1
        self._leaves(path, self.tree.record(path))
        self.tree.move(source, path)
        self._index.move(source, path)
        self._renew(path, record)
        return self._relocate(path, source, path)

    def exchange(self, first: RelPath, second: RelPath, first_record: Record, second_record: Record) -> Moved:
        """What was at the two paths changed places; the records are those that are there now."""
        self.rearranged += 1
        self._relocate(first, first, _NOWHERE)
        self.tree.exchange(first, second)
        self._index.exchange(first, second)
        self._renew(first, first_record)
        self._renew(second, second_record)
        one, other = self._relocate(first, second, first), self._relocate(second, _NOWHERE, second)
        return Moved(one.files + other.files, one.bytes + other.bytes)

    # Changes that a look found. They hold the lock.

    def learned(self, tree: Tree, contents: Contents, changed: Iterable[RelPath]) -> None:
        """A tree was read from the files; it differs at ``changed`` from what the index has."""
        self.tree, self.contents = tree, contents
        self._bytes = None
        for path in changed:
            self._store(path)
        self.ready = True

    def looked(self, path: RelPath) -> None:
        """A look has changed the tree at ``path``.

        Nobody knows what was there before: its content goes on being looked for there, until somebody does.
        """
        self._bytes = None
        record = self._store(path)
        if record is not None:
            self._know(path, record)

    def preserve(self, attributes: Attributes) -> None:
        """Other metadata count from now on."""
        if attributes != self.tree.attributes:
            self.tree = self.tree.copy(attributes)

    def _leaves(self, path: RelPath, record: Record | None) -> None:
        if record is not None and record[0] == Kind.FILE:
            self.contents.remove(path, record)
            if self._bytes is not None:
                self._bytes -= size_of(record)

    def _arrives(self, path: RelPath, record: Record) -> None:
        if record[0] == Kind.FILE:
            self._know(path, record)
            if self._bytes is not None:
                self._bytes += size_of(record)

    def _know(self, path: RelPath, record: Record) -> None:
        if self.contents.is_full and len(self.tree) < self.contents.limit * _REBUILD_BELOW:
            self.contents.fill(self.tree)
        self.contents.add(path, record)

    def _renew(self, path: RelPath, record: Record) -> None:
        self.tree.put(path, record)
        self._index.put(path, record)

    def _relocate(self, at: RelPath, old: RelPath, new: RelPath) -> Moved:
        """The content of what the tree has ``at`` a path is to be looked for below ``new`` instead of below ``old``."""
        count = size = 0
        for path, record in self._files(at):
            rest = path[len(at) :]
            self.contents.rename(RelPath(old + rest), RelPath(new + rest), record)
            count += 1
            size += size_of(record)
        return Moved(count, size)

    def _files(self, path: RelPath) -> Iterator[tuple[RelPath, Record]]:
        """The file at ``path``, or those below it."""
        directory, record = self.tree.directory(path), self.tree.record(path)
        if directory is not None:
            yield from files(directory, path)
        elif record is not None and record[0] == Kind.FILE:
            yield path, record

    def _store(self, path: RelPath) -> Record | None:
        record = self.tree.record(path)
        if record is None:
            self._index.remove(path)
        else:
            self._index.put(path, record)
        return record
