"""Which file or directory a record is of, whatever its name.

A fingerprint is made and compared by :mod:`dirsync.fs.fingerprint`, and opaque to the rest of the tree. Only its end is
known here, because renames are recognised by it: device and inode, in the last 16 bytes.
"""

import struct
from typing import Final, NamedTuple

_LAST: Final = struct.Struct("<QQ")
"""Inode, then device."""


class FileIdentity(NamedTuple):
    """The numbers that a file or directory keeps when it is renamed."""

    device: int
    inode: int


def identity_of(record: bytes) -> FileIdentity:
    """The identity in a fingerprint, or in a record that ends with one; another's bytes mean nothing."""
    inode, device = _LAST.unpack_from(record, len(record) - _LAST.size)
    return FileIdentity(device, inode)
