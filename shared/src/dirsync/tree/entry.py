"""What is at a path. Absence is ``None``, so nothing needs a special case for it.

An :class:`Entry` is a value. A tree holds it packed (:data:`Record`), because a million entries have to fit into
memory. A record is the entry's fixed part, the link target, and a *fingerprint*, with which ``dirsync.fs`` proves that
the record still describes a file, without reading it. Only the end of a fingerprint is known here, ctime, inode and
volume in the last 24 bytes, because renames are recognised by them. The layout of a record is known in this module
only.
"""

import enum
import hashlib
import struct
from typing import Final, NamedTuple, NewType

DIGEST_SIZE: Final = 32
"""SHA-256, in bytes."""

UNKNOWN: Final = bytes(DIGEST_SIZE)
"""The digest of content that has not been read yet. No content has it, so it never compares as equal."""

_NO_CONTENT: Final = bytes(16)
"""How a digest begins that is not one of content: as 128 bits of no SHA-256 do."""

PERMISSION_BITS: Final = 0o777
"""The mode bits that a tree keeps: never setuid, setgid, sticky."""

_FIXED = struct.Struct("<BHQq32sH")
_COVERED = _FIXED.size - 2
"""How much of a record, from its start, a directory's digest covers (all but the target's length)."""

HEAD_SIZE: Final = _COVERED
"""Bytes of a record's head: kind, mode, size, mtime and digest, little-endian as in ``<BHQq32s``."""

_DIGEST_AT: Final = slice(_COVERED - DIGEST_SIZE, _COVERED)
_SIZE_AT: Final = slice(3, 11)
_IDENTITY: Final = struct.Struct("<QQ")
"""Inode, then volume: the end of a fingerprint."""
_CTIME: Final = struct.Struct("<q")
"""What is before them."""

MIN_MTIME_NS: Final = -(1 << 63)
MAX_MTIME_NS: Final = (1 << 63) - 1

Record = NewType("Record", bytes)
"""A packed entry, its link target, and its fingerprint."""


class Kind(enum.IntEnum):
    """What an entry is; the numbers are those of the wire."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3


_KINDS = {int(kind): kind for kind in Kind}
"""Looking up a kind here takes a tenth of the time of calling the enumeration."""


class FileIdentity(NamedTuple):
    """The numbers that a file or directory keeps when it is renamed, and when its file system is mounted again."""

    volume: int
    """The file system (:mod:`dirsync.fs.volume`)."""
    inode: int


class Entry(NamedTuple):
    """What is at a path.

    ``mode`` holds permission bits (0 for links), ``size`` and ``mtime_ns`` are those of regular files (0 otherwise).
    ``digest`` is the SHA-256 of a file's content or of a link's target, and of a directory the Merkle digest of what is
    in it (:mod:`dirsync.tree.tree`).
    """

    kind: Kind
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    digest: bytes = UNKNOWN
    target: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether the entry may have children."""
        return self.kind is Kind.DIRECTORY


def file_entry(*, mode: int, size: int, mtime_ns: int, digest: bytes = UNKNOWN) -> Entry:
    """A regular file."""
    return Entry(Kind.FILE, mode & PERMISSION_BITS, size, clamp_mtime(mtime_ns), digest)


def directory_entry(mode: int) -> Entry:
    """A directory, without its digest, which the tree computes."""
    return Entry(Kind.DIRECTORY, mode & PERMISSION_BITS)


def symlink_entry(target: bytes) -> Entry:
    """A symbolic link."""
    return Entry(Kind.SYMLINK, digest=hashlib.sha256(target).digest(), target=target)


def clamp_mtime(mtime_ns: int) -> int:
    """Limit nanoseconds since the epoch to 64 bits (some file systems reach the year 2446, the protocol 2262)."""
    return min(max(mtime_ns, MIN_MTIME_NS), MAX_MTIME_NS)


def unread_digest(state: bytes) -> bytes:
    """What stands in for the digest of a replica's file that the server could not read.

    It tells this ``state`` of the file from any other, so an operation can say what its planner saw. Like
    :data:`UNKNOWN` it is the digest of no content: no file is known to have the same.
    """
    return _NO_CONTENT + hashlib.sha256(state).digest()[: DIGEST_SIZE - len(_NO_CONTENT)]


def is_known(digest: bytes) -> bool:
    """Whether a digest is one of content. What is not equals nothing, not even itself."""
    return not digest.startswith(_NO_CONTENT)


UNLISTED: Final = unread_digest(b"a directory that could not be listed")
"""The digest in the record of a replica's directory that the server could not list: what is in it is unknown.

It marks the record. The Merkle digest of such a directory is then an :func:`unread_digest` too, so it equals nothing.
"""


def directory_as_listed(entry: Entry) -> Entry:
    """The entry of a replica's directory as a tree holds it: marked if its digest says that it was not listed."""
    unlisted = entry.digest != UNKNOWN and not is_known(entry.digest)
    return directory_entry(entry.mode)._replace(digest=UNLISTED if unlisted else UNKNOWN)


def pack(entry: Entry, fingerprint: bytes = b"") -> Record:
    """Pack an entry into a record that carries ``fingerprint``."""
    kind, mode, size, mtime_ns, digest, target = entry
    return Record(_FIXED.pack(kind, mode, size, mtime_ns, digest, len(target)) + target + fingerprint)


def unpack(record: Record) -> Entry:
    """The entry that a record describes."""
    kind, mode, size, mtime_ns, digest, length = _FIXED.unpack_from(record)
    target = record[_FIXED.size : _FIXED.size + length] if length else b""
    return Entry(_KINDS[kind], mode, size, mtime_ns, digest, target)


def fingerprint_of(record: Record) -> bytes:
    """The fingerprint that a record carries; empty if it has none."""
    length = int.from_bytes(record[_COVERED : _FIXED.size], "little")
    return record[_FIXED.size + length :]


def covered(record: Record) -> bytes:
    """The part of a record that is covered by the digest of the directory that holds it.

    Kind, mode, size, mtime and digest, little-endian as in ``<BHQq32s``; a link's target is covered by its digest.
    """
    return record[:_COVERED]


def size_of(record: Record) -> int:
    """The size of the file that a record describes; faster than to unpack all of it."""
    return int.from_bytes(record[_SIZE_AT], "little")


def digest_of(record: Record) -> bytes:
    """The digest in a record; faster than to unpack all of it."""
    return record[_DIGEST_AT]


def with_digest(record: Record, digest: bytes) -> Record:
    """The covered part of a record, with another digest."""
    return Record(record[: _COVERED - DIGEST_SIZE] + digest + b"\0\0")


def with_content(record: Record, digest: bytes) -> Record:
    """The record of a file once it was read: the same, with the digest of its content."""
    return Record(record[: _COVERED - DIGEST_SIZE] + digest + record[_COVERED:])


def from_head(head: bytes, fingerprint: bytes = b"") -> Record:
    """The record of a file or directory whose :func:`covered` part is ``head``; one that is valid."""
    return Record(head + b"\0\0" + fingerprint)


def identity_of(record: bytes) -> FileIdentity:
    """The identity in a fingerprint, or in a record that ends with one; meaningless for other bytes."""
    inode, volume = _IDENTITY.unpack_from(record, len(record) - _IDENTITY.size)
    return FileIdentity(volume, inode)


def changed_at_of(record: bytes) -> int:
    """The ctime in such a fingerprint or record, in nanoseconds since the epoch; meaningless for other bytes."""
    (changed_at,) = _CTIME.unpack_from(record, len(record) - _IDENTITY.size - _CTIME.size)
    return int(changed_at)
