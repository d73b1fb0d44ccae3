"""What both sides agree on by now: how the ancestor of the next merge is brought up to date.

Only what both sides have is agreed on. Where they differ, the ancestor keeps what it has. So an ancestor that is
behind, as after a crash, lets a merge compare more: what both have is equal, whatever the ancestor says.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from dirsync.tree.diff import Change, equal
from dirsync.tree.directory import Directory, Node
from dirsync.tree.entry import PERMISSION_BITS, Entry, Kind, covered, digest_of, is_known
from dirsync.tree.merge.survey import entry_at, is_unlisted
from dirsync.tree.path import ROOT, RelPath, components, is_within, join, split
from dirsync.tree.tree import Tree

NO_MODE: Final = PERMISSION_BITS + 1
"""In the ancestor, the mode of a directory whose mode was never agreed on: no directory has it."""


def newly_agreed(
    ancestor: Tree,
    source: Tree,
    replica: Tree,
    paths: Iterable[RelPath] = (ROOT,),
    protected: Collection[RelPath] = (),
) -> Iterator[Change]:
    """Where the ancestor is behind, at ``paths`` and below them: each change makes it what both sides have.

    Parents come before children. Of ``protected`` paths, those with a problem at the source, nothing is known. The
    ancestor may be changed at the last path between two steps.

    Raises:
        ValueError: the trees count different attributes.
    """
    if not ancestor.attributes == source.attributes == replica.attributes:
        msg = "the trees count different attributes and cannot be compared"
        raise ValueError(msg)
    return _Agreement(ancestor, source, replica, protected).run(paths)


class _Level(NamedTuple):
    """A directory that both sides have."""

    path: RelPath
    source: Directory
    replica: Directory
    names: Iterator[bytes]


class _Agreement:
    def __init__(self, ancestor: Tree, source: Tree, replica: Tree, protected: Collection[RelPath]) -> None:
        self._ancestor = ancestor
        self._source = source
        self._replica = replica
        self._protected = protected

    def run(self, paths: Iterable[RelPath]) -> Iterator[Change]:
        """Compare each of these paths, each once."""
        last: RelPath | None = None
        for path in sorted({self._topmost(path) for path in paths}, key=components):
            if last is None or not is_within(path, last):
                last = path
                yield from self._walk(self._start(path))

    def _topmost(self, path: RelPath) -> RelPath:
        """The path, or its topmost ancestor that is not a directory in all three trees, or is protected."""
        nodes: tuple[Node | None, ...] = (self._ancestor.root, self._source.root, self._replica.root)
        above = ROOT
        for name in components(path):
            directories = [node for node in nodes if isinstance(node, Directory)]
            if len(directories) < len(nodes) or above in self._protected:
                return above
            nodes, above = tuple(node.children.get(name) for node in directories), join(above, name)
        return path

    def _start(self, path: RelPath) -> _Level:
        if path == ROOT:
            return self._level(ROOT, self._source.root, self._replica.root)
        parent, name = split(path)
        source, replica = self._source.directory(parent), self._replica.directory(parent)
        assert source is not None
        assert replica is not None
        return _Level(parent, source, replica, iter((name,)))

    def _level(self, path: RelPath, source: Directory, replica: Directory) -> _Level:
        return _Level(path, source, replica, iter(sorted(self._names(path, source, replica))))

    def _names(self, path: RelPath, source: Directory, replica: Directory) -> Iterable[bytes]:
        ancestor = self._ancestor.directory(path)
        if ancestor is None:
            return source.children.keys() & replica.children.keys()
        if self._ancestor.digest_of(ancestor) == self._source.digest_of(source) == self._replica.digest_of(replica):
            return ()
        return ancestor.children.keys() | (source.children.keys() & replica.children.keys())

    def _walk(self, start: _Level) -> Iterator[Change]:
        stack = [start]
        while stack:
            level = stack[-1]
            name = next(level.names, None)
            if name is None:
                stack.pop()
                continue
            path = join(level.path, name)
            ours, theirs = level.source.children.get(name), level.replica.children.get(name)
            if path in self._protected or is_unlisted(theirs):
                continue
            before = self._ancestor.get(path)
            if isinstance(ours, Directory) and isinstance(theirs, Directory):
                if self._equal(ours, theirs):
                    yield from self._change(path, theirs)
                elif before is None or not before.is_directory:
                    # Both have a directory. Of their modes neither is older, so each counts as changed.
                    yield Change(path, before, Entry(Kind.DIRECTORY, NO_MODE))
                stack.append(self._level(path, ours, theirs))
            elif self._equal(ours, theirs):
                yield from self._change(path, theirs)

    def _change(self, path: RelPath, node: Node | None) -> Iterator[Change]:
        before, now = self._ancestor.get(path), entry_at(node)
        if not equal(before, now, self._source.attributes):
            yield Change(path, before, now)

    def _equal(self, ours: Node | None, theirs: Node | None) -> bool:
        if isinstance(ours, bytes) and isinstance(theirs, bytes) and covered(ours) == covered(theirs):
            return is_known(digest_of(ours))
        return equal(entry_at(ours), entry_at(theirs), self._source.attributes)
