"""The index: the tree of a root as of the last scan, kept across restarts so that unchanged files are not read again.

It is only a cache (P3): every record carries the fingerprint that has to match before it is used. So an index that is
old, incomplete or lost costs reading, never correctness. It follows:

- SQLite does not wait for the disk (``synchronous=OFF``): a power cut may cost the file, not a sync. What is more than
  a cache is opened as ``ordered``: it is then as it was at some moment before the cut.
- What is not a usable index (garbage, truncated, another version) is removed and an empty index is started (A13).
- Each record ends with a CRC-32 of its path and itself, so that neither a flipped bit nor a record under another path
  is used (:mod:`dirsync.fs.index.index_file`).
- A write that fails (disk full) is dropped and counted in ``failed_writes``, and the service continues. A dropped move
  leaves records under a path where no fingerprint matches, unless they describe what is there.

One thread writes, in batches; all others only queue. The file is locked: a second process with the same state directory
gets an error. With ``read_only`` nothing is created or written, and the index may be read while another process uses
it: the state may then be between two of its writes, which the rules above make harmless.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Self

from dirsync.fs.index.index_file import (
    CORRUPT,
    PUT,
    REMOVE,
    SHRINK,
    connect,
    connect_read_only,
    encode_row,
    move_rows,
    primary_code,
    span,
    start_again,
    verified,
)
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath, require_apart
from dirsync.tree.tree import Tree

_REMOVE_ONE: Final = "DELETE FROM entries WHERE path = ?"
_REMOVE_ALL: Final = "DELETE FROM entries"
_SELECT_ALL: Final = "SELECT path, record FROM entries ORDER BY path"
_SET_META: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?)"

_TEMPORARY: Final = b"/"
"""A path that nothing can have, for rows that are being exchanged."""

_Write = str | Callable[..., None]
"""A statement, or a function that executes some on a connection."""
_Row = tuple[_Write, tuple[bytes | str, ...]]


class Index:
    """The index of one root. A context manager that closes it. Its methods may be called from any thread."""

    def __init__(
        self, connection: sqlite3.Connection | None, path: Path, *, read_only: bool, ordered: bool = False
    ) -> None:
        self._connection = connection
        self._path = path
        self._ordered = ordered
        self._read_only = read_only
        self._meta: dict[str, bytes] = {}
        self._rows: list[_Row] = []
        self._writing = False
        self._hurry = False
        """A caller waits for what is queued."""
        self._closed = False
        self._changed = threading.Condition()
        self._access = threading.Lock()
        """Held while the connection is used."""
        self.failed_writes = 0
        """Batches that could not be written; what was in them is read again after a restart."""
        self._read_meta()
        self._writer = threading.Thread(target=self._write, name="index", daemon=True)
        if not read_only:
            self._writer.start()

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str], name: str, *, read_only: bool = False, ordered: bool = False
    ) -> Self:
        """Open the index ``name`` in a state directory, which exists; start an empty one if none is usable.

        ``ordered``: after a power cut it is as it was at some moment before, and not damaged.

        Raises:
            UsageError: the directory cannot be written, or another process uses the index.
        """
        path = Path(directory, name)
        if read_only:
            return cls(connect_read_only(path), path, read_only=True)
        return cls(connect(path, ordered=ordered), path, read_only=False, ordered=ordered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, tree: Tree) -> None:
        """Put every valid record whose parent is there into ``tree``, which is empty; the others are removed."""
        if self._connection is None:
            return
        unusable: list[bytes] = []
        with self._access, contextlib.suppress(sqlite3.DatabaseError):
            rows = self._connection.execute(_SELECT_ALL)
            unusable += tree.fill(verified(rows, unusable))
            self._connection.execute(SHRINK)
        self._queue([(_REMOVE_ONE, (path,)) for path in unusable])

    def put(self, path: RelPath, record: Record) -> None:
        """Store what is at ``path``."""
        self._queue([(PUT, (path, encode_row(path, record)))])

    def put_all(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """Store what is at these paths; cheaper than one by one."""
        self._queue([(PUT, (path, encode_row(path, record))) for path, record in records])

    def remove(self, path: RelPath) -> None:
        """Forget ``path`` and everything below it; the root: everything."""
        self._queue([(REMOVE, span(path)) if path else (_REMOVE_ALL, ())])

    def move(self, source: RelPath, path: RelPath) -> None:
        """Move the rows of ``source`` and of everything below it to ``path``, replacing the rows there.

        Raises:
            ValueError: one path is, or lies within, the other.
        """
        require_apart(source, path)
        self._queue([(move_rows, (source, path))])

    def exchange(self, first: RelPath, second: RelPath) -> None:
        """Exchange the rows of two paths and of everything below them. Errors as :meth:`move`."""
        require_apart(first, second)
        # Rows that are queued together are written in one transaction, so the temporary path is never visible.
        self._queue([(move_rows, pair) for pair in ((first, _TEMPORARY), (second, first), (_TEMPORARY, second))])

    def get_meta(self, key: str) -> bytes | None:
        """A value that belongs to the tree as a whole."""
        with self._changed:
            return self._meta.get(key)

    def set_meta(self, key: str, value: bytes) -> None:
        """Store such a value."""
        with self._changed:
            self._meta[key] = value
        self._queue([(_SET_META, (key, value))])

    def flush(self) -> None:
        """Wait until everything queued so far was written, or its writing failed."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._rows or self._writing) or not self._writer.is_alive())

    def close(self) -> None:
        """Write what is queued, and close the file."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._writer.is_alive():
            self._writer.join()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._connection.close()

    def _queue(self, rows: list[_Row]) -> None:
        if self._read_only or not rows:
            return
        with self._changed:
            self._changed.wait_for(lambda: len(self._rows) < LIMITS.index_queue_rows or self._closed)
            if self._closed:
                return
            self._rows.extend(rows)
            if len(self._rows) == len(rows) or self._is_due():
                self._changed.notify_all()

    def _is_due(self) -> bool:
        return self._hurry or self._closed or len(self._rows) >= LIMITS.index_batch_rows

    def _write(self) -> None:
        """The writer thread: batch after batch until closed and empty."""
        while rows := self._next_batch():
            try:
                with self._access:
                    self._write_batch(rows)
            finally:
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()

    def _next_batch(self) -> list[_Row]:
        with self._changed:
            self._changed.wait_for(lambda: self._rows or self._closed)
            self._changed.wait_for(self._is_due, LIMITS.index_batch_seconds)
            rows, self._rows = self._rows, []
            self._writing, self._hurry = True, False
            return rows

    def _write_batch(self, rows: list[_Row]) -> None:
        assert self._connection is not None
        try:
            with self._connection:
                for write, group in groupby(rows, key=itemgetter(0)):
                    if isinstance(write, str):
                        self._connection.executemany(write, (values for _, values in group))
                    else:
                        for _, values in group:
                            write(self._connection, *values)
            if len(rows) < LIMITS.index_batch_rows:
                self._connection.execute(SHRINK)  # no more is waiting, and what is cached is not needed soon
        except sqlite3.DatabaseError as error:
            self.failed_writes += 1
            if primary_code(error) in CORRUPT:
                with contextlib.suppress(sqlite3.DatabaseError):
                    self._connection.close()
                self._connection = start_again(self._path, ordered=self._ordered)

    def _read_meta(self) -> None:
        if self._connection is None:
            return
        with contextlib.suppress(sqlite3.DatabaseError):
            for key, value in self._connection.execute("SELECT key, value FROM meta"):
                if isinstance(key, str) and isinstance(value, bytes):
                    self._meta[key] = value
