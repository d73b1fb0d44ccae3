"""The SQLite file of an index: opening it, and what its rows are.

A row is a path and a record that ends with a CRC-32 of both, so that neither a flipped bit nor a row under another path
is ever used. A file that is not usable is replaced by an empty one (A13); a file that another process uses is left
alone.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from dirsync.errors import UsageError
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath, escape

SCHEMA_VERSION: Final = 1
"""Of the tables, the records and their fingerprints: raised when any of them changes its layout."""

PUT: Final = "INSERT OR REPLACE INTO entries VALUES (?, ?)"
REMOVE: Final = "DELETE FROM entries WHERE path = ? OR (path > ? AND path < ?)"

CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""Result codes that mean that the file is not an index any more."""

_UNUSABLE: Final = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
)
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_STATE_BUSY: Final = "STATE_BUSY"
_STATE_UNUSABLE: Final = "STATE_UNUSABLE"
STATE_REASONS: Final = frozenset({_STATE_BUSY, _STATE_UNUSABLE})
"""Reasons of errors about the state directory, not about the content of the index."""
_CRC_SIZE: Final = 4
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_TABLES: Final = """
CREATE TABLE entries(path BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID;
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
# Not "OR": that would collect every path in a temporary file before the first row comes.
SHRINK: Final = "PRAGMA shrink_memory"
"""Has a connection free what it has cached: 80 KiB of the 150 that one takes."""
_SELECT: Final = """
SELECT path, record FROM entries WHERE path = ?
UNION ALL SELECT path, record FROM entries WHERE path > ? AND path < ?
"""


def encode_row(path: bytes, record: bytes) -> bytes:
    """Encode a record for a row, with its checksum."""
    return record + zlib.crc32(record, zlib.crc32(path)).to_bytes(_CRC_SIZE, "little")


def verify_row(path: object, value: object) -> Record | None:
    """Decode a row: its record, or ``None`` if the checksum does not match the path and the record."""
    if not isinstance(path, bytes) or not isinstance(value, bytes):
        return None
    record = value[:-_CRC_SIZE]
    return Record(record) if value == encode_row(path, record) else None


def verified(rows: Iterable[tuple[Any, Any]], unsound: list[bytes]) -> Iterator[tuple[RelPath, Record]]:
    """The paths and records of rows whose checksums match; adds the paths of the others to ``unsound``."""
    crc32 = zlib.crc32
    for path, value in rows:
        # As verify_row, written out: a start spends most of its time with the index here.
        if isinstance(path, bytes) and isinstance(value, bytes):
            record = value[:-_CRC_SIZE]
            if value[-_CRC_SIZE:] == crc32(record, crc32(path)).to_bytes(_CRC_SIZE, "little"):
                yield RelPath(path), Record(record)
                continue
        unsound.append(path)


def move_rows(connection: sqlite3.Connection, source: bytes, path: bytes) -> None:
    """Move the rows of ``source`` and of everything below it to ``path``, replacing what is there.

    Neither lies within the other. The checksums cover the paths, so each is computed again; a row that is not sound
    does not become so by that, it goes. Rows are taken one by one, however many there are.

    Raises:
        sqlite3.DatabaseError: the caller has to roll back its transaction.
    """
    connection.execute(REMOVE, span(path))
    records = ((old, verify_row(old, value)) for old, value in connection.execute(_SELECT, span(source)))
    moved = ((path + old[len(source) :], record) for old, record in records if record is not None)
    connection.executemany(PUT, ((new, encode_row(new, record)) for new, record in moved))
    connection.execute(REMOVE, span(source))


def span(path: bytes) -> tuple[bytes, bytes, bytes]:
    """The parameters of a statement about ``path`` and everything below it."""
    return path, path + b"/", path + b"0"


def primary_code(error: sqlite3.Error) -> int:
    """The primary result code; 0 where the module itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def connect(path: Path, *, ordered: bool = False) -> sqlite3.Connection:
    """Open the file for this process alone, an empty one if there is none that is usable.

    ``ordered``: after a power cut it is as it was at some moment before. Otherwise it may be damaged by one.

    Raises:
        UsageError: the directory cannot be written, or another process uses the file.
    """
    try:
        return _prepare(path, ordered=ordered)
    except sqlite3.DatabaseError as error:
        if primary_code(error) in _BUSY:
            msg = f"{escape(bytes(path))} is in use by another process: stop it, or use another state directory"
            raise UsageError(msg, reason=_STATE_BUSY) from error
        if primary_code(error) in _UNUSABLE:
            raise _not_writable(path, error) from error
    except OSError as error:
        raise _not_writable(path, error) from error
    return start_again(path, ordered=ordered)


def start_again(path: Path, *, ordered: bool = False) -> sqlite3.Connection:
    """Open an empty file in place of what is not one. Errors as :func:`connect`."""
    try:
        for suffix in _SUFFIXES:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return _prepare(path, ordered=ordered)
    except (OSError, sqlite3.DatabaseError) as error:
        raise _not_writable(path, error) from error


def _prepare(path: Path, *, ordered: bool) -> sqlite3.Connection:
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
        connection.execute(f"PRAGMA synchronous={'NORMAL' if ordered else 'OFF'}")
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


def connect_read_only(path: Path) -> sqlite3.Connection | None:
    """The file without creating, locking or writing anything; ``None`` if there is none that is usable."""
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
    msg = f"{directory} cannot hold the state of uid {os.geteuid()}: {error}; choose a writable directory"
    return UsageError(msg, reason=_STATE_UNUSABLE)
