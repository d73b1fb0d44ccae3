"""What a replica holds: the tree, the index that remembers it, where its content is, and how much that is.

Nothing else changes the four, and each change here changes all of them. Two locks guard them:

- :attr:`ReplicaState.writer`, the writer mutex. A thread that changes anything, files or state, holds it: for one
  commit, for one directory of a scan, for the opening of a session. Files are read and written under it, so it may be
  held for as long as a disk takes. Readers never wait for it.
- :attr:`ReplicaState.lock`, the data lock. It guards the tree, the content index and the sums, for readers and for the
  writer. It is held for work in memory only: never while a file is touched, the index is written or a callback runs.

Invariants: the data lock is the inner one. The tree and the sums change only under both. The content index is a hint,
and loses what is wrong under the data lock alone. The index is written by the holder of the writer mutex alone, in the
order of the changes.

The records say what the *source* declared, beside the fingerprint that proves the file untouched since, so a replica
with fixed modes or coarse timestamps compares equal all the same.

A file that was not read has a digest of no content, but never ``UNKNOWN``: one that tells this state of it from any
other (:func:`~dirsync.fs.fingerprint.as_unread`). So it equals nothing, the tree digest shows that it is there, and an
operation that says what its planner saw can still replace or remove it.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dirsync.endpoint.content_index import ContentIndex
from dirsync.endpoint.writer_mutex import WriterMutex
from dirsync.fs.fingerprint import as_unread
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.fs.write.access import owner_access_down_to
from dirsync.tree.directory import Directory, directory_of, files, hashes_of
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, digest_of, size_of, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

_REBUILD_BELOW = 0.75
"""A content index that is full is filled again if the tree has fewer entries than this part of its bound: then at least
a quarter of it is content that nothing has any more."""


_NOWHERE = RelPath(b"/")
"""A path that nothing can have, for what is on its way."""


class MoveTotals(NamedTuple):
    """How much a move brought to its new place."""

    files: int
    bytes: int


class Moment(NamedTuple):
    """What the tree has at some paths, and its sums, all of one moment."""

    root_digest: bytes
    entries: int
    found: list[tuple[RelPath, Entry | None]]
    """What is at each path, a directory with its digest."""
    version: int


class Totals(NamedTuple):
    """The whole tree in numbers, all of one moment."""

    root_digest: bytes
    entries: int
    bytes: int
    """Sum of the sizes of all files."""
    version: int
    """Which moment that is."""


class ReplicaState:
    """What one replica holds. Readers call from any thread; what changes anything needs the writer mutex."""

    def __init__(self, index: Index, attributes: Attributes) -> None:
        self.writer = WriterMutex()
        self.lock = threading.RLock()
        self.tree = Tree(attributes)
        """For the holder of the data lock; another tree may take its place."""
        self.content = ContentIndex()
        """For the holder of the data lock."""
        self.ready = False
        """Whether the tree is known."""
        self.version = 0
        """How often the tree may have changed: of two moments the later has the greater number."""
        self.layout_version = 0
        """Grows when a directory goes elsewhere or away: a descriptor that was kept of one may be that of another."""
        self._index = index
        self._bytes: int | None = 0
        """Sum of the sizes of all files; ``None`` after a scan that found changes: counted when it is asked for."""

    @contextlib.contextmanager
    def owner_access(self, root: Root, path: RelPath) -> Iterator[None]:
        """Open our own directories down to ``path``, for the time of a ``with`` block; no commit comes between."""
        with self.writer, owner_access_down_to(root, path):
            yield

    # Reading, from any thread.

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of all files."""
        with self.lock:
            if self._bytes is None:
                self._bytes = sum(size_of(record) for _, record in files(self.tree.root))
            return self._bytes

    def totals(self) -> Totals:
        """The root digest and the sums."""
        with self.lock:
            return Totals(self.tree.digest(), len(self.tree), self.total_bytes, self.version)

    def moment(self, paths: Iterable[RelPath]) -> Moment:
        """What is at these paths, and the sums, as they are now."""
        with self.lock:
            found = [(path, self.tree.get(path)) for path in paths]
            return Moment(self.tree.digest(), len(self.tree), found, self.version)

    def record(self, path: RelPath) -> Record | None:
        """The record at ``path``."""
        with self.lock:
            return self.tree.record(path)

    def get(self, path: RelPath) -> Entry | None:
        """What is at ``path``, a directory with its digest."""
        with self.lock:
            return self.tree.get(path)

    def entry(self, path: RelPath) -> Entry | None:
        """What is at ``path``; a directory without its digest."""
        record = self.record(path)
        return None if record is None else unpack(record)

    def size_of(self, path: RelPath) -> int:
        """Bytes of the file at ``path``; 0 if there is none."""
        with self.lock:
            record = self.tree.record(path)
        return 0 if record is None else unpack(record).size

    def directory(self, path: RelPath) -> Directory | None:
        """The directory at ``path``. Its children may be read by the holder of the writer mutex."""
        with self.lock:
            return self.tree.directory(path)

    def paths_of(self, digest: bytes) -> tuple[list[RelPath], int]:
        """Paths where the tree has this content, and how many were thought to have it and have not.

        The content index is a hint. What turns out to be wrong in it is dropped, under the data lock alone.
        """
        with self.lock:
            thought = self.content.find(digest)
            found = [path for path in thought if has_content(self.tree.record(path), digest)]
            for path in thought:
                if path not in found:
                    self.content.drop(path, digest)
        return found, len(thought) - len(found)

    def forget_content(self, path: RelPath, digest: bytes) -> None:
        """The content of this digest is not at ``path``; it is not looked for there any more."""
        with self.lock:
            self.content.drop(path, digest)

    # Changes that we made.

    def put(self, path: RelPath, record: Record) -> None:
        """Something was published at ``path``, or read."""
        self.writer.require_held()
        record = _stored(record)
        with self.lock:
            self.version += 1
            before = self.tree.record(path)
            self.layout_version += before is not None and before[0] == Kind.DIRECTORY != record[0]
            self._leaves(path, before)
            self.tree.put(path, record)
            self._arrives(path, record)
        self._index.put(path, record)

    def put_tree(self, path: RelPath, record: Record, below: Sequence[tuple[RelPath, Record]]) -> None:
        """A directory was published at ``path``, where nothing was, with everything below it: parents first."""
        self.writer.require_held()
        node = directory_of(path, record, below, hashes_of(below, self.tree.attributes))
        size = sum(size_of(child) for _, child in below if child[0] == Kind.FILE)
        with self.lock:
            self.version += 1
            self.tree.graft(path, node)
            if self.content.is_full:
                for at, child in below:
                    self._know(at, child)
            else:
                self.content.add_all(below)
            if self._bytes is not None:
                self._bytes += size
        self._index.put_all(((path, record), *below))

    def remove(self, path: RelPath) -> None:
        """What was at ``path``, no directory with content, is gone."""
        self.writer.require_held()
        with self.lock:
            self.version += 1
            before = self.tree.record(path)
            self.layout_version += before is not None and before[0] == Kind.DIRECTORY
            self._leaves(path, before)
            self.tree.remove(path)
        self._index.remove(path)

    def move(self, source: RelPath, path: RelPath, record: Record) -> MoveTotals:
        """What was at ``source``, with everything below it, is at ``path``, in place of a file or link.

        ``record`` is the one that it has there.
        """
        self.writer.require_held()
        with self.lock:
            self.version += 1
            self.layout_version += 1
            self._leaves(path, self.tree.record(path))
            self.tree.move(source, path)
            self.tree.put(path, record)
            totals = self._relocate(path, source, path)
        self._index.move(source, path)
        self._index.put(path, record)
        return totals

    def exchange(self, first: RelPath, second: RelPath, first_record: Record, second_record: Record) -> MoveTotals:
        """What was at the two paths changed places; the records are those that are there now."""
        self.writer.require_held()
        with self.lock:
            self.version += 1
            self.layout_version += 1
            self._relocate(first, first, _NOWHERE)
            self.tree.exchange(first, second)
            self.tree.put(first, first_record)
            self.tree.put(second, second_record)
            one, other = self._relocate(first, second, first), self._relocate(second, _NOWHERE, second)
        self._index.exchange(first, second)
        self._index.put(first, first_record)
        self._index.put(second, second_record)
        return MoveTotals(one.files + other.files, one.bytes + other.bytes)

    # Changes that a scan found.

    def start_with(self, tree: Tree, changed: Iterable[RelPath]) -> None:
        """A tree was read from the files; it differs at ``changed`` from what the index has."""
        self.writer.require_held()
        for path in changed:
            record = tree.record(path)
            if record is not None and (stored := _stored(record)) is not record:
                tree.put(path, record := stored)
            self._store(path, record)
        content = ContentIndex()
        content.fill(tree)
        with self.lock:
            self.version += 1
            self.tree, self.content = tree, content
            self._bytes = None
            self.ready = True

    def found(self, changes: Sequence[tuple[RelPath, Record | None]]) -> None:
        """A scan found these records, or nothing, at these paths; all of it shows at once.

        What was there before may be unknown: its content goes on being looked for there, until that fails.
        """
        self.writer.require_held()
        if not changes:
            return
        changes = [(path, record and _stored(record)) for path, record in changes]
        with self.lock:
            self.version += 1
            self._bytes = None
            for path, record in changes:
                before = self.tree.record(path)
                is_directory = record is not None and record[0] == Kind.DIRECTORY
                self.layout_version += before is not None and before[0] == Kind.DIRECTORY and not is_directory
                if record is None:
                    self.tree.remove(path)
                else:
                    self.tree.put(path, record)
                    self._know(path, record)
        for path, record in changes:
            self._store(path, record)

    def preserve(self, attributes: Attributes) -> None:
        """Other metadata count from now on."""
        self.writer.require_held()
        with self.lock:
            if attributes != self.tree.attributes:
                self.version += 1
                self.tree = self.tree.copy(attributes)

    def _leaves(self, path: RelPath, record: Record | None) -> None:
        if record is not None and record[0] == Kind.FILE:
            self.content.remove(path, record)
            if self._bytes is not None:
                self._bytes -= size_of(record)

    def _arrives(self, path: RelPath, record: Record) -> None:
        if record[0] == Kind.FILE:
            self._know(path, record)
            if self._bytes is not None:
                self._bytes += size_of(record)

    def _know(self, path: RelPath, record: Record) -> None:
        if self.content.is_full and len(self.tree) < self.content.limit * _REBUILD_BELOW:
            self.content.fill(self.tree)
        self.content.add(path, record)

    def _relocate(self, at: RelPath, old: RelPath, new: RelPath) -> MoveTotals:
        """The content of what the tree has ``at`` a path is to be looked for below ``new`` instead of below ``old``."""
        count = size = 0
        for path, record in self._files(at):
            rest = path[len(at) :]
            self.content.rename(RelPath(old + rest), RelPath(new + rest), record)
            count += 1
            size += size_of(record)
        return MoveTotals(count, size)

    def _files(self, path: RelPath) -> Iterator[tuple[RelPath, Record]]:
        """The file at ``path``, or those below it."""
        directory, record = self.tree.directory(path), self.tree.record(path)
        if directory is not None:
            yield from files(directory, path)
        elif record is not None and record[0] == Kind.FILE:
            yield path, record

    def _store(self, path: RelPath, record: Record | None) -> None:
        if record is None:
            self._index.remove(path)
        else:
            self._index.put(path, record)


def _stored(record: Record) -> Record:
    """The record as the tree and the index hold it."""
    return as_unread(record) if record[0] == Kind.FILE and digest_of(record) == UNKNOWN else record


def has_content(record: Record | None, digest: bytes) -> bool:
    """Whether the record is of a file with this content."""
    return record is not None and record[0] == Kind.FILE and digest_of(record) == digest
