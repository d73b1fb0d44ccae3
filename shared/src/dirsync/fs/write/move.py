"""Moving an entry of a replica, and exchanging two.

Both use the descriptors of the directories that hold the names, so neither follows a link. A directory is moved with
its content, and nothing in it changes: inode, mtime and ctime, and so the fingerprints, stay the same.

The caller compares afterwards what was checked with what was renamed (:class:`MovedEntry`). RACE: in between another
program may replace either. The worst outcome is that what it put at the target is lost, or what it put at the source is
moved; the caller then reports the path as changing.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from dirsync.fs import kernel
from dirsync.fs.failure import Changing, shown
from dirsync.fs.fingerprint import status_identity
from dirsync.fs.root import Root
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import FileIdentity, Kind
from dirsync.tree.path import RelPath

_FORMATS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}


class MovedEntry(NamedTuple):
    """What should be at a path now."""

    path: RelPath
    identity: FileIdentity


class _Place(NamedTuple):
    """A name in a directory that is open for the time of the operation."""

    path: RelPath
    directory: int
    name: bytes

    def status(self) -> os.stat_result:
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def rename_to(self, other: "_Place") -> None:
        os.rename(self.name, other.name, src_dir_fd=self.directory, dst_dir_fd=other.directory)


def move_entry(root: Root, staging: Staging, source: RelPath, path: RelPath, kind: Kind) -> MovedEntry:
    """Rename what is at ``source``, which is of this kind, to ``path``, in place of a file or link that is there.

    Raises:
        OSError: as rename(2).
        PathFailure: Changing if something else is at ``source``, or if a directory is at ``path`` or would take the
            place of what is; else as :meth:`~dirsync.fs.root.Root.directory`.
    """
    with _places(root, source, path) as (origin, target):
        moving = _expect(origin, kind)
        same = _require_replaceable(origin, target, moving)
        if same and kind is not Kind.DIRECTORY:
            _move_within_inode(staging, origin, target)
        else:
            origin.rename_to(target)
        return MovedEntry(path, status_identity(moving))


def exchange_entries(
    root: Root, staging: Staging, first: RelPath, second: RelPath, kinds: tuple[Kind, Kind]
) -> tuple[MovedEntry, MovedEntry]:
    """Exchange what is at two paths, of these kinds; neither lies within the other.

    If the kernel can exchange names, no reader ever finds one of the paths absent. Otherwise the first is moved to the
    staging directory for a moment, so a reader finds first one path absent, then the other. After a crash in that
    moment the next scan finds what is missing; staging keeps a directory with content, which may be the only copy.

    Raises:
        OSError: as rename(2); both are where they were.
        PathFailure: Changing if something else is at a path; else as :meth:`~dirsync.fs.root.Root.directory`.
    """
    with _places(root, first, second) as (one, other):
        before, after = _expect(one, kinds[0]), _expect(other, kinds[1])
        if not kernel.exchange(one.directory, one.name, other.directory, other.name):
            _exchange_through_staging(staging, one, other)
        return MovedEntry(first, status_identity(after)), MovedEntry(second, status_identity(before))


@contextlib.contextmanager
def _places(root: Root, *paths: RelPath) -> Iterator[list[_Place]]:
    """Open the directories that hold the paths; cached descriptors at and below the paths are closed afterwards."""
    with contextlib.ExitStack() as held:
        places: list[_Place] = []
        for path in paths:
            held.callback(root.forget, path)
            directory, name = root.parent(path)
            directory = os.dup(directory)  # the borrowed one is valid only until the next call
            held.callback(os.close, directory)
            places.append(_Place(path, directory, name))
        yield places


def _expect(place: _Place, kind: Kind) -> os.stat_result:
    status = place.status()
    if _FORMATS.get(stat.S_IFMT(status.st_mode)) is not kind:
        raise Changing(place.path, f"{shown(place.path)} is no {kind.name.lower()} any more")
    return status


def _require_replaceable(origin: _Place, target: _Place, moving: os.stat_result) -> bool:
    """Refuse to replace a directory, which rename(2) does silently if it is empty, and to replace by a directory.

    Returns:
        Whether source and target are the same file or directory, by two names, or by one name that a case-folding file
        system takes for both.
    """
    try:
        there = target.status()
    except FileNotFoundError:
        return False
    if status_identity(there) == status_identity(moving):
        return True
    if stat.S_ISDIR(there.st_mode) or stat.S_ISDIR(moving.st_mode):
        # RACE: a directory that appears from here on is replaced if it is empty. The worst outcome is that its mode is
        # lost.
        message = f"cannot move {shown(origin.path)} to {shown(target.path)}: something else is there by now"
        raise Changing(target.path, message)
    return False


def _move_within_inode(staging: Staging, origin: _Place, target: _Place) -> None:
    """Move one of two hard links over the other, or a name to its other case.

    rename(2) does nothing for two links, and removing the source would remove the only name if both are one name. A
    third name in between is right in both cases.
    """
    aside = _aside(staging, origin)
    try:
        aside.rename_to(target)
    except OSError:
        aside.rename_to(origin)
        raise
    staging.remove(aside.name)


def _exchange_through_staging(staging: Staging, one: _Place, other: _Place) -> None:
    aside = _aside(staging, one)
    try:
        other.rename_to(one)
        try:
            aside.rename_to(other)
        except OSError:
            one.rename_to(other)
            raise
    except OSError:
        aside.rename_to(one)
        raise


def _aside(staging: Staging, place: _Place) -> _Place:
    name = staging.take_in(place.path, place.directory, place.name)
    return _Place(place.path, staging.descriptor, name)
