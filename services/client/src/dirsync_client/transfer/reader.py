"""Reading the source's content for the push stream: small files whole, large ones frame by frame.

What is sent of a small file is what was read in one stable piece: one that changed meanwhile is given up, never sent
torn. Large files are read by :mod:`dirsync.fs.read.growing`. The record that goes with it describes the file as it was
read, which may be newer than what was planned.
"""

import hashlib
from typing import NamedTuple

from dirsync.clock import wall_ns
from dirsync.fs.fingerprint import from_stat
from dirsync.fs.read.extents import zeros
from dirsync.fs.read.stable import read_small
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry, Record, file_entry, pack
from dirsync.tree.path import RelPath


class Content(NamedTuple):
    """A small file as it was read."""

    entry: Entry
    record: Record
    data: bytes


def read_content(root: Root, path: RelPath) -> Content:
    """A file of at most ``LIMITS.inline_file_bytes``.

    Raises:
        PathFailure: it is gone, no file, unreadable, changing, or larger (``TooLarge``).
    """
    looked_at = wall_ns()
    data, status = read_small(root, path, LIMITS.inline_file_bytes)
    digest = hashlib.sha256(data).digest()
    entry = file_entry(mode=status.st_mode, size=len(data), mtime_ns=status.st_mtime_ns, digest=digest)
    return Content(entry, pack(entry, from_stat(status, looked_at)), data)


_GLANCE = 64


def is_zeros(frame: bytes) -> bool:
    """Whether a frame has no byte but zero; costs nothing where it has, or where it was a hole."""
    return frame[:_GLANCE].count(0) == len(frame[:_GLANCE]) and frame == zeros(len(frame))
