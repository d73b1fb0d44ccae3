"""Recognising renames: what left one path is found, by its identity, at another.

A rename leaves a file's inode, size and mtime as they are, and everything that is in a directory. So what leaves a path
is remembered for some time, and what is new at a path is looked up by its inode. A directory that is recognised brings
the records of its content along: their fingerprints are still valid, and nothing below has to be read again.

An inode is a hint, not a proof: the kernel reuses a number as soon as it is free, and a rename changes ctime as an edit
does. So the size and mtime of a file must agree too, and the file is read before its content is relied on.

RACE: a directory that is moved twice between two scans, or during one, is recognised where it is found last, or not at
all. The worst outcome is that its files are read again.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory, directories, records
from dirsync.tree.entry import UNKNOWN, Entry, FileIdentity, Kind, Record, digest_of, identity_of, unpack
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.tree import Tree

StillThere = Callable[[RelPath, FileIdentity], bool]
"""Asks the file system whether a path has the directory of this identity now."""


class _Departed(NamedTuple):
    path: RelPath
    directory: Directory
    part: bool
    """It left inside a directory that is remembered as a whole."""


class RenameTracker:
    """What left the tree of one source, and where it was. Not thread-safe."""

    def __init__(self, limit: int = LIMITS.max_departed_entries) -> None:
        """``limit``: the most entries that are remembered; the oldest are forgotten first. 0: none are."""
        self.moved: dict[RelPath, RelPath] = {}
        """Directories found at another path: new path to old path, in the order in which they were found. A caller
        that acts on one removes it."""
        self._moved_identity: dict[RelPath, FileIdentity] = {}
        """The identity of the directory that was moved to each path that is, or was, in :attr:`moved`."""
        self._limit = limit
        self._held = 0
        self._files: OrderedDict[FileIdentity, tuple[RelPath, Record]] = OrderedDict()
        self._appeared: dict[FileIdentity, RelPath] = {}
        """Files that are new at a path in the present scan."""
        self._new_paths: dict[RelPath, RelPath] = {}
        """Where files were found, by the path that they left."""
        self._directories: OrderedDict[FileIdentity, _Departed] = OrderedDict()
        self._places: dict[FileIdentity, RelPath] | None = None
        self._searching = False

    @property
    def remembers(self) -> bool:
        """Whether anything is remembered at all."""
        return self._limit > 0

    def begin(self, *, search: bool) -> None:
        """Start a scan of the source.

        ``search``: a new directory may also be one that the tree still has elsewhere, because the scan has not visited
        its old path yet.
        """
        self._searching = search and self._limit > 0
        self._places = None
        self._appeared.clear()
        if not self.moved:
            self._moved_identity.clear()

    def search(self) -> None:
        """For the rest of this scan, look for new directories among those that the tree has elsewhere, too."""
        self._searching = self._limit > 0

    def left(self, path: RelPath, node: Record | Directory | None) -> None:
        """Remember ``node``, which was taken out of the tree because it is not at ``path`` any more."""
        if node is None or not self._limit:
            return
        if isinstance(node, Directory):
            for at, directory in directories(node, path):
                self._remember_directory(_Departed(at, directory, part=directory is not node))
        elif node[0] == Kind.FILE and digest_of(node) != UNKNOWN:
            self._held += identity_of(node) not in self._files
            self._files[identity_of(node)] = (path, node)
            new_path = self._appeared.get(identity_of(node))
            if new_path is not None:
                self._new_paths[path] = new_path
        while self._held > self._limit and (self._files or self._directories):
            self._forget_oldest()

    def previous_path(self, record: Record) -> tuple[RelPath, Record] | None:
        """The path that a file probably had before, and its record there, whose digest is known."""
        found = self._files.get(identity_of(record))
        if found is None:
            return None
        before, now = unpack(found[1]), unpack(record)
        same = before.size == now.size and before.mtime_ns == now.mtime_ns
        return found if same and now.kind is Kind.FILE else None

    def appeared(self, path: RelPath, record: Record) -> None:
        """Note a file that is new at ``path``."""
        if not self._limit or record[0] != Kind.FILE:
            return
        identity = identity_of(record)
        self._appeared[identity] = path
        found = self._files.get(identity)
        if found is not None:
            self._new_paths[found[0]] = path

    def new_path(self, path: RelPath) -> RelPath | None:
        """Where the file that left ``path`` was found, until :meth:`settled` says that the replica has it there."""
        return self._new_paths.get(path)

    def previous_entry(self, record: Record) -> Entry | None:
        """What the file of this identity was when it left another path; it may have been written since."""
        found = self._files.get(identity_of(record))
        return None if found is None else unpack(found[1])

    def settled(self, record: Record | None) -> None:
        """Forget the file of this identity: the replica has it at its present path."""
        found = None if record is None else self._files.pop(identity_of(record), None)
        if found is not None:
            self._held -= 1
            self._new_paths.pop(found[0], None)

    def place(self, tree: Tree, path: RelPath, record: Record, still_there: StillThere) -> list[RelPath]:
        """Put a directory that is new at ``path`` into ``tree``, with its known content if it was recognised.

        ``still_there`` tells a rename from a bind mount, which shows one directory at two paths.

        Returns:
            The other paths at which this changed the tree.
        """
        found = self._take(tree, path, record, still_there)
        if found is None:
            tree.put(path, record)
            return []
        if found.part:
            # The directory that it was in may be found too: each needs records of its own.
            tree.put(path, record)
            for below, known in records(found.directory, path):
                tree.put(below, known)
        else:
            tree.graft(path, found.directory)
            tree.put(path, record)
        self._note(found.path, path, identity_of(record))
        return [found.path]

    def renamed(self, source: RelPath, path: RelPath, *, exchange: bool = False) -> None:
        """The replica renamed its directory ``source`` to ``path``, too, and with ``exchange`` also the reverse."""

        def rebase(at: RelPath) -> RelPath:
            if is_within(at, source):
                return RelPath(path + at[len(source) :])
            return RelPath(source + at[len(path) :]) if exchange and is_within(at, path) else at

        self._files = OrderedDict((identity, (rebase(at), record)) for identity, (at, record) in self._files.items())
        self.moved = {new: rebase(old) for new, old in self.moved.items() if new != rebase(old)}

    def _note(self, source: RelPath, path: RelPath, identity: FileIdentity) -> None:
        """Note that a directory was moved from ``source`` to ``path``; two moves in a row become one."""
        if self._moved_identity.get(source) == identity and source in self.moved:
            source = self.moved.pop(source)
        self.moved.pop(path, None)
        if source != path:
            self.moved[path] = source
            self._moved_identity[path] = identity

    def _take(self, tree: Tree, path: RelPath, record: Record, still_there: StillThere) -> _Departed | None:
        identity = identity_of(record)
        found = self._directories.get(identity)
        if found is not None:
            self._forget_directory(found)
            return found
        at = self._place(tree, identity)
        if at is None or is_within(path, at):
            return None
        if still_there(at, identity):
            return None  # a bind mount
        node = tree.take(at)
        return _Departed(at, node, part=False) if isinstance(node, Directory) else None

    def _place(self, tree: Tree, identity: FileIdentity) -> RelPath | None:
        """Where the tree has a directory of this identity; the table is built when a scan first needs it."""
        if not self._searching:
            return None
        if self._places is None:
            self._places = {identity_of(directory.record): at for at, directory in directories(tree.root) if at}
        at = self._places.get(identity)
        directory = None if at is None else tree.directory(at)
        return at if directory is not None and identity_of(directory.record) == identity else None

    def _remember_directory(self, departed: _Departed) -> None:
        identity = identity_of(departed.directory.record)
        before = self._directories.pop(identity, None)
        if before is not None:
            self._held -= _weight(before)
        self._directories[identity] = departed
        self._held += _weight(departed)

    def _forget_directory(self, departed: _Departed) -> None:
        """Forget a directory and those inside it, which moved along with it."""
        for _, directory in directories(departed.directory, departed.path):
            gone = self._directories.pop(identity_of(directory.record), None)
            if gone is not None:
                self._held -= _weight(gone)

    def _forget_oldest(self) -> None:
        if self._files:
            _, (path, _) = self._files.popitem(last=False)
            self._new_paths.pop(path, None)
            self._held -= 1
        else:
            self._forget_directory(next(iter(self._directories.values())))


NO_TRACKER = RenameTracker(limit=0)
"""Remembers nothing."""


def _weight(departed: _Departed) -> int:
    """How many entries it keeps in memory; one that left inside another is kept by that one."""
    return 1 if departed.part else 1 + departed.directory.entries
