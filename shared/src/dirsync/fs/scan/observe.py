"""What is at one path now, compared with what was known of it.

Observing is the one place where a status becomes a record. Both a scan and a precondition end here:

- nothing changed (the fingerprint proves it): the known record itself, the same object;
- changed: a new record, a file's with digest ``UNKNOWN``, because it has not been read yet;
- what the known record *declared* stays where the status shows no change of it. The server's records hold the mode and
  mtime that the source declared, which a replica with fixed modes or coarse timestamps cannot show; as long as
  ``st_mode`` (or mtime) is what it was when the record was made, the declared value still holds.
"""

import enum
import os
import stat

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import (
    MOUNT,
    directory_record,
    file_record,
    flags_of,
    matches,
    parse,
    symlink_record,
)
from dirsync.fs.root import Root
from dirsync.tree.entry import Record, fingerprint_of, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem


class Untracked(enum.Enum):
    """Something other than a file, directory or link; it is never opened and never mirrored."""

    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"
    OTHER = "other"


Observed = Record | Untracked | Problem | None
"""What can be found at a path; ``None`` is absence."""


def observe(root: Root, path: RelPath, known: Record | None = None, now: WallNanoseconds = wall_ns) -> Observed:
    """What is at ``path``; a file's digest is ``UNKNOWN`` unless ``known`` still proves it."""
    looked_at_ns = now()
    try:
        status = root.lstat(path)
        if status is None:
            return None
        if known is not None and matches(known, status):
            return known
        if stat.S_ISLNK(status.st_mode):
            found = symlink_record(status, looked_at_ns, root.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found = directory_record(status, mount=_is_mount(root, path, status, known))
        elif stat.S_ISREG(status.st_mode):
            found = file_record(status, looked_at_ns)
        else:
            return untracked(status.st_mode)
    except PathFailure as failure:
        return failure.problem()
    return renew(known, found)


def renew(known: Record | None, fresh: Record) -> Record:
    """The fresh record with the metadata that ``known`` declared, where the status shows no change of it."""
    if known is None or known[0] != fresh[0]:
        return fresh
    before, after = parse(fingerprint_of(known)), parse(fingerprint_of(fresh))
    if before is None or after is None:
        return fresh
    declared, entry = unpack(known), unpack(fresh)
    if before.st_mode == after.st_mode:
        entry = entry._replace(mode=declared.mode)
    if before.mtime_ns == after.mtime_ns:
        entry = entry._replace(mtime_ns=declared.mtime_ns)
    return pack(entry, fingerprint_of(fresh))


def untracked(mode: int) -> Untracked:
    """The kind of what is not mirrored; ``mode`` as in ``st_mode``."""
    if stat.S_ISFIFO(mode):
        return Untracked.FIFO
    if stat.S_ISSOCK(mode):
        return Untracked.SOCKET
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return Untracked.DEVICE
    return Untracked.OTHER


def _is_mount(root: Root, path: RelPath, status: os.stat_result, known: Record | None) -> bool:
    """Whether it is a mount point, or was one, and its disappearance has not been accepted yet."""
    if known is not None and flags_of(known) & MOUNT:
        return True
    if not path:
        return False
    descriptor, _ = root.parent(path)
    return os.fstat(descriptor).st_dev != status.st_dev
