"""Scanning one directory: listing it and bringing the tree up to date with the listing.

A directory is listed by descriptor and compared with what the tree holds, one level deep. If nothing changed, which is
the usual case, this costs a status and a comparison of packed bytes for each entry and creates no object. Files are not
read here: a new or changed one gets the digest ``UNKNOWN``.

Rules:

- Unreadable is never absent. A directory that cannot be listed, or an entry whose status cannot be read, is a Problem,
  and what the tree has there stays. An entry that vanished after it was listed is absent.
- FIFOs, sockets and devices are counted as untracked and never opened (D12).
- A mount that came, went or became another one is reported by each scan until :func:`accept_mounts`: the directory
  keeps its mark, and stays in the tree even if it is gone itself. Whether to delete what was below it is for a person
  to decide (G10).

The order of directories, and which are left out as a whole, is :mod:`dirsync.fs.scan.walk`.
"""

import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import Changing, PathFailure, Vanished, reading_failure
from dirsync.fs.fingerprint import (
    FINGERPRINT_SIZE,
    MOUNT,
    MOUNT_CHANGED,
    RACY,
    directory_record,
    file_record,
    flags_of,
    matches,
    pack_status,
    status_identity,
    symlink_record,
)
from dirsync.fs.root import Root
from dirsync.fs.scan.closed import note_unlisted, opened
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.mount_change import mount_flags, outlasts
from dirsync.fs.scan.observe import hidden, observe, renew, untracked
from dirsync.fs.scan.recorder import Recorder
from dirsync.fs.scan.rules import DEFAULT_RULES, NFS_PREFIX, ScanRules, is_file_systems_own, too_long
from dirsync.fs.volume import is_known, learn_at
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Record, identity_of
from dirsync.tree.path import RelPath, escape, join
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.renames.tracker import NO_TRACKER, RenameTracker
from dirsync.tree.tree import Tree
from dirsync.tree.untracked import UntrackedKind

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENCODING: Final = sys.getfilesystemencoding()


def scan_directory(
    root: Root,
    tree: Tree,
    path: RelPath,
    rules: ScanRules = DEFAULT_RULES,
    now: WallNanoseconds = wall_ns,
    renames: RenameTracker = NO_TRACKER,
) -> DirectoryScan:
    """List the directory at ``path``, which the tree has, and bring the tree's children of it up to date.

    ``renames`` remembers what leaves the tree.
    """
    with opened(root, tree, path, rules):
        found = _Listing(root, tree, path, rules, now, renames).run()
    if rules.owner_access is not None:
        note_unlisted(tree, found)
    return found


