"""Where files and directories went: what left one path is recognised, by its inode, where it turns up.

A rename leaves a file's inode, size and mtime as they are, and of a directory everything that is in it. So when a path
loses what it had, that is remembered for a while; and when something new appears, its inode tells whether it is an old
acquaintance. A directory that is recognised brings the records of what is in it along: their fingerprints still prove
them, and nothing below has to be read again.

What a file's inode says is a hint, no proof: the kernel uses a number again as soon as it is free, and a rename changes
ctime as an edit does. So size and mtime have to agree too, and the file is read before its content is believed.

RACE: a directory that is moved twice between two looks, or while we look, is recognised where it is found last, or not
at all. The worst is that its files are read again.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from dirsync.fs.fingerprint import identity_of
from dirsync.fs.root import Identity, Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, unpack
from dirsync.tree.path import ROOT, RelPath, is_within, join
from dirsync.tree.tree import Directory, Tree


class _Departed(NamedTuple):
    path: RelPath
    directory: Directory
    part: bool
    """It left as a part of a directory that is remembered as a whole."""


class Whereabouts:
    """What left the tree of one source, and where it was. One thread."""

    def __init__(self, limit: int = LIMITS.max_departed_entries) -> None:
        """``limit``: how many entries are remembered at most; the oldest are forgotten first. 0: none are."""
        self.moved: dict[RelPath, RelPath] = {}
        """Directories that turned up elsewhere: new path to old path, in the order in which they were found. Whoever
        acts on one removes it."""
        self._came: dict[RelPath, Identity] = {}
        """Which directory it was that came to a path of :attr:`moved`, or to one that was of it."""
        self._limit = limit
        self._held = 0
        self._files: OrderedDict[Identity, tuple[RelPath, Record]] = OrderedDict()
        self._appeared: dict[Identity, RelPath] = {}
        """Files that are new at a path in the present look."""
        self._went_to: dict[RelPath, RelPath] = {}
        """Where files turned up, by the path that they left."""
        self._directories: OrderedDict[Identity, _Departed] = OrderedDict()
        self._places: dict[Identity, RelPath] | None = None
        self._searching = False

    @property
    def remembers(self) -> bool:
        """Whether anything is remembered at all."""
        return self._limit > 0

    def begin(self, *, search: bool) -> None:
        """A look at the source begins.

        ``search``: a new directory may also be one that the tree still has elsewhere, because its old place has not
        been looked at yet.
        """
        self._searching = search and self._limit > 0
        self._places = None
        self._appeared.clear()
        if not self.moved:
            self._came.clear()

    def search(self) -> None:
        """From here on in this look, a new directory may be one that the tree still has elsewhere."""
        self._searching = self._limit > 0

    def left(self, path: RelPath, node: Record | Directory | None) -> None:
        """``node``, taken out of the tree, is not at ``path`` any more."""
        if node is None or not self._limit:
            return
        if isinstance(node, Directory):
            for at, directory in _directories(path, node):
                self._remember_directory(_Departed(at, directory, part=directory is not node))
        elif node[0] == Kind.FILE and unpack(node).digest != UNKNOWN:
            self._held += _identity(node) not in self._files
            self._files[_identity(node)] = (path, node)
            went_to = self._appeared.get(_identity(node))
            if went_to is not None:
                self._went_to[path] = went_to
        while self._held > self._limit and (self._files or self._directories):
            self._forget_oldest()

    def origin(self, record: Record) -> tuple[RelPath, Record] | None:
        """The path that a file seems to have had before, and its record there, whose digest is known."""
        found = self._files.get(_identity(record))
        if found is None:
            return None
        before, now = unpack(found[1]), unpack(record)
        same = before.size == now.size and before.mtime_ns == now.mtime_ns
        return found if same and now.kind is Kind.FILE else None

    def appeared(self, path: RelPath, record: Record) -> None:
        """A file that was not at ``path`` before is there now."""
        if not self._limit or record[0] != Kind.FILE:
            return
        identity = _identity(record)
        self._appeared[identity] = path
        found = self._files.get(identity)
        if found is not None:
            self._went_to[found[0]] = path

    def went_to(self, path: RelPath) -> RelPath | None:
        """Where the file that left ``path`` turned up, until :meth:`settled` says that the replica has it there."""
        return self._went_to.get(path)

    def former(self, record: Record) -> Entry | None:
        """What the file of this inode was when it left another path; it may have been written since."""
        found = self._files.get(_identity(record))
        return None if found is None else unpack(found[1])

    def settled(self, record: Record | None) -> None:
        """The replica has the file of this inode where it is now."""
        found = None if record is None else self._files.pop(_identity(record), None)
        if found is not None:
            self._held -= 1
            self._went_to.pop(found[0], None)

    def arrived(self, root: Root, tree: Tree, path: RelPath, record: Record) -> list[RelPath]:
        """A directory that ``tree`` did not have at ``path`` is there now: give it the content that is known of it.

        Returns the other paths at which the tree was changed for that.
        """
        found = self._take(root, tree, path, record)
        if found is None:
            tree.put(path, record)
            return []
        if found.part:
            # What it was a part of may come back too: each has records of its own.
            tree.put(path, record)
            for below, known in _records(path, found.directory):
                tree.put(below, known)
        else:
            tree.graft(path, found.directory)
            tree.put(path, record)
        self._note(found.path, path, _identity(record))
        return [found.path]

    def renamed(self, source: RelPath, path: RelPath, *, exchange: bool = False) -> None:
        """The replica followed: its directory ``source`` is at ``path`` now, and with ``exchange`` the reverse."""

        def rebase(at: RelPath) -> RelPath:
            if is_within(at, source):
                return RelPath(path + at[len(source) :])
            return RelPath(source + at[len(path) :]) if exchange and is_within(at, path) else at

        self._files = OrderedDict((identity, (rebase(at), record)) for identity, (at, record) in self._files.items())
        self.moved = {new: rebase(old) for new, old in self.moved.items() if new != rebase(old)}

    def _note(self, source: RelPath, path: RelPath, identity: Identity) -> None:
        """A directory went from ``source`` to ``path``; where it had come to ``source`` itself, it came from there."""
        if self._came.get(source) == identity and source in self.moved:
            source = self.moved.pop(source)
        self.moved.pop(path, None)
        if source != path:
            self.moved[path] = source
            self._came[path] = identity

    def _take(self, root: Root, tree: Tree, path: RelPath, record: Record) -> _Departed | None:
        identity = _identity(record)
        found = self._directories.get(identity)
        if found is not None:
            self._forget_directory(found)
            return found
        at = self._place(tree, identity)
        if at is None or is_within(path, at):
            return None
        status = root.lstat(at)
        if status is not None and Identity(status.st_dev, status.st_ino) == identity:
            return None  # a bind mount: it is in both places
        node = tree.take(at)
        return _Departed(at, node, part=False) if isinstance(node, Directory) else None

    def _place(self, tree: Tree, identity: Identity) -> RelPath | None:
        """Where the tree has a directory of this identity; the table is made when a scan first asks."""
        if not self._searching:
            return None
        if self._places is None:
            self._places = {_identity(directory.record): at for at, directory in _directories(ROOT, tree.root) if at}
        at = self._places.get(identity)
        directory = None if at is None else tree.directory(at)
        return at if directory is not None and _identity(directory.record) == identity else None

    def _remember_directory(self, departed: _Departed) -> None:
        identity = _identity(departed.directory.record)
        before = self._directories.pop(identity, None)
        if before is not None:
            self._held -= _weight(before)
        self._directories[identity] = departed
        self._held += _weight(departed)

    def _forget_directory(self, departed: _Departed) -> None:
        """Forget it, and its parts: they are wherever it goes."""
        for _, directory in _directories(departed.path, departed.directory):
            gone = self._directories.pop(_identity(directory.record), None)
            if gone is not None:
                self._held -= _weight(gone)

    def _forget_oldest(self) -> None:
        if self._files:
            _, (path, _) = self._files.popitem(last=False)
            self._went_to.pop(path, None)
            self._held -= 1
        else:
            self._forget_directory(next(iter(self._directories.values())))


NOWHERE = Whereabouts(limit=0)
"""Remembers nothing."""


def _identity(record: Record) -> Identity:
    return Identity(*identity_of(record))


def _weight(departed: _Departed) -> int:
    """Entries that are kept in memory for it: a part is kept by its whole."""
    return 1 if departed.part else 1 + departed.directory.entries


def _directories(path: RelPath, directory: Directory) -> Iterator[tuple[RelPath, Directory]]:
    """A directory and every directory below it."""
    stack = [(path, directory)]
    while stack:
        at, current = stack.pop()
        yield at, current
        stack.extend(
            (join(at, name), child) for name, child in current.children.items() if isinstance(child, Directory)
        )


def _records(path: RelPath, directory: Directory) -> Iterator[tuple[RelPath, Record]]:
    """Everything below a directory that is not in a tree, as if it were at ``path``; parents before children."""
    for at, current in _directories(path, directory):
        for name, child in current.children.items():
            yield join(at, name), child.record if isinstance(child, Directory) else child
