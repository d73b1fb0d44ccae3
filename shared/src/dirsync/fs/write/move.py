"""Giving what a replica holds another name, and letting two names change places.

Both are done by the descriptors of the directories that hold the names, so neither follows a link. A directory takes
everything in it along, and nothing in it changes: inode, mtime and ctime, and so the fingerprints, are what they were.

What was looked at and what is renamed are compared by the caller afterwards (:class:`Moved`). RACE: in between somebody
else may replace either; the worst is that what he put at the target is lost or what he put at the source is moved, and
then the caller is told that the path is changing.
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


class Moved(NamedTuple):
    """What should be at a path now."""

    path: RelPath
    identity: FileIdentity


class _Place(NamedTuple):
    """A name in a directory that is open for as long as the act takes."""

    path: RelPath
    directory: int
    name: bytes

    def status(self) -> os.stat_result:
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def rename_to(self, other: "_Place") -> None:
        os.rename(self.name, other.name, src_dir_fd=self.directory, dst_dir_fd=other.directory)


def move_entry(root: Root, staging: Staging, source: RelPath, path: RelPath, kind: Kind) -> Moved:
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
        return Moved(path, status_identity(moving))


def exchange_entries(
    root: Root, staging: Staging, first: RelPath, second: RelPath, kinds: tuple[Kind, Kind]
) -> tuple[Moved, Moved]:
    """Let what is at two paths, of these kinds, change places; neither lies within the other.

    Where the kernel can, no reader ever finds one of the paths absent. Elsewhere the first goes to staging for a
    moment, so that a reader finds the one path absent, and then the other. After a crash in that moment the next scan
    finds what is missing; staging keeps a directory that has content, because nobody else may have what is in it.

    Raises:
        OSError: as rename(2); both are where they were.
        PathFailure: Changing if something else is at a path; else as :meth:`~dirsync.fs.root.Root.directory`.
    """
    with _places(root, first, second) as (one, other):
        before, after = _expect(one, kinds[0]), _expect(other, kinds[1])
        if not kernel.exchange(one.directory, one.name, other.directory, other.name):
            _exchange_by_way_of_staging(staging, one, other)
        return Moved(first, status_identity(after)), Moved(second, status_identity(before))


@contextlib.contextmanager
def _places(root: Root, *paths: RelPath) -> Iterator[list[_Place]]:
    """The paths as names in open directories; what the root has kept open of them and below is forgotten after it."""
    with contextlib.ExitStack() as held:
        places: list[_Place] = []
        for path in paths:
            held.callback(root.forget, path)
            directory, name = root.parent(path)
            directory = os.dup(directory)  # the root's own is only good until it is asked for the next
            held.callback(os.close, directory)
            places.append(_Place(path, directory, name))
        yield places


def _expect(place: _Place, kind: Kind) -> os.stat_result:
    status = place.status()
    if _FORMATS.get(stat.S_IFMT(status.st_mode)) is not kind:
        raise Changing(place.path, f"{shown(place.path)} is no {kind.name.lower()} any more")
    return status


def _require_replaceable(origin: _Place, target: _Place, moving: os.stat_result) -> bool:
    """Refuse what rename(2) would do silently, replacing an empty directory, and what it cannot.

    Gives whether source and target are the same file or directory, by two names or by one that a case-folding file
    system takes for both.
    """
    try:
        there = target.status()
    except FileNotFoundError:
        return False
    if status_identity(there) == status_identity(moving):
        return True
    if stat.S_ISDIR(there.st_mode) or stat.S_ISDIR(moving.st_mode):
        # RACE: a directory that appears from here on is replaced if it is empty; the worst is that its mode is lost.
        message = f"cannot move {shown(origin.path)} to {shown(target.path)}: something else is there by now"
        raise Changing(target.path, message)
    return False


def _move_within_inode(staging: Staging, origin: _Place, target: _Place) -> None:
    """Move one of two hard links over the other, or a name to its other case.

    rename(2) does nothing for two links, and removing the source by itself would remove the only name where both are
    one. By way of a third name both come out right.
    """
    aside = _aside(staging, origin)
    try:
        aside.rename_to(target)
    except OSError:
        aside.rename_to(origin)
        raise
    staging.remove(aside.name)


def _exchange_by_way_of_staging(staging: Staging, one: _Place, other: _Place) -> None:
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
