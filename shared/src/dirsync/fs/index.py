"""What a root's tree was when we last looked, kept across restarts so that unchanged files need not be read again.

It is a cache and nothing but a cache (P3): every record carries the fingerprint that has to match before it is
believed, so an index that is old, incomplete or lost costs reading, never correctness. That decides everything here:

- SQLite without waiting for the disk (``synchronous=OFF``): a power cut may cost the file, not a sync;
- whatever cannot be read as ours (garbage, truncated, another version) is removed and an empty index starts (A13);
- each record ends with a CRC-32 of its path and itself, so that a flipped bit never becomes a believed digest;
- a write that fails (disk full) is dropped and counted in ``failed_writes``, and the service goes on.

One thread writes, in batches; everybody else only queues. The file is held exclusively: a second process of the same
state directory is told so. ``read_only`` creates and writes nothing and reads beside a running process: it may see a
state that is torn between two of the other's writes, and the rules above make that harmless too.
"""

import contextlib
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Self

from dirsync.errors import UsageError
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath, escape
from dirsync.tree.tree import Tree

SCHEMA_VERSION: Final = 1
"""Of the tables, the records and their fingerprints: raised when any of them changes its layout."""

_CRC_SIZE: Final = 4
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_UNUSABLE: Final = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
)
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_TABLES: Final = """
CREATE TABLE entries(path BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID;
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO entries VALUES (?, ?)"
_REMOVE: Final = "DELETE FROM entries WHERE path = ? OR (path > ? AND path < ?)"
_REMOVE_ONE: Final = "DELETE FROM entries WHERE path = ?"
_REMOVE_ALL: Final = "DELETE FROM entries"
_SET_META: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?)"

_Row = tuple[str, tuple[bytes | str, ...]]


class Index:
    """The index of one root. A context manager that closes it. Its methods may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection | None, path: Path, *, read_only: bool) -> None:
        self._connection = connection
        self._path = path
        self._read_only = read_only
        self._meta: dict[str, bytes] = {}
        self._rows: list[_Row] = []
        self._writing = False
        self._hurry = False
        """Somebody waits for what is queued."""
        self._closed = False
        self._changed = threading.Condition()
        self._access = threading.Lock()
        """Held by whoever uses the connection."""
        self.failed_writes = 0
        """Batches that could not be written; what was in them is read again after a restart."""
        self._read_meta()
        self._writer = threading.Thread(target=self._write, name="index", daemon=True)
        if not read_only:
            self._writer.start()

    @classmethod
    def open(cls, directory: str | os.PathLike[str], name: str, *, read_only: bool = False) -> Self:
        """Open the index ``name`` in a state directory, which exists; start an empty one if none is usable.

        Raises:
            UsageError: the directory cannot be written, or another process uses the index.
        """
        path = Path(directory, name)
        if read_only:
            return cls(_connect_read_only(path), path, read_only=True)
        return cls(_connect(path), path, read_only=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, tree: Tree) -> None:
        """Put every sound record whose parent is there into ``tree``; the others are removed."""
        if self._connection is None:
            return
        unusable: list[_Row] = []
        with self._access, contextlib.suppress(sqlite3.DatabaseError):
            for path, stored in self._connection.execute("SELECT path, record FROM entries ORDER BY path"):
                record = _sound(path, stored)
                try:
                    if record is not None:
                        tree.put(path, record)
                        continue
                except KeyError:
                    pass
                unusable.append((_REMOVE_ONE, (path,)))
        self._queue(unusable)

    def put(self, path: RelPath, record: Record) -> None:
        """Keep what is at ``path``."""
        self._queue([(_PUT, (path, _stored(path, record)))])

    def put_many(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """Keep many; taken in batches, so that the iterable may be as long as it likes."""
        batch: list[_Row] = []
        for path, record in records:
            batch.append((_PUT, (path, _stored(path, record))))
            if len(batch) == LIMITS.index_batch_rows:
                self._queue(batch)
                batch = []
        self._queue(batch)

    def remove(self, path: RelPath) -> None:
        """Forget ``path`` and everything below it; the root: everything."""
        self._queue([(_REMOVE, (path, path + b"/", path + b"0")) if path else (_REMOVE_ALL, ())])

    def get_meta(self, key: str) -> bytes | None:
        """A value that belongs to the tree as a whole."""
        with self._changed:
            return self._meta.get(key)

    def set_meta(self, key: str, value: bytes) -> None:
        """Keep such a value."""
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
                for statement, group in groupby(rows, key=itemgetter(0)):
                    self._connection.executemany(statement, (values for _, values in group))
        except sqlite3.DatabaseError as error:
            self.failed_writes += 1
            if _code(error) in _CORRUPT:
                with contextlib.suppress(sqlite3.DatabaseError):
                    self._connection.close()
                self._connection = _start_again(self._path)

    def _read_meta(self) -> None:
        if self._connection is None:
            return
        with contextlib.suppress(sqlite3.DatabaseError):
            for key, value in self._connection.execute("SELECT key, value FROM meta"):
                if isinstance(key, str) and isinstance(value, bytes):
                    self._meta[key] = value


def _stored(path: bytes, record: bytes) -> bytes:
    """A record with its checksum."""
    return record + zlib.crc32(record, zlib.crc32(path)).to_bytes(_CRC_SIZE, "little")


def _sound(path: object, stored: object) -> Record | None:
    """The record, if it is what was stored for that path."""
    if not isinstance(path, bytes) or not isinstance(stored, bytes):
        return None
    record = stored[:-_CRC_SIZE]
    return Record(record) if stored == _stored(path, record) else None


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 where the module itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _prepare(path)
    except sqlite3.DatabaseError as error:
        if _code(error) in _BUSY:
            msg = f"{escape(bytes(path))} is in use by another process: stop it, or use another state directory"
            raise UsageError(msg, reason="STATE_BUSY") from error
        if _code(error) in _UNUSABLE:
            raise _not_writable(path, error) from error
    except OSError as error:
        raise _not_writable(path, error) from error
    return _start_again(path)


def _start_again(path: Path) -> sqlite3.Connection:
    """An empty index in place of what is not one."""
    try:
        for suffix in _SUFFIXES:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return _prepare(path)
    except (OSError, sqlite3.DatabaseError) as error:
        raise _not_writable(path, error) from error


def _prepare(path: Path) -> sqlite3.Connection:
    """Open, lock, and check or make the tables.

    Raises:
        sqlite3.DatabaseError: not usable.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, timeout=LIMITS.index_busy_seconds, isolation_level="IMMEDIATE", check_same_thread=False
    )
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        version, tables = _version(connection)
        if tables and version != SCHEMA_VERSION:
            connection.execute("DROP TABLE entries")
            connection.execute("DROP TABLE meta")
            tables = 0
        if not tables:
            connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("SELECT path, record FROM entries LIMIT 1").fetchone()
        connection.execute("SELECT key, value FROM meta LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    """The schema version, and how many tables there are."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return version, tables


def _connect_read_only(path: Path) -> sqlite3.Connection | None:
    """The index without creating, locking or writing anything; ``None`` if there is none that is usable."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    except sqlite3.DatabaseError:
        return None
    try:
        version, _ = _version(connection)
    except sqlite3.DatabaseError:
        version = 0
    if version == SCHEMA_VERSION:
        return connection
    connection.close()
    return None


def _not_writable(path: Path, error: Exception) -> UsageError:
    directory = escape(bytes(path.parent))
    return UsageError(f"{directory} cannot hold our state as uid {os.geteuid()}: {error}; choose a writable directory")
