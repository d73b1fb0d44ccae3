"""Beginning and publishing a directory that is built out of sight."""

import contextlib
import os
import stat
from typing import Final

from dirsync.fs.failure import Changing, Vanished, shown, writing_failure
from dirsync.fs.fingerprint import from_stat
from dirsync.fs.root import Root
from dirsync.fs.write.access import set_mode_at
from dirsync.fs.write.build.staged_tree import StagedTree
from dirsync.fs.write.inherit import Heritage, heritage_of
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import FileIdentity, identity_of
from dirsync.tree.path import ROOT, RelPath, components, join, split

_OWNER: Final = 0o700


class TreePublisher:
    """Builds and publishes whole directories of one replica. One thread."""

    def __init__(self, root: Root, staging: Staging, modes: ModePolicy, publisher: Publisher, *, mtimes: bool) -> None:
        """``mtimes``: files get those that the source declares."""
        self._root = root
        self._staging = staging
        self._modes = modes
        self._publisher = publisher
        self._mtimes = mtimes

    def begin(self, path: RelPath) -> StagedTree:
        """An empty directory that will be published at ``path``.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        self._root.forget_all()
        return StagedTree(self._staging, path, self._heritage(path), self._modes, mtimes=self._mtimes)

    def publish(self, tree: StagedTree, identity: FileIdentity, mode: int) -> bytes:
        """Rename a directory that is complete to its path, where nothing is. Returns the fingerprint that it has then.

        RACE: an empty directory that another process makes there in the same moment is replaced.

        Raises:
            PathFailure: as :meth:`~dirsync.fs.write.publish.Publisher.publish_file`; Changing if something is there, or
                if the directory above hands down something else than when this one was begun.
        """
        path = tree.path
        self._publisher.begin()
        proof = self._publisher.act(path, "publish", lambda parent, name: self._place(tree, mode, parent, name))
        if identity_of(proof) != identity:
            raise Changing(path, f"{shown(path)} was replaced by another process right after it was published")
        return proof

    def _heritage(self, path: RelPath) -> Heritage:
        """What the directory above ``path`` hands down; the nearest one that is there, as it will hand that on."""
        try:
            return heritage_of(self._nearest(split(path)[0]))
        except OSError as error:
            raise writing_failure(path, "stage", error) from error

    def _nearest(self, path: RelPath) -> int:
        """The directory at ``path``, or the nearest one above it that is there."""
        with contextlib.suppress(Vanished):
            return self._root.directory(path)
        # From the top, where each look is cheap: of a path of ten thousand directories perhaps none is there.
        found, at = self._root.directory(ROOT), ROOT
        for name in components(path):
            at = join(at, name)
            try:
                found = self._root.directory(at)
            except Vanished:
                break
        return found

    def _place(self, tree: StagedTree, mode: int, parent: int, name: bytes) -> bytes:
        path = tree.path
        if heritage_of(parent) != tree.heritage:
            raise Changing(path, f"the directory that {shown(path)} goes to hands down other permissions by now")
        try:
            os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            pass
        else:
            raise Changing(path, f"something else is at {shown(path)} by now")
        os.rename(tree.name, name, src_dir_fd=self._staging.descriptor, dst_dir_fd=parent)
        wanted = self._modes.directory(mode)
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if wanted & _OWNER != _OWNER:
            # Only now: a directory that its owner may not write cannot be given another parent.
            set_mode_at(parent, name, wanted | (status.st_mode & stat.S_ISGID))
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        return from_stat(status, 0)
