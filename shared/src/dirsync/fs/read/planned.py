"""Reading a small file that is still what a record of it says: one status, after the content, proves both."""

import os
from collections.abc import Callable
from typing import Final

from dirsync.fs.fingerprint import RACY, flags_of, is_untouched
from dirsync.fs.read.shared import SharedReads
from dirsync.fs.read.stable import wait_for_writers_of
from dirsync.fs.root import OPEN_FILE
from dirsync.tree.entry import Record, fingerprint_of, size_of
from dirsync.tree.path import RelPath

_NOTHING: Final = b""


def read_planned_once(
    reads: SharedReads, path: RelPath, record: Record, read: Callable[[], bytes | None]
) -> bytes | None:
    """As :func:`read_planned`, which ``read`` calls, but for what another reader has found under the same record."""
    if flags_of(record) & RACY or not size_of(record):
        return read()
    version = reads.version(path, fingerprint_of(record)[1:], 0, is_racy=False)
    return version.whole(read)


def read_planned(directory: int, name: bytes, record: Record) -> bytes | None:
    """The content of a file in an open directory, if the status after reading it is the one in its record.

    Nothing changed then since the record was made. It holds the status before the first byte, as a reading needs one
    (:mod:`dirsync.fs.read.stable`). ``None``: it changed, or cannot be read; or the record proves nothing, because the
    file had just been changed when it was made.
    """
    if flags_of(record) & RACY:
        return None
    size = size_of(record)
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=directory)
        try:
            content = _NOTHING
            if size:
                wait_for_writers_of(descriptor)
                content = os.read(descriptor, size)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return content if len(content) == size and is_untouched(record, status) else None
