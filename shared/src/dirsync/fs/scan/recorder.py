"""Bringing the tree's children of one directory up to date with what was found of them."""

from dirsync.fs.fingerprint import FINGERPRINT_SIZE, LINKED, MOUNT_CHANGED, flags_of, with_flags
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.mount_change import outlasts
from dirsync.tree.entry import Kind, Record, identity_of
from dirsync.tree.path import RelPath, join
from dirsync.tree.problem import Problem
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.tree import Tree
from dirsync.tree.untracked import UntrackedKind


class Recorder:
    """Puts what one listing found into the tree, and notes what that changed."""

    __slots__ = ("_found", "_path", "_renames", "_root", "_tree", "seen", "touched")

    def __init__(self, root: Root, tree: Tree, renames: RenameTracker, found: DirectoryScan) -> None:
        """``found``: what is known of the listing so far; changes are added to it."""
        self._root = root
        self._tree = tree
        self._renames = renames
        self._found = found
        self._path = found.path
        self.seen: set[bytes] = set()
        """The names that are there."""
        self.touched = 0
        """Names among them whose status is not that of the tree's record."""

    def put(self, name: bytes, before: Record | None, record: Record) -> None:
        """What has the name is as ``record`` now; the tree had ``before``."""
        self.seen.add(name)
        self.touched += before is None or not before.endswith(record[1 - FINGERPRINT_SIZE :])
        if record != before:
            if before is not None and identity_of(before) != identity_of(record) and record[0] != Kind.DIRECTORY:
                path = join(self._path, name)
                self._renames.left(path, self._tree.take(path))
            if before is None or identity_of(before) != identity_of(record):
                self._renames.appeared(join(self._path, name), record)
            if record[0] != Kind.DIRECTORY:
                self._found.unknown += before is None
                self._found.stale += before is not None
            path = join(self._path, name)
            if flags_of(record) & LINKED:
                self._found.linked[path] = before is not None and identity_of(before) == identity_of(record)
            self._tree.put(path, record)
            self._found.changed.append(path)

    def another(self, name: bytes, path: RelPath, record: Record) -> None:
        """Another directory has the name now; what was in the old one left with it."""
        self.touched += 1
        self._renames.left(path, self._tree.take(path))
        elsewhere = self._renames.place(self._tree, path, record)
        self.seen.add(name)
        self._root.forget(path)
        self._found.changed += [path, *elsewhere]

    def remove(self, name: bytes) -> None:
        """Nothing has the name any more."""
        path = join(self._path, name)
        self._renames.left(path, self._tree.take(path))
        self._root.forget(path)
        self._found.changed.append(path)

    def mount_gone(self, name: bytes, record: Record) -> None:
        """Keep the directory and its mark, whatever took its place; the caller protects what was below it."""
        path = join(self._path, name)
        self.touched += 1
        self._found.mounts_changed.append(path)
        self.put(name, record, with_flags(record, MOUNT_CHANGED))
        self.empty(path)

    def empty(self, path: RelPath) -> None:
        """Remove everything below a directory that stays."""
        for below in [join(path, name) for name, _ in self._tree.children(path)]:
            self._tree.remove(below)
            self._found.changed.append(below)

    def became(self, found: Record | UntrackedKind | Problem | None) -> None:
        """The directory was there when its parent was listed; now ``found`` is."""
        path, directory = self._path, self._tree.directory(self._path)
        if not path:
            if isinstance(found, Problem):
                self._found.problems.append(found)
        elif directory is not None and outlasts(directory):
            self._found.mounts_changed.append(path)
            self._tree.put(path, with_flags(directory.record, MOUNT_CHANGED))
            self._found.changed.append(path)
            self.empty(path)
        elif isinstance(found, Problem):
            self._found.problems.append(found)
        else:
            self._renames.left(path, self._tree.take(path))
            if isinstance(found, bytes):
                self._tree.put(path, found)
            self._found.changed.append(path)