class _Listing:
    """One listing in progress."""

    def __init__(
        self,
        root: Root,
        tree: Tree,
        path: RelPath,
        rules: ScanRules,
        now: WallNanoseconds,
        renames: RenameTracker,
    ) -> None:
        directory = tree.directory(path)
        assert directory is not None
        self._renames = renames
        self._root = root
        self._tree = tree
        self._path = path
        self._known = directory.children
        self._rules = rules
        self._now = now
        self._fd = -1
        self._device = 0
        self._found = DirectoryScan(path)
        self._recorder = Recorder(root, tree, renames, self._found)

    def run(self) -> DirectoryScan:
        try:
            self._fd = self._root.directory(self._path)
        except Vanished:
            self._recorder.became(observe(self._root, self._path, None, self._now))
            return self._found
        except PathFailure as failure:
            self._found.problems.append(failure.problem())
            self._found.directories = [
                join(self._path, name) for name, child in self._known.items() if isinstance(child, Directory)
            ]
            return self._found
        status = os.fstat(self._fd)
        self._device = status.st_dev
        self._check_mount(status)
        try:
            with os.scandir(self._fd) as listing:
                self._compare(listing)
        except OSError as error:
            self._found.problems.append(reading_failure(self._path, "list", error).problem())
        else:
            if not self._recorder.seen.issuperset(self._known):
                self._remove_unseen()
        self._found.untouched = max(0, len(self._recorder.seen) - self._recorder.touched)
        return self._found

    def _compare(self, listing: "Iterable[os.DirEntry[str]]") -> None:
        """Compare each entry of the listing with the tree; a rescan spends its time in this loop."""
        known, seen, now = self._known, self._recorder.seen, self._now
        filtered = self._rules.ignores is not None or not self._rules.symlinks
        at_root = not self._path
        entries = 0
        for entry in listing:
            entries += 1
            name = entry.name.encode(_ENCODING, "surrogateescape")
            if (filtered or at_root or name.startswith(NFS_PREFIX)) and self._is_left_out(entry, name):
                continue
            looked_at_ns = now()
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unreadable(name, reading_failure(join(self._path, name), "look at", error))
                continue
            child = known.get(name)
            if isinstance(child, bytes) and child.endswith(pack_status(status)) and not child[-FINGERPRINT_SIZE] & RACY:
                seen.add(name)
            else:
                self._differs(name, child, status, looked_at_ns)
        self._found.entries = entries

    def _is_left_out(self, entry: "os.DirEntry[str]", name: bytes) -> bool:
        """Whether the entry is left out; adds a Problem if its name is reserved."""
        rules, path = self._rules, join(self._path, name)
        if rules.is_reserved(path):
            if rules.report_reserved and path not in rules.own:
                message = f"{escape(path)} is a name that the server keeps for itself: rename it"
                self._found.problems.append(Problem(path, ProblemKind.RESERVED_NAME, message))
            return True
        try:
            is_directory = entry.is_dir(follow_symlinks=False)
            is_link = entry.is_symlink()
        except OSError:
            return False
        if is_file_systems_own(self._root, path, name, is_directory=is_directory):
            self._found.file_systems_own += 1
            self._found.name(path, UntrackedKind.LOST_AND_FOUND if is_directory else UntrackedKind.REMOVED_ON_NFS)
        elif not rules.leaves_out(path, is_directory=is_directory, is_link=is_link):
            return False
        self._found.left_out += 1
        return True

    def _differs(self, name: bytes, child: Record | Directory | None, status: os.stat_result, looked: int) -> None:
        """Handle an entry that is not what the tree has."""
        if self._rules.foreign_mounts and self._root.mounts and join(self._path, name) in self._root.mounts:
            self._hidden(name, child)
            return
        if status.st_dev != self._device and self._was_unlearned(name, child, status):
            return
        mode, path = status.st_mode, join(self._path, name)
        record = child.record if isinstance(child, Directory) else child
        if not stat.S_ISDIR(mode) and isinstance(child, Directory) and outlasts(child):
            self._recorder.mount_gone(name, child.record)
        elif (problem := too_long(path, name)) is not None:
            self._found.problems.append(problem)
        elif stat.S_ISDIR(mode):
            self._directory(name, child, status)
        elif self._rules.is_own_log(status):
            self._untracked(name, UntrackedKind.OWN_LOG)
        elif stat.S_ISREG(mode):
            self._recorder.put(name, record, renew(record, file_record(status, looked)))
        elif stat.S_ISLNK(mode):
            self._link(name, record, status, looked)
        else:
            self._untracked(name, untracked(mode))

    def _untracked(self, name: bytes, kind: UntrackedKind) -> None:
        self._found.untracked += 1
        self._found.name(join(self._path, name), kind)

    def _was_unlearned(self, name: bytes, child: Record | Directory | None, status: os.stat_result) -> bool:
        """Learn the volume of an entry that is on another one; whether only its number differed until then."""
        if stat.S_ISDIR(status.st_mode) or not is_known(status.st_dev):
            learn_at(self._fd, name, status.st_dev)
        same = isinstance(child, bytes) and matches(child, status)
        if same:
            self._recorder.seen.add(name)
        return same

    def _hidden(self, name: bytes, child: Record | Directory | None) -> None:
        """Something is mounted over an entry, and is not ours: what the tree has there stays, and is seen to differ."""
        if child is None:
            self._found.left_out += 1
            return
        record = child.record if isinstance(child, Directory) else child
        self._recorder.put(name, record, hidden(record))

    def _directory(self, name: bytes, child: Record | Directory | None, status: os.stat_result) -> None:
        path = join(self._path, name)
        mounted = self._root.is_mount_point(path, status, self._device)
        if not isinstance(child, Directory):
            self._found.new_directories[path] = directory_record(status, MOUNT if mounted else 0)
            return
        self._found.directories.append(path)
        known = flags_of(child.record)
        same = identity_of(child.record) == status_identity(status)
        has_content = bool(child.children) and not self._rules.foreign_mounts
        flags = mount_flags(known, mounted=mounted, same=same, has_content=has_content)
        if flags & MOUNT_CHANGED:
            self._found.mounts_changed.append(path)
        if not same or mounted != bool(known & MOUNT):
            self._found.replaced.append(path)
            self._root.forget(path)
            if self._renames.remembers and not (known | flags) & (MOUNT | MOUNT_CHANGED):
                self._recorder.another(name, path, directory_record(status))
                return
        if child.record.endswith(pack_status(status)) and known == flags:
            self._recorder.seen.add(name)
        else:
            if same:
                self._found.modified.append(path)
            self._recorder.put(name, child.record, renew(child.record, directory_record(status, flags)))

    def _link(self, name: bytes, record: Record | None, status: os.stat_result, looked: int) -> None:
        try:
            target = os.readlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            return
        except OSError as error:
            self._unreadable(name, Changing.from_os(join(self._path, name), "read the link", error))
            return
        self._recorder.put(name, record, renew(record, symlink_record(status, looked, target)))

    def _check_mount(self, status: os.stat_result) -> None:
        """As :meth:`_directory`, of the directory itself: a scan that starts here did not list its parent."""
        record, mounts = self._tree.record(self._path), self._root.mounts
        if (
            not self._path
            or record is None
            or self._rules.foreign_mounts
            or not (flags_of(record) or (mounts and self._path in mounts))
        ):
            return
        above = os.stat("..", dir_fd=self._fd, follow_symlinks=False).st_dev
        mounted = self._root.is_mount_point(self._path, status, above)
        same = identity_of(record) == status_identity(status)
        flags = mount_flags(flags_of(record), mounted=mounted, same=same, has_content=bool(self._known))
        if flags & MOUNT_CHANGED:
            self._found.mounts_changed.append(self._path)
        if flags != flags_of(record):
            self._tree.put(self._path, renew(record, directory_record(status, flags)))
            self._found.changed.append(self._path)

    def _unreadable(self, name: bytes, failure: PathFailure) -> None:
        """The status of an entry cannot be read: what the tree has there stays."""
        self._found.problems.append(failure.problem())
        child = self._known.get(name)
        if child is not None:
            self._recorder.seen.add(name)
            self._recorder.touched += 1
            if isinstance(child, Directory):
                self._found.directories.append(failure.path)

    def _remove_unseen(self) -> None:
        for name in [name for name in self._known if name not in self._recorder.seen]:
            child = self._known[name]
            if isinstance(child, Directory) and outlasts(child):
                self._recorder.mount_gone(name, child.record)
            else:
                self._recorder.remove(name)
