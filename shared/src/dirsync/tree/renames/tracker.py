"""Recognising renames: what left one path is found, by its identity, at another.

A rename leaves a file's inode, size and mtime as they are, and everything that is in a directory. So what leaves a path
is remembered for some time, and what is new at a path is looked up by its inode. A directory that is recognised brings
the records of its content along: their fingerprints are still valid, and nothing below has to be read again.

An inode is a hint, not a proof: the kernel reuses a number as soon as it is free. What is proved is told apart, and the
caller makes nothing visible that is not proved here or compared by content:

- What is new at a path and was born after the last change that was seen of what left is another one. It was born before
  that: then it is the same, because the number was taken all the time.
- A directory that still has an entry which was not touched since (its status is the same, ctime included) is the same.
- What neither shows, where the file system keeps no time of birth or a directory was emptied, is not proved. A scan of
  the whole directory has to end before its content can be compared.

The size and mtime of a file must agree in any case, and the file is read before its content is relied on.

RACE: the times of birth and of change come from the clock of the host that has the file system. If it is set back, what
is new may seem older than what left. The worst outcome is that of a wrong hint: a file is moved and read afterwards.

Several replicas of one source each settle renames in their own time. So each has a tracker that *follows* the one of
the scans (:meth:`RenameTracker.follow`): it is told what was found, and forgets by itself.

RACE: a directory that is moved twice between two scans, or during one, is recognised where it is found last, or not at
all. The worst outcome is that its files are read again.
"""

from typing import Protocol

from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory, directories, records
from dirsync.tree.entry import (
    UNKNOWN,
    Entry,
    FileIdentity,
    Kind,
    Record,
    changed_at_of,
    digest_of,
    identity_of,
    unpack,
)
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.renames.departures import DepartedDirectory, Departures
from dirsync.tree.tree import Tree


class Witness(Protocol):
    """Asks the file system; only where something may have been renamed."""

    def holds(self, path: RelPath, identity: FileIdentity) -> bool:
        """Whether a path has the file or directory of this identity now."""
        ...

    def born(self, path: RelPath, identity: FileIdentity) -> int | None:
        """When what has this identity was made, in nanoseconds since the epoch; ``None``: nobody knows."""
        ...


