"""The order in which a scan visits directories, and which directories it leaves out as a whole.

A directory with nothing but ignored content is not part of the tree: a replica of it could not be equal. That is known
only after everything below it was scanned. So a directory that is new to the tree waits, with the scans that lead to
it, until something in it shows that it stays; the caller does not see its step before that. A directory of the tree
that loses its last tracked child is removed, and then its parent is checked.

Steps come depth first, parents before children, one for each directory; the caller may do other work between two of
them. The walk is iterative, so depth costs memory, not stack.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.root import Root
from dirsync.fs.scan.directory import scan_directory
from dirsync.fs.scan.directory_scan import DirectoryScan, change_at
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules
from dirsync.tree.entry import Record
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.renames.tracker import NO_TRACKER, RenameTracker
from dirsync.tree.tree import Tree


@dataclass(slots=True)
class _Frame:
    """A directory whose subdirectories are being visited."""

    found: DirectoryScan
    pending: Iterator[tuple[RelPath, Record | None, bool]]
    """Subdirectories to visit; those that are new to the tree have their record. Last: with everything in it."""
    is_new: bool
    left_out: int


def scan_steps(
    root: Root,
    tree: Tree,
    rules: ScanRules = DEFAULT_RULES,
    starts: Iterable[RelPath] = (ROOT,),
    *,
    deep: bool = True,
    now: WallNanoseconds = wall_ns,
    renames: RenameTracker = NO_TRACKER,
) -> Iterator[DirectoryScan]:
    """Bring the tree up to date below each of ``starts``, one directory at a step.

    ``deep`` visits every subdirectory; otherwise only each start is listed, and subdirectories that are new to the tree
    or changed. For a start that is not a directory of the tree, the nearest directory above it is used.
    ``renames`` recognises directories that were moved.
    """
    root.forget_all()
    remounted = root.refresh_mounts()
    places = list(dict.fromkeys(starts))
    if rules.foreign_mounts:
        remounted = []
        places = [place for place in places if root.covered_by(place) is None]
    # A directory may be found before the path that it left is scanned: then it is searched for in the tree.
    renames.begin(root, search=deep or len(places) > 1)
    walk = Walk(root, tree, rules, now, renames)
    try:
        if not (deep and ROOT in places):
            yield from walk.remounted(remounted)
        for start in places:
            yield from walk.below(nearest(tree, start), deep=deep)
    finally:
        walk.abandon()
        root.forget_all()  # what is kept open keeps a mount busy


class Walk:
    """One walk over the directories of a tree, which is brought up to date on the way."""

    def __init__(self, root: Root, tree: Tree, rules: ScanRules, now: WallNanoseconds, renames: RenameTracker) -> None:
        self._renames = renames
        self._elsewhere: list[RelPath] = []
        """Paths that lost what was recognised elsewhere; their steps come once no directory is waiting."""
        self._root = root
        self._tree = tree
        self._rules = rules
        self._now = now
        self._stack: list[_Frame] = []
        self._waiting: list[DirectoryScan] = []
        """Scans of new directories that may still be left out. Invariant: they are the last frames of the stack,
        outermost first; there are none while a step is being yielded."""

    def below(self, start: RelPath, *, deep: bool = True, changed: bool = False) -> Iterator[DirectoryScan]:
        """The steps from one directory of the tree; ``changed``: the directory itself has changed."""
        at = start
        while True:
            found = self._enter(at, deep=deep).found
            if changed:
                found.changed.insert(0, at)
            yield found
            while self._stack:
                yield from self._advance()
            yield from self._yield_elsewhere()
            if at in self._tree:
                return
            at, deep, changed = nearest(self._tree, at), False, False

    def remounted(self, points: Iterable[RelPath]) -> Iterator[DirectoryScan]:
        """The steps from where a mount came or went; before all others, which would take what it hides for deleted."""
        for parent in dict.fromkeys(nearest(self._tree, split(point)[0]) for point in points):
            yield from self.below(nearest(self._tree, parent), deep=False)

    def appeared(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        """The steps from a directory that is new to the tree; its parent is one of the tree."""
        yield from self._enter_new(path, record)
        while self._stack:
            yield from self._advance()
        yield from self._yield_elsewhere()

    def replaced(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        """The steps from a directory at ``path``, where the tree had another one, which has left."""
        self._elsewhere += self._renames.place(self._tree, path, record)
        return self.below(path, changed=True)

    def abandon(self) -> None:
        """The scan ends, perhaps before everything was visited: what was not is not known to have been moved."""
        if self._stack:
            self._renames.abandon(self._stack[0].found.path)

    def left(self, path: RelPath) -> None:
        """Nothing is at ``path`` any more, or something else."""
        self._renames.left(path, self._tree.take(path))
        self._root.forget(path)

    def _yield_elsewhere(self) -> Iterator[DirectoryScan]:
        elsewhere, self._elsewhere = self._elsewhere, []
        for path in elsewhere:
            yield from change_at(path)

    def _advance(self) -> Iterator[DirectoryScan]:
        path, record, deep = next(self._stack[-1].pending, (None, None, True))
        if path is None:
            yield from self._leave()
            return
        if record is not None:
            yield from self._enter_new(path, record)
        elif self._tree.directory(path) is not None:
            yield self._enter(path, deep=deep).found

    def _enter_new(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        if path in self._tree:
            self.left(path)
        self._elsewhere += self._renames.place(self._tree, path, record)
        frame = self._enter(path, is_new=True)
        frame.found.changed.insert(0, path)
        self._waiting.append(frame.found)
        if _proves_itself(frame.found, self._tree):
            yield from self._stay()

    def _enter(self, path: RelPath, *, deep: bool = True, is_new: bool = False) -> _Frame:
        found = scan_directory(self._root, self._tree, path, self._rules, self._now, self._renames)
        visits: list[tuple[RelPath, Record | None, bool]]
        visits = [(directory, record, True) for directory, record in found.new_directories.items()]
        visits += [(directory, None, True) for directory in (found.directories if deep else found.replaced)]
        if not deep:
            # It may be another one that got the number of the one that was there.
            visits += [(directory, None, False) for directory in found.modified]
        self._renames.listed(path, found.untouched)
        frame = _Frame(found, iter(visits), is_new, found.left_out)
        self._stack.append(frame)
        return frame

    def _leave(self) -> Iterator[DirectoryScan]:
        """The last subdirectory was visited: the directory stays, or is left out."""
        frame = self._stack.pop()
        path = frame.found.path
        self._renames.scanned(path)
        if not self._is_left_out(frame):
            yield from self._stay()
            return
        self._tree.remove(path)
        self._root.forget(path)
        if self._stack:
            self._stack[-1].left_out += 1
        if self._waiting and self._waiting[-1] is frame.found:
            self._waiting.pop()
        else:
            yield from change_at(path)

    def _stay(self) -> Iterator[DirectoryScan]:
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def _is_left_out(self, frame: _Frame) -> bool:
        found = frame.found
        directory = self._tree.directory(found.path)
        if not found.path or directory is None or directory.children or not frame.left_out:
            return False
        if found.problems or found.untracked or found.mounts_changed:
            return False
        return frame.is_new or not self._rules.keep_known_directories


def _proves_itself(found: DirectoryScan, tree: Tree) -> bool:
    """Whether what was found in a new directory shows that it stays in the tree."""
    directory = tree.directory(found.path)
    if directory is None or directory.children or found.problems or found.untracked:
        return True
    return not found.left_out and not found.new_directories


def nearest(tree: Tree, path: RelPath) -> RelPath:
    """``path`` if it is a directory of the tree, else the nearest one above it."""
    while tree.directory(path) is None:
        path, _ = split(path)
    return path
