"""Looking at single paths: what changed at a path is found without listing the directory that holds it.

The order in which directories are visited, where that is needed, is :mod:`dirsync.fs.scan.walk`.
"""

from collections.abc import Collection, Iterable, Iterator

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.fingerprint import LINKED, MOUNT, MOUNT_CHANGED, flags_of
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan, change_at
from dirsync.fs.scan.observe import observe
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules, is_file_systems_own
from dirsync.fs.scan.walk import Walk, nearest, scan_steps
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Kind, Record, identity_of
from dirsync.tree.path import RelPath, split
from dirsync.tree.renames.tracker import NO_TRACKER, RenameTracker
from dirsync.tree.tree import Tree


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
    looker = _Looker(root, tree, rules, now, renames)
    try:
        yield from looker.walk.remounted(remounted)
        known = [path for path in dict.fromkeys(paths) if path in tree]
        # Known paths come before new ones, so that what was moved is recognised.
        for group in (known, dict.fromkeys(path for path in paths if path not in tree)):
            listings: dict[RelPath, None] = {}
            for path in group:
                found = looker.look(path)
                if found is None:
                    listings[nearest(tree, split(path)[0])] = None
                else:
                    yield from found
            if listings:
                yield from scan_steps(root, tree, rules, listings, deep=False, now=now, renames=renames)
    finally:
        root.forget_all()  # what is kept open keeps a mount busy


class _Looker:
    def __init__(self, root: Root, tree: Tree, rules: ScanRules, now: WallNanoseconds, renames: RenameTracker) -> None:
        self._root = root
        self._tree = tree
        self._rules = rules
        self._now = now
        self._renames = renames
        self.walk = Walk(root, tree, rules, now, renames)

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
            return self.walk.appeared(path, found)
        if known[0] != Kind.DIRECTORY:
            self._renames.search()
            self.walk.left(path)
            return self.walk.appeared(path, found)
        if identity_of(found) == identity_of(known):
            # It may be another one that got the number of the one that was there.
            self._tree.put(path, found)
            return self.walk.below(path, deep=False, changed=True)
        if self._renames.remembers:
            self.walk.left(path)
        # Two names may have been exchanged: this directory may come from a path that was not scanned yet.
        self._renames.search()
        return self.walk.replaced(path, found)

    def _file_found(self, path: RelPath, known: Record | None, found: Record) -> Iterable[DirectoryScan]:
        """The step from a path where a file or link is found that is not as the tree has it."""
        is_another = known is None or identity_of(found) != identity_of(known)
        if is_another:
            if known is not None and self._renames.remembers:
                self.walk.left(path)
            self._renames.appeared(path, found)
        self._tree.put(path, found)
        (step,) = change_at(path)
        if flags_of(found) & LINKED:
            step.linked[path] = not is_another
        return (step,)

    def _is_below_left_out(self, path: RelPath) -> bool:
        """Whether the topmost directory above ``path`` that the tree does not have is left out by the rules."""
        start = len(nearest(self._tree, path))
        top = RelPath(path[: path.index(b"/", start + 1)])
        _, name = split(top)
        own = is_file_systems_own(self._root, top, name, is_directory=True)
        return own or self._rules.leaves_out(top, is_directory=True, is_link=False)

    def _gone(self, path: RelPath, known: Record | None, holder: Directory) -> Iterable[DirectoryScan] | None:
        if known is None:
            return () if holder.children else None
        if len(holder.children) == 1 or self._concerns_mount(path, known):
            return None
        self.walk.left(path)
        return change_at(path)
