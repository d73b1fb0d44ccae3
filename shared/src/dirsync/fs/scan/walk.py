"""How directories follow one another in a scan, and which of them are left out as a whole.

A directory that lives only through ignored content is no part of the tree: nobody could make it at the replica and both
sides be equal. That is known only after everything below it was looked at, so a directory that is new to the tree
waits, with the scans on the way to it, until something in it proves that it stays; whoever consumes the steps never
sees it before. A directory that the tree has and that loses its last tracked child is taken out, and then its parent is
judged.

Steps come depth first, parents before children, one for each directory: between two of them a caller may do other work.
The walk is iterative; depth costs memory, not stack.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.fingerprint import MOUNT, flags_of
from dirsync.fs.root import Root
from dirsync.fs.scan.directory import DirectoryScan, scan_directory
from dirsync.fs.scan.observe import observe
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Kind, Record, identity_of
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.renames import NO_TRACKER, RenameTracker
from dirsync.tree.tree import Tree


@dataclass(slots=True)
class _Frame:
    """A directory whose subdirectories are being visited."""

    found: DirectoryScan
    pending: Iterator[tuple[RelPath, Record | None]]
    """Subdirectories to visit; those that are new to the tree with their record."""
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

    ``deep`` visits every subdirectory; otherwise only the listing of each start is looked at, and subdirectories that
    are new to the tree or not the same as before. A start that is no directory of the tree means the nearest directory
    above it. ``renames`` recognises directories that went elsewhere.
    """
    root.forget_all()
    places = list(dict.fromkeys(starts))
    # Where a directory is found before the place that it left has been looked at, it is searched for.
    renames.begin(search=deep or len(places) > 1)
    walk = _Walk(root, tree, rules, now, renames)
    for start in places:
        yield from walk.below(_nearest(tree, start), deep=deep)


def look_at(
    root: Root,
    tree: Tree,
    paths: Collection[RelPath],
    rules: ScanRules = DEFAULT_RULES,
    now: WallNanoseconds = wall_ns,
    renames: RenameTracker = NO_TRACKER,
) -> Iterator[DirectoryScan]:
    """Bring the tree up to date at each of ``paths``, without listing the directories that hold them if possible.

    A file or link that changed, appeared or went, and a directory that appeared with everything below it, need no
    listing. Everything else (untracked, unreadable, the last child of a directory gone) is left to the listing of the
    directory that holds the path. A step for a file or link has that path as its own.
    """
    root.forget_all()
    renames.begin(search=False)
    walk = _Walk(root, tree, rules, now, renames)
    known = [path for path in dict.fromkeys(paths) if path in tree]
    # What is gone comes before what is new, so that what moved is recognised.
    for group in (known, dict.fromkeys(path for path in paths if path not in tree)):
        listings: dict[RelPath, None] = {}
        for path in group:
            found = walk.look(path)
            if found is None:
                listings[_nearest(tree, split(path)[0])] = None
            else:
                yield from found
        if listings:
            yield from scan_steps(root, tree, rules, listings, deep=False, now=now, renames=renames)


