"""What is at one path now, compared with what was known of it.

Observing is the one place where a status becomes a record. Both a scan and a precondition end here:

- nothing changed (the fingerprint proves it): the known record itself, the same object;
- changed: a new record, a file's with digest ``UNKNOWN``, because it has not been read yet;
- what the known record *declared* stays where the status shows no change of it. The server's records hold the mode and
  mtime that the source declared, which a replica with fixed modes or coarse timestamps cannot show; as long as
  ``st_mode`` (or mtime) is what it was when the record was made, the declared value still holds.
"""

import os
import stat

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import (
    MOUNT,
    RACY,
    directory_record,
    file_record,
    flags_of,
    matches,
    parse,
    symlink_record,
    with_flags,
)
from dirsync.fs.root import Root
from dirsync.fs.volume import is_known, learn_at
from dirsync.tree.entry import UNKNOWN, UNLISTED, Kind, Record, fingerprint_of, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.untracked import UntrackedKind

Observed = Record | UntrackedKind | Problem | None
"""What can be found at a path; ``None`` is absence, a kind of untracked is never opened and never mirrored."""


def observe(root: Root, path: RelPath, known: Record | None = None, now: WallNanoseconds = wall_ns) -> Observed:
    """What is at ``path``; a file's digest is ``UNKNOWN`` unless ``known`` still proves it."""
    looked_at_ns = now()
    try:
        status = root.lstat(path)
        if status is None:
            return None
        if path and not is_known(status.st_dev):
            learn_at(*root.parent(path), status.st_dev)
        if known is not None and matches(known, status):
            return known
        if stat.S_ISLNK(status.st_mode):
            found = symlink_record(status, looked_at_ns, root.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found = directory_record(status, _flags(root, path, status, known))
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
    if declared.digest == UNLISTED:
        entry = entry._replace(digest=UNLISTED)  # until it is listed
    return pack(entry, fingerprint_of(fresh))


def hidden(known: Record) -> Record:
    """The record of what a mount hides: unlike any that a source can have, so that it is never taken for equal.

    A directory seems to have no permissions, a file has an unknown digest, a link no target. The rest stays, so that
    nothing has to be read again when the mount is gone.
    """
    entry, fingerprint = unpack(known), fingerprint_of(known)
    entry = entry._replace(mode=0) if entry.is_directory else entry._replace(digest=UNKNOWN, target=b"")
    return with_flags(pack(entry, fingerprint), RACY)


def untracked(mode: int) -> UntrackedKind:
    """The kind of what is not mirrored; ``mode`` as in ``st_mode``."""
    if stat.S_ISFIFO(mode):
        return UntrackedKind.FIFO
    if stat.S_ISSOCK(mode):
        return UntrackedKind.SOCKET
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return UntrackedKind.DEVICE
    return UntrackedKind.OTHER


def _flags(root: Root, path: RelPath, status: os.stat_result, known: Record | None) -> int:
    """The flags of a directory. Whether a mount came or went is found where its parent is listed."""
    if known is not None and known[0] == Kind.DIRECTORY:
        return flags_of(known)
    if not path:
        return 0
    descriptor, _ = root.parent(path)
    return MOUNT if root.is_mount_point(path, status, os.fstat(descriptor).st_dev) else 0
