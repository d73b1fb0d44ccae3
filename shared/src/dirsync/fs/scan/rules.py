"""What a scan lists and what it leaves out.

What is left out is treated as absent on both sides: it is neither mirrored nor deleted. These are ignored paths, links
if links are not mirrored, and what a file system keeps for itself, which the source counts as untracked:

- files that were removed while they were open, under the name that the NFS client gives them: ``.nfs``, the file's
  number in 16 hexadecimal digits and a counter in 8 (``nfs_sillyrename`` in the kernel's ``fs/nfs/dir.c``);
- the ``lost+found`` of a root that is the top of a file system, if root owns it as ``mkfs`` and ``fsck`` make it.

So is a file that our own log is written to: each line of the log would be a change, and each change a line.

Any other file or directory with such a name is somebody's own, and is mirrored.
"""

import os
import re
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from dirsync.fs.fingerprint import status_identity
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import FileIdentity
from dirsync.tree.path import RelPath, abbreviate
from dirsync.tree.problem import Problem, ProblemKind

NFS_PREFIX: Final = b".nfs"
LOST_AND_FOUND: Final = b"lost+found"
_REMOVED_ON_NFS: Final = re.compile(rb"\.nfs[0-9a-f]{16,}")

Ignores = Callable[[RelPath, bool], bool]
"""Whether a path (whose ancestors are not ignored) is ignored; the flag says that it is a directory."""


OwnerAccess = Callable[[Root, RelPath], AbstractContextManager[None]]
"""Adds the owner's permission bits to our own directories from the root to a path, that one included."""


@dataclass(frozen=True, slots=True)
class ScanRules:
    """What a scan lists and what it leaves out."""

    ignores: Ignores | None = None
    """``IgnoreRules.matches``; ``None`` where there are no rules, which is the fast way."""
    reserved: frozenset[bytes] = frozenset()
    """Names directly below the root that belong to the server: its staging directory."""
    report_reserved: bool = False
    """A reserved name is a Problem (in a source) rather than ours (in a replica)."""
    own: frozenset[bytes] = frozenset()
    """Names directly below the root that are the program's own: what comes in is staged there (in a two-way source)."""
    symlinks: bool = True
    """Links are mirrored; otherwise left out."""
    keep_known_directories: bool = False
    """A directory that the tree has already stays in it though it now lives only through what is left out: the replica
    has it because the source does."""

    foreign_mounts: bool = False
    """What is mounted below the root is not ours (in a replica): it is neither listed nor taken for what it hides."""

    owner_access: OwnerAccess | None = None
    """Opens our own directories, down to a path, for the time of a listing (in a replica).

    Where there is one, a directory that cannot be listed all the same is marked (:mod:`dirsync.fs.scan.closed`).
    """

    own_logs: frozenset[FileIdentity] = frozenset()
    """The files that our own stdout and stderr are: they are untracked (:func:`own_logs`)."""

    def is_own_log(self, status: os.stat_result) -> bool:
        """Whether what has this status is a file that we write our log to."""
        return bool(self.own_logs) and status_identity(status) in self.own_logs

    def is_reserved(self, path: RelPath) -> bool:
        """Whether the path belongs to the server's staging, or to our own."""
        return path in self.reserved or path in self.own

    def leaves_out(self, path: RelPath, *, is_directory: bool, is_link: bool) -> bool:
        """Whether the entry at ``path``, none of whose ancestors is, is left out by the rules of the session."""
        return (is_link and not self.symlinks) or (self.ignores is not None and self.ignores(path, is_directory))


def own_logs() -> frozenset[FileIdentity]:
    """The files that our own stdout and stderr are, where they are files."""
    found: set[FileIdentity] = set()
    for descriptor in (1, 2):
        try:
            status = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.add(status_identity(status))
    return frozenset(found)


DEFAULT_RULES: Final = ScanRules()


def is_file_systems_own(root: Root, path: RelPath, name: bytes, *, is_directory: bool) -> bool:
    """Whether the file system keeps the entry called ``name`` at ``path`` for itself."""
    if is_directory:
        return path == LOST_AND_FOUND and has_lost_and_found(root)
    return name.startswith(NFS_PREFIX) and _REMOVED_ON_NFS.fullmatch(name) is not None


def has_lost_and_found(root: Root) -> bool:
    """Whether the root is the top of a file system, and has the directory for what ``fsck`` finds."""
    try:
        found = os.stat(LOST_AND_FOUND, dir_fd=root.descriptor, follow_symlinks=False)
        here, above = os.fstat(root.descriptor), os.stat("..", dir_fd=root.descriptor)
    except OSError:
        return False
    is_top = here.st_dev != above.st_dev or here.st_ino == above.st_ino
    return is_top and stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and found.st_dev == here.st_dev


def too_long(path: RelPath, name: bytes) -> Problem | None:
    """The Problem of a name or path that is longer than the protocol allows."""
    if len(name) > LIMITS.max_name_bytes:
        kind, bound = ProblemKind.NAME_TOO_LONG, LIMITS.max_name_bytes
    elif len(path) > LIMITS.max_path_bytes:
        kind, bound = ProblemKind.PATH_TOO_LONG, LIMITS.max_path_bytes
    else:
        return None
    return Problem(path, kind, f"{abbreviate(path)} is longer than {bound} bytes: shorten it")
