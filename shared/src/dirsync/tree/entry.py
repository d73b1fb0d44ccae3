"""What is at a path. Absence is ``None``, so that nothing needs a special case for it.

An :class:`Entry` is a value. A tree holds it packed (:data:`Record`), because a million entries have to fit: a record
is the entry's fixed part, the link target, and a *fingerprint*, opaque here, by which ``dirsync.fs`` proves without
reading a file that the record still describes it.
"""

import enum
import hashlib
import struct
from typing import Final, NamedTuple, NewType

DIGEST_SIZE: Final = 32
"""SHA-256, in bytes."""

UNKNOWN: Final = bytes(DIGEST_SIZE)
"""The digest of content that nobody has read yet. No content is known to have it, so it compares as different."""

PERMISSION_BITS: Final = 0o777
"""The mode bits that a tree keeps: never setuid, setgid, sticky."""

_FIXED = struct.Struct("<BHQq32sH")
_COVERED = _FIXED.size - 2
"""How much of a record, from its start, a directory's digest covers (all but the target's length)."""

DIGEST_AT: Final = slice(_COVERED - DIGEST_SIZE, _COVERED)
"""Where a record has its digest."""

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
"""A dictionary finds a kind in a tenth of the time that the enumeration's own call takes."""


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
    """A directory; its digest is the tree's affair."""
    return Entry(Kind.DIRECTORY, mode & PERMISSION_BITS)


def symlink_entry(target: bytes) -> Entry:
    """A symbolic link."""
    return Entry(Kind.SYMLINK, digest=hashlib.sha256(target).digest(), target=target)


def clamp_mtime(mtime_ns: int) -> int:
    """Nanoseconds since the epoch, within 64 bits (some file systems reach the year 2446, the wire 2262)."""
    return min(max(mtime_ns, MIN_MTIME_NS), MAX_MTIME_NS)


def pack(entry: Entry, fingerprint: bytes = b"") -> Record:
    """The entry as a record that carries ``fingerprint``."""
    kind, mode, size, mtime_ns, digest, target = entry
    return Record(_FIXED.pack(kind, mode, size, mtime_ns, digest, len(target)) + target + fingerprint)


def unpack(record: Record) -> Entry:
    """The entry that a record describes."""
    kind, mode, size, mtime_ns, digest, length = _FIXED.unpack_from(record)
    target = record[_FIXED.size : _FIXED.size + length] if length else b""
    return Entry(_KINDS[kind], mode, size, mtime_ns, digest, target)


def fingerprint_of(record: Record) -> bytes:
    """The fingerprint that a record carries; empty if none."""
    length = int.from_bytes(record[_COVERED : _FIXED.size], "little")
    return record[_FIXED.size + length :]


def covered(record: Record) -> bytes:
    """The part of a record that is covered by the digest of the directory that holds it.

    Kind, mode, size, mtime and digest, little-endian as in ``<BHQq32s``; a link's target is covered by its digest.
    """
    return record[:_COVERED]