class _Walk:
    def __init__(self, root: Root, tree: Tree, rules: ScanRules, now: WallNanoseconds, renames: RenameTracker) -> None:
        self._renames = renames
        self._elsewhere: list[RelPath] = []
        """Where the tree lost what was recognised at another place; told once nothing is undecided."""
        self._root = root
        self._tree = tree
        self._rules = rules
        self._now = now
        self._stack: list[_Frame] = []
        self._waiting: list[DirectoryScan] = []
        """Scans of new directories of which nobody knows yet whether they stay. Invariant: they are the last frames of
        the stack, outermost first; whenever a step is handed out there are none."""

    def below(self, start: RelPath, *, deep: bool = True, changed: bool = False) -> Iterator[DirectoryScan]:
        """The steps from one directory of the tree; ``changed`` says so of the first."""
        at = start
        while True:
            found = self._enter(at, deep=deep).found
            if changed:
                found.changed.insert(0, at)
            yield found
            while self._stack:
                yield from self._advance()
            yield from self._tell_elsewhere()
            if at in self._tree:
                return
            at, deep, changed = _nearest(self._tree, at), False, False

    def appeared(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        """The steps from a directory that is new to the tree; its parent is one of the tree."""
        yield from self._enter_new(path, record)
        while self._stack:
            yield from self._advance()
        yield from self._tell_elsewhere()

    def look(self, path: RelPath) -> Iterable[DirectoryScan] | None:
        """The steps from one path; ``None`` if only the listing of its directory can tell."""
        above, name = split(path)
        holder = self._tree.directory(above)
        if not path or self._rules.is_reserved(path):
            return None
        if holder is None:
            return () if self._is_below_left_out(path) else None
        known = self._tree.record(path)
        found = observe(self._root, path, known, self._now)
        if found is None:
            return self._gone(path, known, holder)
        if not isinstance(found, bytes) or (known is not None and flags_of(known) & MOUNT):
            return None
        kind = found[0]
        if self._rules.leaves_out(path, name, is_directory=kind == Kind.DIRECTORY, is_link=kind == Kind.SYMLINK):
            return () if known is None and holder.children else None
        if found is known or found == known:
            return ()
        if kind == Kind.DIRECTORY and (known is None or known[0] != kind):
            if known is not None:
                self._renames.search()
                self._left(path)
            return self.appeared(path, found)
        another = known is not None and identity_of(found) != identity_of(known)
        if another and self._renames.remembers:
            self._left(path)
        if another and kind == Kind.DIRECTORY:
            # Names change places: what is here now may have left a path that has not been looked at yet.
            self._renames.search()
            self._elsewhere += self._renames.place(self._tree, path, found, self._root.holds)
            return self.below(path, changed=True)
        if another or known is None:
            self._renames.appeared(path, found)
        self._tree.put(path, found)
        return (DirectoryScan(path, changed=[path]),)

    def _left(self, path: RelPath) -> None:
        self._renames.left(path, self._tree.take(path))
        self._root.forget(path)

    def _tell_elsewhere(self) -> Iterator[DirectoryScan]:
        elsewhere, self._elsewhere = self._elsewhere, []
        yield from (DirectoryScan(path, changed=[path]) for path in elsewhere)

    def _is_below_left_out(self, path: RelPath) -> bool:
        """Whether the highest directory above ``path`` that the tree does not have is left out as such."""
        start = len(_nearest(self._tree, path))
        top = RelPath(path[: path.index(b"/", start + 1)])
        _, name = split(top)
        return self._rules.leaves_out(top, name, is_directory=True, is_link=False)

    def _gone(self, path: RelPath, known: Record | None, holder: Directory) -> Iterable[DirectoryScan] | None:
        if known is None:
            return () if holder.children else None
        if len(holder.children) == 1 or flags_of(known) & MOUNT:
            return None
        self._left(path)
        return (DirectoryScan(path, changed=[path]),)

    def _advance(self) -> Iterator[DirectoryScan]:
        path, record = next(self._stack[-1].pending, (None, None))
        if path is None:
            yield from self._leave()
            return
        if record is not None:
            yield from self._enter_new(path, record)
        elif self._tree.directory(path) is not None:
            yield self._enter(path).found

    def _enter_new(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        if path in self._tree:
            self._left(path)
        self._elsewhere += self._renames.place(self._tree, path, record, self._root.holds)
        frame = self._enter(path, is_new=True)
        frame.found.changed.insert(0, path)
        self._waiting.append(frame.found)
        if _proves_itself(frame.found, self._tree):
            yield from self._stay()

    def _enter(self, path: RelPath, *, deep: bool = True, is_new: bool = False) -> _Frame:
        found = scan_directory(self._root, self._tree, path, self._rules, self._now, self._renames)
        visits: list[tuple[RelPath, Record | None]] = list(found.new_directories.items())
        visits += [(directory, None) for directory in (found.directories if deep else found.replaced)]
        frame = _Frame(found, iter(visits), is_new, found.left_out)
        self._stack.append(frame)
        return frame

    def _leave(self) -> Iterator[DirectoryScan]:
        """The last subdirectory was visited: the directory stays, or is left out."""
        frame = self._stack.pop()
        path = frame.found.path
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
            yield DirectoryScan(path, changed=[path])

    def _stay(self) -> Iterator[DirectoryScan]:
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def _is_left_out(self, frame: _Frame) -> bool:
        found = frame.found
        directory = self._tree.directory(found.path)
        if not found.path or directory is None or directory.children or not frame.left_out:
            return False
        if found.problems or found.untracked or found.mounts_lost:
            return False
        return frame.is_new or not self._rules.keep_known_directories


def _proves_itself(found: DirectoryScan, tree: Tree) -> bool:
    """Whether what was found in a new directory is reason enough for it to be in the tree."""
    directory = tree.directory(found.path)
    if directory is None or directory.children or found.problems or found.untracked:
        return True
    return not found.left_out and not found.new_directories


def _nearest(tree: Tree, path: RelPath) -> RelPath:
    """``path`` if it is a directory of the tree, else the nearest one above it."""
    while tree.directory(path) is None:
        path, _ = split(path)
    return path
