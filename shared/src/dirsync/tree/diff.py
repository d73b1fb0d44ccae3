"""Comparing two trees: what has to change at the replica so that it equals the source.

The trees are compared from the root down, and only where the Merkle digests of two directories differ. So the cost is
that of the differences, not of the trees. Changes come parents before children and siblings in byte order, lazily.

Two records are equal if their covered parts are, under the attributes that both trees count. A file whose content
nobody knows (:func:`~dirsync.tree.entry.is_known`) equals nothing, not even itself. The tree of a replica holds such
files with an :func:`~dirsync.tree.entry.unread_digest`, that of a source with :data:`UNKNOWN`, so no directories with
such files have equal digests. Nor does a directory that could not be listed (:data:`~dirsync.tree.entry.UNLISTED`)
equal any: it is a change of that directory, whatever is known of what is in it.

Rules:

- For a *protected* path (one with a Problem), absence means nothing. A protected file, link or absence does not change.
  Of a protected directory only its own existence and mode are compared, never what is below it. A directory that would
  be removed stays as long as something below it is protected.
- Both trees may be changed between two steps of the iteration, at and below the last path or before it, as
  acknowledging a change does. Other changes may or may not be seen; the next comparison finds them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from dirsync.tree.directory import Directory
from dirsync.tree.entry import UNKNOWN, UNLISTED, Entry, Record, covered, digest_of, is_known, pack, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath, ancestors, components, is_within, join, split
from dirsync.tree.tree import Tree

_Child = Record | Directory | None


class Change(NamedTuple):
    """What has to change at one path; ``None`` is absence.

    A directory's digest is left out (:data:`UNKNOWN`), but for the mark of one that could not be listed.
    """

    path: RelPath
    old: Entry | None
    """What the replica has."""
    new: Entry | None
    """What the source has."""


Whole = Callable[[RelPath, Directory], bool]
"""Whether a directory that only the source has is brought over as a whole, so that nothing below it need be compared.
It is asked once for each, before the change of the directory itself comes."""


Covered = Callable[[RelPath], bool]
"""Whether the directory at a path, of either side, is left alone with everything in it."""


def diff(
    replica: Tree, source: Tree, protected: Collection[RelPath] = (), *, whole: Whole | None = None
) -> Iterator[Change]:
    """Every change that makes ``replica`` equal ``source``, but for what is below a directory that goes as a ``whole``.

    Raises:
        ValueError: the trees count different attributes.
    """
    return diff_paths(replica, source, (ROOT,), protected, whole=whole)


def diff_paths(
    replica: Tree,
    source: Tree,
    paths: Iterable[RelPath],
    protected: Collection[RelPath] = (),
    *,
    whole: Whole | None = None,
    is_covered: Covered | None = None,
) -> Iterator[Change]:
    """The changes at each of ``paths`` and below it, each once, but for what is at or below a covered directory.

    Where only one side has the directory that holds a path, the topmost such directory is compared in its place, so
    that what is yielded can always be applied.

    Raises:
        ValueError: the trees count different attributes.
    """
    if replica.attributes != source.attributes:
        msg = "the trees count different attributes and cannot be compared"
        raise ValueError(msg)
    return _Comparison(replica, source, protected, whole, is_covered).run(paths)


def equal(old: Entry | None, new: Entry | None, attributes: Attributes) -> bool:
    """Whether two entries are equal; of two directories, without what is in them."""
    if old is None or new is None:
        return old is new
    if not (old.is_directory or new.is_directory or (is_known(old.digest) and is_known(new.digest))):
        return False
    if UNLISTED in (old.digest, new.digest):
        return False
    if old.is_directory:
        old, new = old._replace(digest=UNKNOWN), new._replace(digest=UNKNOWN)
    return covered(pack(attributes.normalize(old))) == covered(pack(attributes.normalize(new)))


class _Level(NamedTuple):
    """A directory that is being compared: both sides, and the names in it that are still to be compared."""

    path: RelPath
    replica: Directory | None
    source: Directory | None
    names: Iterator[bytes]


class _Comparison:
    def __init__(
        self,
        replica: Tree,
        source: Tree,
        protected: Collection[RelPath],
        whole: Whole | None,
        is_covered: Covered | None,
    ) -> None:
        self.replica = replica
        self.source = source
        self.attributes = replica.attributes
        self.plain = self.attributes == Attributes()
        self.protected = protected
        self.whole = whole
        self.is_covered = is_covered
        self.kept: set[RelPath] = set()
        """Directories that would be removed, but hold something protected."""

    def run(self, paths: Iterable[RelPath]) -> Iterator[Change]:
        last: RelPath | None = None
        for path in sorted({self._topmost_difference(path) for path in paths}, key=components):
            if last is not None and is_within(path, last):
                continue
            last = path
            yield from self._walk(self._start(path))

    def _topmost_difference(self, path: RelPath) -> RelPath:
        """The path, or its topmost ancestor that is not a directory on both sides or is protected."""
        old: _Child = self.replica.root
        new: _Child = self.source.root
        above = ROOT
        for name in components(path):
            if not (isinstance(old, Directory) and isinstance(new, Directory)) or above in self.protected:
                return above
            old, new, above = old.children.get(name), new.children.get(name), join(above, name)
        return path

    def _start(self, path: RelPath) -> _Level:
        if path == ROOT:
            return self._level(ROOT, self.replica.root, self.source.root)
        parent, name = split(path)
        return _Level(parent, self.replica.directory(parent), self.source.directory(parent), iter((name,)))

    def _level(self, path: RelPath, old: Directory | None, new: Directory | None) -> _Level:
        names = () if path in self.protected else sorted(self._differing(old, new))
        return _Level(path, old, new, iter(names))

    def _walk(self, start: _Level) -> Iterator[Change]:
        stack = [start]
        while stack:
            parent, replica, source, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                continue
            path = join(parent, name)
            old = replica.children.get(name) if replica else None
            new = source.children.get(name) if source else None
            if path in self.protected and not isinstance(new, Directory):
                continue
            has_directory = isinstance(old, Directory) or isinstance(new, Directory)
            if has_directory and self.is_covered is not None and self.is_covered(path):
                continue
            change = self._change(path, old, new, topmost=source is not None)
            whole = old is None and isinstance(new, Directory) and self.whole is not None and self.whole(path, new)
            if change is not None:
                yield change
            if whole:
                continue
            if has_directory:
                stack.append(self._level(path, _directory(old), _directory(new)))

    def _change(self, path: RelPath, old: _Child, new: _Child, *, topmost: bool) -> Change | None:
        """The change at one path, without what is below it. ``topmost``: its parent is a directory of the source."""
        if isinstance(old, Directory) and not isinstance(new, Directory) and self._keeps(path, old, topmost=topmost):
            return None
        return None if self._same(old, new) else Change(path, _entry(old), _entry(new))

    def _keeps(self, path: RelPath, directory: Directory, *, topmost: bool) -> bool:
        if topmost and self.protected:
            subtree = [(path, directory)]
            while subtree:
                parent, current = subtree.pop()
                for name, child in current.children.items():
                    below = join(parent, name)
                    if below in self.protected:
                        self.kept.update(ancestors(below))
                    if isinstance(child, Directory):
                        subtree.append((below, child))
        return path in self.kept

    def _differing(self, old: Directory | None, new: Directory | None) -> Iterable[bytes]:
        if old is None or new is None:
            only = new or old
            return only.children if only else ()
        if self.replica.digest_of(old) == self.source.digest_of(new):
            return ()
        there = old.children.get
        names = [name for name, child in new.children.items() if self._differs(there(name), child)]
        names.extend(old.children.keys() - new.children.keys())
        return names

    def _differs(self, old: _Child, new: _Child) -> bool:
        """Whether two children differ, or anything below them."""
        if isinstance(old, Directory) and isinstance(new, Directory):
            return self.replica.digest_of(old) != self.source.digest_of(new) or not self._same(old, new)
        return not self._same(old, new)

    def _same(self, old: _Child, new: _Child) -> bool:
        if isinstance(old, bytes) and isinstance(new, bytes):
            if old is new or covered(old) == covered(new):
                return is_known(digest_of(old))
            if self.plain:
                return False
        return equal(_entry(old), _entry(new), self.attributes)


def _directory(child: _Child) -> Directory | None:
    return child if isinstance(child, Directory) else None


def _entry(child: _Child) -> Entry | None:
    if child is None:
        return None
    if isinstance(child, Directory):
        entry = unpack(child.record)
        return entry._replace(digest=UNLISTED if entry.digest == UNLISTED else UNKNOWN)
    return unpack(child)
