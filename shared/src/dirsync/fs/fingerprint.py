"""Proving that a record still describes a file, without reading the file.

A fingerprint is the result of ``lstat`` when the record was made (type and mode, size, mtime, ctime, inode, volume),
appended to the record. If ``lstat`` returns the same now, the file was not touched in between. ctime is what matters:
no call sets it, so a file that is rewritten and given its old mtime is noticed, too (D03).

The proof has one gap. The kernel's timestamps advance in ticks, so a file that is changed twice within one tick shows
one ctime, and a scan between the two changes sees only the first. Such a fingerprint is marked ``RACY`` and proves
nothing: the next scan reads the file again, when the tick is over (git calls this racily clean, D04). A directory needs
no such mark: its record holds only its mode, which the fingerprint contains.

Timestamps are compared with the clock of this host. On a network file system whose server's clock differs by more than
the window, a racy file may be taken for a clean one; the periodic deep verification finds that.
"""

import enum
import os
import stat
import struct
from typing import Final, NamedTuple

from dirsync.fs.volume import KNOWN_VOLUMES, volume_of
from dirsync.limits import LIMITS
from dirsync.tree.entry import (
    MAX_MTIME_NS,
    UNKNOWN,
    FileIdentity,
    Record,
    clamp_mtime,
    covered,
    directory_entry,
    file_entry,
    fingerprint_of,
    pack,
    symlink_entry,
    unpack,
    unread_digest,
)

_STATUS: Final = struct.Struct("<IQqqQQ")
FINGERPRINT_SIZE: Final = 1 + _STATUS.size
"""Flags (one byte), then st_mode, size, mtime_ns, ctime_ns, inode and volume, little-endian; in bytes.

:func:`dirsync.tree.entry.identity_of` reads the last two, ``changed_at_of`` the ctime before them."""

_SECOND_NS: Final = 1_000_000_000
_UNSIGNED: Final = (1 << 64) - 1


class Flag(enum.IntFlag):
    """What a fingerprint holds beside the status."""

    NONE = 0
    RACY = 1
    """The file may have changed again within the tick, so the fingerprint proves nothing."""
    MOUNT = 2
    """A file system is mounted at the directory."""
    MOUNT_CHANGED = 4
    """Something was mounted at the directory, or what was mounted there is gone or is another one, and it has not been
    accepted that what the tree had below it is gone (:mod:`dirsync.fs.scan.mount_change`)."""
    LINKED = 8
    """The file has several names. This comes with its status: ctime changes with the number of names."""


RACY: Final = int(Flag.RACY)
MOUNT: Final = int(Flag.MOUNT)
MOUNT_CHANGED: Final = int(Flag.MOUNT_CHANGED)
LINKED: Final = int(Flag.LINKED)


class Fingerprint(NamedTuple):
    """A fingerprint's fields; times in nanoseconds since the epoch."""

    flags: int
    st_mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    volume: int


def pack_status(status: os.stat_result) -> bytes:
    """The part of a fingerprint that comes from ``lstat``; :data:`FINGERPRINT_SIZE` - 1 bytes."""
    try:
        return _STATUS.pack(
            status.st_mode,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            KNOWN_VOLUMES[status.st_dev],
        )
    except (struct.error, KeyError):
        return _STATUS.pack(
            status.st_mode,
            min(max(status.st_size, 0), MAX_MTIME_NS),
            clamp_mtime(status.st_mtime_ns),
            clamp_mtime(status.st_ctime_ns),
            status.st_ino & _UNSIGNED,
            volume_of(status.st_dev) & _UNSIGNED,
        )


def from_stat(status: os.stat_result, looked_at_ns: int, flags: int = 0) -> bytes:
    """The fingerprint of what had this status.

    ``looked_at_ns`` is the time just before ``status`` was read or, if content was read, before the status that
    preceded the reading.
    """
    if not stat.S_ISDIR(status.st_mode):
        if is_racy(status.st_ctime_ns, looked_at_ns):
            flags |= RACY
        if status.st_nlink > 1:
            flags |= LINKED
    return bytes((flags,)) + pack_status(status)


def is_racy(ctime_ns: int, looked_at_ns: int) -> bool:
    """Whether a file changed at ``ctime_ns`` may have changed again, unseen, after ``looked_at_ns``."""
    coarse = ctime_ns % _SECOND_NS == 0
    window = LIMITS.coarse_racy_window_ns if coarse else LIMITS.racy_window_ns
    return abs(looked_at_ns - ctime_ns) < window


def parse(fingerprint: bytes) -> Fingerprint | None:
    """The fields of a fingerprint, or ``None`` if the bytes are no fingerprint."""
    if len(fingerprint) != FINGERPRINT_SIZE:
        return None
    return Fingerprint(fingerprint[0], *_STATUS.unpack_from(fingerprint, 1))


def status_identity(status: os.stat_result) -> FileIdentity:
    """The identity of what has this status; :func:`~dirsync.tree.entry.identity_of` finds it in a fingerprint."""
    return FileIdentity(volume_of(status.st_dev), status.st_ino)


def flags_of(record: Record) -> int:
    """The flags of a record's fingerprint; 0 if it has no fingerprint."""
    fingerprint = fingerprint_of(record)
    return fingerprint[0] if len(fingerprint) == FINGERPRINT_SIZE else 0


def matches(record: Record, status: os.stat_result) -> bool:
    """Whether ``record`` describes what has this status now."""
    return record.endswith(pack_status(status)) and not flags_of(record) & RACY


def is_untouched(record: Record, status: os.stat_result) -> bool:
    """As :func:`matches`, but a racy fingerprint counts, too: for files that no other program should write."""
    return record.endswith(pack_status(status))


def with_flags(record: Record, flags: int) -> Record:
    """The record with other flags in its fingerprint."""
    end = len(record) - FINGERPRINT_SIZE
    return Record(record[:end] + bytes((flags,)) + record[end + 1 :])


def file_record(status: os.stat_result, looked_at_ns: int, digest: bytes = UNKNOWN) -> Record:
    """The record of a regular file that has this status and content; times as for :func:`from_stat`."""
    entry = file_entry(mode=status.st_mode, size=status.st_size, mtime_ns=status.st_mtime_ns, digest=digest)
    return pack(entry, from_stat(status, looked_at_ns))


def as_unread(record: Record) -> Record:
    """The record of a replica's file that could not be read: its digest is one of this state of the file alone."""
    entry, fingerprint = unpack(record), fingerprint_of(record)
    return pack(
        entry._replace(digest=unread_digest(covered(pack(entry._replace(digest=UNKNOWN))) + fingerprint[1:])),
        fingerprint,
    )


def directory_record(status: os.stat_result, flags: int = 0) -> Record:
    """The record of a directory; ``flags``: ``MOUNT`` and ``MOUNT_CHANGED``."""
    return pack(directory_entry(status.st_mode), from_stat(status, 0, flags))


def symlink_record(status: os.stat_result, looked_at_ns: int, target: bytes) -> Record:
    """The record of a symbolic link."""
    return pack(symlink_entry(target), from_stat(status, looked_at_ns))
