"""The order in which a scan visits directories, and which directories it leaves out as a whole.

A directory with nothing but ignored content is not part of the tree: a replica of it could not be equal. That is known
only after everything below it was scanned. So a directory that is new to the tree waits, with the scans that lead to
it, until something in it shows that it stays; the caller does not see its step before that. A directory of the tree
that loses its last tracked child is removed, and then its parent is checked.

Steps come depth first, parents before children, one for each directory; the caller may do other work between two of
them. The walk is iterative, so depth costs memory, not stack.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.fingerprint import LINKED, MOUNT, MOUNT_CHANGED, flags_of
from dirsync.fs.root import Root
from dirsync.fs.scan.directory import scan_directory
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.observe import observe
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules, is_file_systems_own
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Kind, Record, identity_of
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.renames.tracker import NO_TRACKER, RenameTracker
from dirsync.tree.tree import Tree


@dataclass(slots=True)
class _Frame:
    """A directory whose subdirectories are being visited."""

    found: DirectoryScan
    pending: Iterator[tuple[RelPath, Record | None]]
    """Subdirectories to visit; those that are new to the tree have their record."""
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
    or not the same as before. For a start that is not a directory of the tree, the nearest directory above it is used.
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
    walk = _Walk(root, tree, rules, now, renames)
    try:
        if not (deep and ROOT in places):
            yield from walk.remounted(remounted)
        for start in places:
            yield from walk.below(_nearest(tree, start), deep=deep)
    finally:
        walk.abandon()
        root.forget_all()  # what is kept open keeps a mount busy


def look_at(
    root: Root,
    tree: Tree,
    paths: Collection[RelPath],
    rules: ScanRules = DEFAULT_RULES,
    now: WallNanoseconds = wall_ns,
    renames: RenameTracker = NO_TRACKER,
) -> Iterator[DirectoryScan]:
    """Bring the tree up to date at each of ``paths``, if possible without listing the directories that hold them.

    A file or link that changed, appeared or disappeared needs no listing, nor does a directory that appeared.
    Everything else (untracked, unreadable, the last child of a directory gone) is found by listing the directory that
    holds the path. The step of a file or link has that path as its own.
    """
    root.forget_all()
    remounted = root.refresh_mounts()
    renames.begin(root, search=False)
    walk = _Walk(root, tree, rules, now, renames)
    try:
        yield from walk.remounted(remounted)
        known = [path for path in dict.fromkeys(paths) if path in tree]
        # Known paths come before new ones, so that what was moved is recognised.
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
    finally:
        root.forget_all()  # what is kept open keeps a mount busy


class _Walk:
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
            at, deep, changed = _nearest(self._tree, at), False, False

    def remounted(self, points: Iterable[RelPath]) -> Iterator[DirectoryScan]:
        """The steps from where a mount came or went; before all others, which would take what it hides for deleted."""
        for parent in dict.fromkeys(_nearest(self._tree, split(point)[0]) for point in points):
            yield from self.below(_nearest(self._tree, parent), deep=False)

    def appeared(self, path: RelPath, record: Record) -> Iterator[DirectoryScan]:
        """The steps from a directory that is new to the tree; its parent is one of the tree."""
        yield from self._enter_new(path, record)
        while self._stack:
            yield from self._advance()
        yield from self._yield_elsewhere()

    def abandon(self) -> None:
        """The scan ends, perhaps before everything was visited: what was not is not known to have been moved."""
        if self._stack:
            self._renames.abandon(self._stack[0].found.path)

    def look(self, path: RelPath) -> Iterable[DirectoryScan] | None:
        """The steps from one path; ``None`` if only the listing of its directory can tell."""
        if not path or self._rules.is_reserved(path):
            return None
        holder = self._tree.directory(split(path)[0])
        if holder is None:
            return () if self._is_below_left_out(path) else None
        known = self._tree.record(path)
        found = observe(self._root, path, known, self._now)
        if found is None:
            return self._gone(path, known, holder)
        if not isinstance(found, bytes) or self._concerns_mount(path, known):
            return None
        return self._found(path, known, found, holder)

    def _concerns_mount(self, path: RelPath, known: Record | None) -> bool:
        """Whether a mount came, went, or may have gone, at ``path``."""
        mounts = self._root.mounts
        flags = flags_of(known) if known is not None and known[0] == Kind.DIRECTORY else 0
        return bool(flags & (MOUNT | MOUNT_CHANGED)) or (mounts is not None and path in mounts)

    def _found(
        self, path: RelPath, known: Record | None, found: Record, holder: Directory
    ) -> Iterable[DirectoryScan] | None:
        """The steps from a path where a file, a link or a directory is found."""
        _, name = split(path)
        is_directory, is_link = found[0] == Kind.DIRECTORY, found[0] == Kind.SYMLINK
        if is_file_systems_own(self._root, path, name, is_directory=is_directory):
            return None
        if self._rules.leaves_out(path, is_directory=is_directory, is_link=is_link):
            return () if known is None and holder.children else None
        if found == known:
            return ()
        if identity_of(found) in self._rules.own_logs:
            return None
        return self._directory_found(path, known, found) if is_directory else self._file_found(path, known, found)

    def _directory_found(self, path: RelPath, known: Record | None, found: Record) -> Iterable[DirectoryScan]:
        """The steps from a path where a directory is found that is not as the tree has it."""
        if known is None:
            return self.appeared(path, found)
        if known[0] != Kind.DIRECTORY:
            self._renames.search()
            self._left(path)
            return self.appeared(path, found)
        if identity_of(found) == identity_of(known):
            self._tree.put(path, found)
            return _changed(path)
        if self._renames.remembers:
            self._left(path)
        # Two names may have been exchanged: this directory may come from a path that was not scanned yet.
        self._renames.search()
        self._elsewhere += self._renames.place(self._tree, path, found)
        return self.below(path, changed=True)

    def _file_found(self, path: RelPath, known: Record | None, found: Record) -> Iterable[DirectoryScan]:
        """The step from a path where a file or link is found that is not as the tree has it."""
        is_another = known is None or identity_of(found) != identity_of(known)
        if is_another:
            if known is not None and self._renames.remembers:
                self._left(path)
            self._renames.appeared(path, found)
        self._tree.put(path, found)
        (step,) = _changed(path)
        if flags_of(found) & LINKED:
            step.linked[path] = not is_another
        return (step,)

    def _left(self, path: RelPath) -> None:
        self._renames.left(path, self._tree.take(path))
        self._root.forget(path)

    def _yield_elsewhere(self) -> Iterator[DirectoryScan]:
        elsewhere, self._elsewhere = self._elsewhere, []
        for path in elsewhere:
            yield from _changed(path)

    def _is_below_left_out(self, path: RelPath) -> bool:
        """Whether the topmost directory above ``path`` that the tree does not have is left out by the rules."""
        start = len(_nearest(self._tree, path))
        top = RelPath(path[: path.index(b"/", start + 1)])
        _, name = split(top)
        own = is_file_systems_own(self._root, top, name, is_directory=True)
        return own or self._rules.leaves_out(top, is_directory=True, is_link=False)

    def _gone(self, path: RelPath, known: Record | None, holder: Directory) -> Iterable[DirectoryScan] | None:
        if known is None:
            return () if holder.children else None
        if len(holder.children) == 1 or self._concerns_mount(path, known):
            return None
        self._left(path)
        return _changed(path)

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
        self._elsewhere += self._renames.place(self._tree, path, record)
        frame = self._enter(path, is_new=True)
        frame.found.changed.insert(0, path)
        self._waiting.append(frame.found)
        if _proves_itself(frame.found, self._tree):
            yield from self._stay()

    def _enter(self, path: RelPath, *, deep: bool = True, is_new: bool = False) -> _Frame:
        found = scan_directory(self._root, self._tree, path, self._rules, self._now, self._renames)
        visits: list[tuple[RelPath, Record | None]] = list(found.new_directories.items())
        visits += [(directory, None) for directory in (found.directories if deep else found.replaced)]
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
            yield from _changed(path)

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


def _changed(path: RelPath) -> tuple[DirectoryScan]:
    """The step of a path that changed and is listed no further."""
    return (DirectoryScan(path, changed=[path]),)


def _proves_itself(found: DirectoryScan, tree: Tree) -> bool:
    """Whether what was found in a new directory shows that it stays in the tree."""
    directory = tree.directory(found.path)
    if directory is None or directory.children or found.problems or found.untracked:
        return True
    return not found.left_out and not found.new_directories


def _nearest(tree: Tree, path: RelPath) -> RelPath:
    """``path`` if it is a directory of the tree, else the nearest one above it."""
    while tree.directory(path) is None:
        path, _ = split(path)
    return path
