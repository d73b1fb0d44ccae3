"""What becomes of a known directory when something is mounted there, or is not mounted any more. Pure.

A mount hides what is in the directory, and takes what it had itself along when it goes. Neither was deleted. So the
directory is marked, and what the tree had below it waits for a person's approval, as far as the replica has it and the
source does not show it any more (:mod:`dirsync.tree.guards`). The mark goes when both sides are equal, or by approval.
"""

from collections.abc import Iterable

from dirsync.fs.fingerprint import MOUNT, MOUNT_CHANGED, flags_of, with_flags
from dirsync.tree.directory import Directory
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree


def mount_flags(known: int, *, mounted: bool, same: bool, has_content: bool) -> int:
    """The flags of a known directory after it was looked at.

    Args:
        known: its flags until now.
        mounted: whether it is a mount point now.
        same: whether it has the identity that it had.
        has_content: whether the tree has anything below it.
    """
    changed = known & MOUNT_CHANGED
    if has_content and (bool(known & MOUNT) != mounted or (mounted and not same)):
        changed = MOUNT_CHANGED
    return (MOUNT if mounted else 0) | changed


def accept_mounts(tree: Tree, paths: Iterable[RelPath]) -> None:
    """Accept what is mounted at these directories now, and what is not any more."""
    for path in paths:
        record = tree.record(path)
        if record is not None and flags_of(record) & MOUNT_CHANGED:
            tree.put(path, with_flags(record, flags_of(record) & ~MOUNT_CHANGED))


def outlasts(directory: Directory) -> bool:
    """Whether a directory that is gone stays in the tree: it was a mount point, or that is not accepted yet."""
    flags = flags_of(directory.record)
    return bool(flags & MOUNT_CHANGED or (flags & MOUNT and directory.children))