class RenameTracker:
    """What left the tree of one source, and where it was. Not thread-safe."""

    def __init__(self, limit: int = LIMITS.max_departed_entries) -> None:
        """``limit``: the most entries that are remembered; the oldest are forgotten first. 0: none are."""
        self.moved: dict[RelPath, RelPath] = {}
        """Directories found at another path: new path to old path, in the order in which they were found. A caller
        that acts on one removes it."""
        self.pending: set[RelPath] = set()
        """Those new paths among them whose directories are not proved yet, and not scanned to the end."""
        self._proved: set[RelPath] = set()
        """Those new paths whose directories are proved to be the ones that left."""
        self._witness: Witness | None = None
        self._moved_identity: dict[RelPath, FileIdentity] = {}
        """The identity of the directory that was moved to each path that is, or was, in :attr:`moved`."""
        self._limit = limit
        self._departures = Departures(limit)
        self._appeared: dict[FileIdentity, RelPath] = {}
        """Files that are new at a path in the present scan."""
        self._places: dict[FileIdentity, RelPath] | None = None
        self._searching = False
        self._followers: tuple[RenameTracker, ...] = ()

    def follow(self) -> "RenameTracker":
        """A tracker of one of several replicas: from now on it is told what this one finds."""
        follower = RenameTracker(self._limit)
        self._followers = (*self._followers, follower)
        return follower

    def restarted(self) -> "RenameTracker":
        """A tracker that remembers nothing, in place of this one; those that follow forget too, and follow it."""
        tracker = RenameTracker(self._limit)
        for follower in self._followers:
            follower.forget_all()
        tracker._followers = self._followers
        return tracker

    def forget_all(self) -> None:
        """Remember nothing of what was."""
        self.moved.clear()
        self.pending.clear()
        self._proved.clear()
        self._moved_identity.clear()
        self._appeared.clear()
        self._departures = Departures(self._limit)

    @property
    def remembers(self) -> bool:
        """Whether anything is remembered at all."""
        return self._limit > 0

    @property
    def knows_files(self) -> bool:
        """Whether any file that left is remembered: where none is, none can have been renamed."""
        return self._departures.has_files

    def begin(self, witness: Witness, *, search: bool) -> None:
        """Start a scan of the source.

        ``search``: a new directory may also be one that the tree still has elsewhere, because the scan has not visited
        its old path yet.
        """
        if not self.remembers:
            return
        self._witness = witness
        self._searching = search and self._limit > 0
        self._places = None
        self._appeared.clear()
        for follower in self._followers:
            follower.begin(witness, search=False)
        if not self.moved:
            self._moved_identity.clear()
            self._proved.clear()

    def search(self) -> None:
        """For the rest of this scan, look for new directories among those that the tree has elsewhere, too."""
        self._searching = self._limit > 0

    def left(self, path: RelPath, node: Record | Directory | None) -> None:
        """Remember ``node``, which was taken out of the tree because it is not at ``path`` any more."""
        if node is None or not self._limit:
            return
        if isinstance(node, Directory):
            self._departures.add_directory(path, node)
        elif node[0] == Kind.FILE and digest_of(node) != UNKNOWN:
            for follower in self._followers:
                follower.left(path, node)
            identity = identity_of(node)
            self._departures.add_file(identity, path, node)
            new_path = self._appeared.get(identity)
            if new_path is not None:
                self._match(identity, new_path)
        self._departures.trim()

    def previous_path(self, record: Record) -> tuple[RelPath, Record] | None:
        """The path that a file probably had before, and its record there, whose digest is known."""
        found = self._departures.file(identity_of(record))
        if found is None:
            return None
        before, now = unpack(found.record), unpack(record)
        same = before.size == now.size and before.mtime_ns == now.mtime_ns
        return found if same and now.kind is Kind.FILE else None

    def appeared(self, path: RelPath, record: Record) -> None:
        """Note a file that is new at ``path``."""
        if not self._limit or record[0] != Kind.FILE:
            return
        for follower in self._followers:
            follower.appeared(path, record)
        identity = identity_of(record)
        self._appeared[identity] = path
        if self._departures.file(identity) is not None:
            self._match(identity, path)

    def is_proved_file(self, record: Record) -> bool:
        """Whether the file of this record is certainly the one that :meth:`previous_path` takes it for."""
        return self._departures.is_proved(identity_of(record))

    def is_proved(self, path: RelPath) -> bool:
        """Whether the directory that was moved to ``path`` is certainly the one that left."""
        return path in self._proved

    def new_path(self, path: RelPath) -> RelPath | None:
        """Where the file that left ``path`` was found, until :meth:`settled` says that the replica has it there."""
        return self._departures.new_path(path)

    def previous_entry(self, record: Record) -> Entry | None:
        """What the file of this identity was when it left another path; it may have been written since."""
        found = self._departures.file(identity_of(record))
        return None if found is None else unpack(found.record)

    def settled(self, record: Record | None) -> None:
        """Forget the file of this identity: the replica has it at its present path."""
        if record is not None:
            self._departures.forget_file(identity_of(record))

    def place(self, tree: Tree, path: RelPath, record: Record) -> list[RelPath]:
        """Put a directory that is new at ``path`` into ``tree``, with its known content if it was recognised.

        Returns:
            The other paths at which this changed the tree.
        """
        found = self._take(tree, path, record)
        if found is None:
            tree.put(path, record)
            return []
        proved = self._is_older(path, found.directory.record) is True
        if found.part:
            # The directory that it was in may be found too: each needs records of its own.
            tree.put(path, record)
            for below, known in records(found.directory, path):
                tree.put(below, known)
        else:
            tree.graft(path, found.directory)
            tree.put(path, record)
        self.note_moved(found.path, path, identity_of(record), proved=proved)
        return [found.path]

    def listed(self, path: RelPath, untouched: int) -> None:
        """The directory at ``path`` was listed; so many of its entries are what the tree has, by their whole status."""
        for follower in self._followers:
            follower.listed(path, untouched)
        if untouched and path in self.pending:
            self.pending.discard(path)
            self._proved.add(path)

    def scanned(self, path: RelPath) -> None:
        """The directory at ``path`` was scanned with everything in it: the tree has what it holds now."""
        for follower in self._followers:
            follower.scanned(path)
        self.pending.discard(path)

    def abandon(self, path: RelPath) -> None:
        """A scan of the directory at ``path`` was not finished: what it did not prove was not moved."""
        for follower in self._followers:
            follower.abandon(path)
        for at in [at for at in self.pending if is_within(at, path)]:
            self.pending.discard(at)
            self.moved.pop(at, None)

    def renamed(self, source: RelPath, path: RelPath, *, exchange: bool = False) -> None:
        """The replica renamed its directory ``source`` to ``path``, too, and with ``exchange`` also the reverse."""

        def rebase(at: RelPath) -> RelPath:
            if is_within(at, source):
                return RelPath(path + at[len(source) :])
            return RelPath(source + at[len(path) :]) if exchange and is_within(at, path) else at

        self._departures.rebase_files(rebase)
        self.moved = {new: rebase(old) for new, old in self.moved.items() if new != rebase(old)}

    def note_moved(self, source: RelPath, path: RelPath, identity: FileIdentity, *, proved: bool) -> None:
        """Note that a directory was moved from ``source`` to ``path``; two moves in a row become one."""
        if self._followers:
            # Nobody acts on what is noted here, so it is noted where somebody does.
            for follower in self._followers:
                follower.note_moved(source, path, identity, proved=proved)
            return
        if self._moved_identity.get(source) == identity and source in self.moved:
            proved = proved and source in self._proved
            source = self.moved.pop(source)
        self.moved.pop(path, None)
        self._proved.discard(path)
        if source != path:
            self.moved[path] = source
            self._moved_identity[path] = identity
            (self._proved if proved else self.pending).add(path)

    def _match(self, identity: FileIdentity, path: RelPath) -> None:
        """The file at ``path`` has the number of one that left: keep that in mind unless it is another one."""
        departed = self._departures.file(identity)
        assert departed is not None
        older = self._is_older(path, departed.record)
        if older is False:
            self._departures.forget_file(identity)
        else:
            self._departures.found_file(identity, path, proved=older is True)

    def _is_older(self, path: RelPath, departed: Record) -> bool | None:
        """Whether what is at ``path`` was born before what left was changed last; ``None``: that cannot be told.

        Times advance in ticks, so within the same one nothing is known.
        """
        born = None if self._witness is None else self._witness.born(path, identity_of(departed))
        changed_at = changed_at_of(departed)
        return None if born is None or born == changed_at else born < changed_at

    def _take(self, tree: Tree, path: RelPath, record: Record) -> DepartedDirectory | None:
        identity = identity_of(record)
        found = self._departures.directory(identity)
        if found is not None:
            if self._is_older(path, found.directory.record) is False:
                # Its number was given to another one, so it is gone for good. What was in it may be elsewhere.
                self._departures.drop_directory(identity)
                return None
            self._departures.forget_directory(found)
            return found
        at = self._place(tree, identity)
        if at is None or is_within(path, at):
            return None
        known = tree.record(at)
        if self._witness is None or known is None or self._is_older(path, known) is False:
            return None
        if self._witness.holds(at, identity):
            return None  # a bind mount shows one directory at two paths
        node = tree.take(at)
        return DepartedDirectory(at, node, part=False) if isinstance(node, Directory) else None

    def _place(self, tree: Tree, identity: FileIdentity) -> RelPath | None:
        """Where the tree has a directory of this identity; the table is built when a scan first needs it."""
        if not self._searching:
            return None
        if self._places is None:
            self._places = {identity_of(directory.record): at for at, directory in directories(tree.root) if at}
        at = self._places.get(identity)
        directory = None if at is None else tree.directory(at)
        return at if directory is not None and identity_of(directory.record) == identity else None


NO_TRACKER = RenameTracker(limit=0)
"""Remembers nothing."""
