"""Directories of a replica that deny their owner, and those that cannot be listed at all.

A source may hold directories that nobody may list or enter (mode 0000, 0300, 0600), and the replica gets the same mode.
The server opens its own ones for the time of a listing. Where that does not help (another user's directory, a disk that
fails) nobody knows what is in there. The directory is marked then, and equals nothing until it was listed
(:data:`~dirsync.tree.entry.UNLISTED`).

A source needs no mark: what could not be looked at there is a Problem for as long as that lasts.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

from dirsync.fs.failure import PathFailure, Vanished
from dirsync.fs.fingerprint import directory_record, flags_of
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.rules import ScanRules
from dirsync.tree.entry import UNKNOWN, UNLISTED, digest_of, fingerprint_of, identity_of, pack, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.problem import ProblemKind
from dirsync.tree.tree import Tree

_LIST = stat.S_IRUSR | stat.S_IXUSR


@contextlib.contextmanager
def opened(root: Root, tree: Tree, path: RelPath, rules: ScanRules) -> Iterator[None]:
    """Open the directory at ``path``, and those above it, for the time of a ``with`` block, if that is necessary.

    Then the record of the directory has the ctime that it has after that. A watch tells of it, and whoever looks would
    otherwise find a change, open the directory again, and so on for ever.
    """
    is_open = False
    with contextlib.ExitStack() as stack:
        if rules.owner_access is not None and path and _is_closed(root, path):
            with contextlib.suppress(OSError, PathFailure):  # the listing says what is wrong
                stack.enter_context(rules.owner_access(root, path))
                is_open = True
        yield
    if is_open:
        _note_closed(root, tree, path)


def _note_closed(root: Root, tree: Tree, path: RelPath) -> None:
    known = tree.record(path)
    try:
        status = root.lstat(path)
    except PathFailure:
        return
    if known is None or status is None or not stat.S_ISDIR(status.st_mode):
        return
    entry, now = unpack(known), directory_record(status, flags_of(known))
    if entry.mode == unpack(now).mode and identity_of(known) == identity_of(now):
        tree.put(path, pack(entry, fingerprint_of(now)))


def note_unlisted(tree: Tree, found: DirectoryScan) -> None:
    """Mark a directory of which not everything could be looked at, and take the mark from one of which it could."""
    known = tree.record(found.path)
    if not found.path or known is None:
        return
    unlisted = any(problem.kind is ProblemKind.UNREADABLE for problem in found.problems)
    if unlisted != (digest_of(known) == UNLISTED):
        entry = unpack(known)._replace(digest=UNLISTED if unlisted else UNKNOWN)
        tree.put(found.path, pack(entry, fingerprint_of(known)))
        found.changed.append(found.path)


def _is_closed(root: Root, path: RelPath) -> bool:
    try:
        status = os.fstat(root.directory(path))
    except Vanished:
        return False
    except PathFailure:
        return True
    return status.st_mode & _LIST != _LIST and status.st_uid == os.geteuid()
