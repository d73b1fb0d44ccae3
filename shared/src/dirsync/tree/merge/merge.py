"""Merging two trees with what they last agreed on.

The sides are compared from their roots down, and only where their Merkle digests differ, so the cost is that of the
differences. The ancestor is only looked up. An empty ancestor means that nothing is known of a time before: then
nothing is removed, equal content is agreed, and what differs is a conflict.

Decisions come parents before children. Of a conflict, the copy under the conflict name comes before the change that
replaces what was copied, so that whoever carries out the decisions in order loses nothing when interrupted.

Moves are removals and additions here. That loses nothing: what was edited at its old name stays there, and what was
moved is at its new name too (docs/two-way.md has the table).
"""

from collections.abc import Collection, Generator, Iterable, Iterator
from typing import NamedTuple

from dirsync.tree.diff import Change, equal
from dirsync.tree.directory import Directory, Node
from dirsync.tree.entry import UNKNOWN, Entry, covered, digest_of, is_known
from dirsync.tree.merge.conflict_name import conflict_name
from dirsync.tree.merge.decision import Carry, Conflict, Decision, Pending, ReadFirst, Unreadable
from dirsync.tree.merge.judge import Verdict, judge
from dirsync.tree.merge.policy import Conflicts, Policy, Side, preferred, preferred_directory
from dirsync.tree.merge.survey import Fate, entry_at, is_unlisted, survey
from dirsync.tree.path import ROOT, RelPath, ancestors, components, is_within, join, split
from dirsync.tree.tree import Tree


def merge(
    ancestor: Tree,
    source: Tree,
    replica: Tree,
    policy: Policy,
    paths: Iterable[RelPath] = (ROOT,),
    protected: Collection[RelPath] = (),
    given: Collection[RelPath] = (),
) -> Iterator[Decision]:
    """What has to be done so that both sides are equal, at ``paths`` and below them.

    Where only one side has the directory that holds a path, the topmost such directory is merged in its place. Of
    ``protected`` paths, those with a problem at the source, nothing is known: nothing is decided about them and what is
    below them, and no directory above them is removed. ``given`` are conflict names of earlier merges whose copies are
    still to be made: nothing else gets them. The trees must not change while this iterates.

    Raises:
        ValueError: the sides count different attributes.
    """
    if source.attributes != replica.attributes:
        msg = "the trees count different attributes and cannot be merged"
        raise ValueError(msg)
    return _Merge(ancestor, source, replica, policy, protected, given).run(paths)


def topmost_difference(source: Tree, replica: Tree, path: RelPath, protected: Collection[RelPath] = ()) -> RelPath:
    """What is merged for ``path``: it, or its topmost ancestor that is no directory on both sides, or is protected."""
    ours: Node | None = source.root
    theirs: Node | None = replica.root
    above = ROOT
    for name in components(path):
        if not (isinstance(ours, Directory) and isinstance(theirs, Directory)) or above in protected:
            return above
        ours, theirs, above = ours.children.get(name), theirs.children.get(name), join(above, name)
    return path


class _Nodes(NamedTuple):
    """What the three trees have at one path."""

    ancestor: Node | None
    source: Node | None
    replica: Node | None

    def of(self, side: Side) -> Node | None:
        """What one side has."""
        return self.source if side is Side.SOURCE else self.replica


class _Level(NamedTuple):
    """A directory that is being merged."""

    path: RelPath
    ancestor: Directory | None
    source: Directory | None
    replica: Directory | None
    names: Iterator[bytes]
    dropped: Side | None = None
    """The side whose directory gives way as a whole, by policy."""


class _Merge:
    def __init__(
        self,
        ancestor: Tree,
        source: Tree,
        replica: Tree,
        policy: Policy,
        protected: Collection[RelPath],
        given: Collection[RelPath],
    ) -> None:
        self._ancestor = ancestor
        self._source = source
        self._replica = replica
        self._policy = policy
        self._protected = protected
        self._unclear = {above for path in protected for above in ancestors(path)}
        self._attributes = source.attributes
        self._fates: dict[RelPath, Fate] = {}
        self._given = given
        self._taken: set[RelPath] = set()
        """Conflict names that this merge has given."""

    def run(self, paths: Iterable[RelPath]) -> Iterator[Decision]:
        """Merge each of these paths, each once."""
        last: RelPath | None = None
        tops = {topmost_difference(self._source, self._replica, path, self._protected) for path in paths}
        for path in sorted(tops, key=components):
            if last is None or not is_within(path, last):
                last = path
                yield from self._walk(self._start(path))

    def _start(self, path: RelPath) -> _Level:
        if path == ROOT:
            return self._level(ROOT, _Nodes(self._ancestor.root, self._source.root, self._replica.root))
        parent, name = split(path)
        ancestor, source, replica = (tree.directory(parent) for tree in (self._ancestor, self._source, self._replica))
        return _Level(parent, ancestor, source, replica, iter((name,)))

    def _level(self, path: RelPath, nodes: _Nodes, dropped: Side | None = None) -> _Level:
        ancestor, source, replica = (node if isinstance(node, Directory) else None for node in nodes)
        return _Level(path, ancestor, source, replica, iter(sorted(self._differing(source, replica))), dropped)

    def _differing(self, ours: Directory | None, theirs: Directory | None) -> Iterable[bytes]:
        if ours is None or theirs is None:
            only = ours or theirs
            return list(only.children) if only else ()
        if self._source.digest_of(ours) == self._replica.digest_of(theirs):
            return ()
        there = theirs.children.get
        names = [name for name, child in ours.children.items() if self._differs(child, there(name))]
        names.extend(theirs.children.keys() - ours.children.keys())
        return names

    def _differs(self, ours: Node, theirs: Node | None) -> bool:
        if isinstance(ours, Directory) and isinstance(theirs, Directory):
            if self._source.digest_of(ours) != self._replica.digest_of(theirs):
                return True
            return not equal(entry_at(ours), entry_at(theirs), self._attributes)
        if isinstance(ours, bytes) and isinstance(theirs, bytes) and covered(ours) == covered(theirs):
            return not is_known(digest_of(ours))
        return not equal(entry_at(ours), entry_at(theirs), self._attributes)

    def _walk(self, start: _Level) -> Iterator[Decision]:
        stack = [start]
        while stack:
            level = stack[-1]
            name = next(level.names, None)
            if name is None:
                stack.pop()
                continue
            path = join(level.path, name)
            if path in self._protected:
                continue
            directories = (level.ancestor, level.source, level.replica)
            nodes = _Nodes(*(directory.children.get(name) if directory else None for directory in directories))
            if is_unlisted(nodes.replica):
                yield Unreadable(path)
            elif level.dropped is not None:
                node = nodes.of(level.dropped)
                if isinstance(node, bytes) and digest_of(node) == UNKNOWN:
                    yield ReadFirst(path)  # only what is known is removed
                    continue
                yield _carry(level.dropped, path, node, None)
                if isinstance(node, Directory):
                    stack.append(self._level(path, nodes, level.dropped))
            elif isinstance(nodes.source, Directory) and isinstance(nodes.replica, Directory):
                yield from self._both_directories(path, nodes)
                stack.append(self._level(path, nodes))
            elif isinstance(nodes.source, Directory) or isinstance(nodes.replica, Directory):
                content = yield from self._one_directory(path, nodes)
                if content is not None:
                    stack.append(content)
            else:
                yield from self._no_directory(path, nodes)

    def _both_directories(self, path: RelPath, nodes: _Nodes) -> Iterator[Decision]:
        """Only the modes can differ. Of two changed ones the greater is taken."""
        ancestor, source, replica = map(entry_at, nodes)
        assert source is not None
        assert replica is not None
        if equal(source, replica, self._attributes):
            return
        if ancestor is not None and equal(ancestor, source, self._attributes):
            winner = Side.REPLICA
        elif ancestor is not None and equal(ancestor, replica, self._attributes):
            winner = Side.SOURCE
        elif self._policy.conflicts in (Conflicts.SOURCE, Conflicts.REPLICA):
            winner = Side(self._policy.conflicts.value)
        else:
            winner = Side.SOURCE if source.mode > replica.mode else Side.REPLICA
        yield _carry(winner.other, path, nodes.of(winner.other), nodes.of(winner))

    def _one_directory(self, path: RelPath, nodes: _Nodes) -> Generator[Decision, None, _Level | None]:
        """Decide about a directory of one side where the other has something else, or nothing.

        Returns what is to be merged next: what is in the directory, or nothing.
        """
        side = Side.SOURCE if isinstance(nodes.source, Directory) else Side.REPLICA
        directory, leaf = nodes.of(side), nodes.of(side.other)
        leaf_entry = entry_at(leaf)
        content = self._level(path, nodes)
        if side is Side.SOURCE and leaf_entry is not None and not is_known(leaf_entry.digest):
            yield Unreadable(path)
            return None
        fate = self._fate(path, side, nodes)
        if fate is Fate.REMOVED:
            yield _carry(side, path, directory, leaf)
        elif fate is Fate.KEPT:
            if leaf_entry is not None and not equal(entry_at(nodes.ancestor), leaf_entry, self._attributes):
                return (yield from self._directory_conflict(path, side, nodes))
            yield _carry(side.other, path, leaf, directory)
        else:
            yield Pending(path)
        return content

    def _directory_conflict(self, path: RelPath, side: Side, nodes: _Nodes) -> Generator[Decision, None, _Level | None]:
        """A directory of ``side`` in which something was changed, against a file or link that was changed too."""
        directory_entry, leaf_entry = entry_at(nodes.of(side)), entry_at(nodes.of(side.other))
        assert directory_entry is not None
        assert leaf_entry is not None
        winner = preferred_directory(self._policy, side)
        if not is_known(leaf_entry.digest):
            yield ReadFirst(path)
            return None
        if winner is not side and path in self._unclear:
            yield Pending(path)  # the directory cannot give way: it holds something of which nothing is known
            return None
        kept_as = None
        if self._policy.conflicts in (Conflicts.KEEP_BOTH, Conflicts.NEWEST):
            kept_as = yield from self._keep(path, leaf_entry)
        entries = (directory_entry, leaf_entry) if side is Side.SOURCE else (leaf_entry, directory_entry)
        yield Conflict(path, *entries, winner, self._policy.conflicts, kept_as)
        yield _carry(winner.other, path, nodes.of(winner.other), nodes.of(winner))
        return self._level(path, nodes, None if winner is side else side)

    def _no_directory(self, path: RelPath, nodes: _Nodes) -> Iterator[Decision]:
        source, replica = entry_at(nodes.source), entry_at(nodes.replica)
        match judge(entry_at(nodes.ancestor), source, replica, self._policy, self._attributes):
            case Verdict.TO_REPLICA:
                yield Carry(Side.REPLICA, Change(path, replica, source))
            case Verdict.TO_SOURCE:
                yield Carry(Side.SOURCE, Change(path, source, replica))
            case Verdict.READ_FIRST:
                yield ReadFirst(path)
            case Verdict.UNREADABLE:
                yield Unreadable(path)
            case Verdict.CONFLICT:
                assert source is not None
                assert replica is not None
                yield from self._conflict(path, source, replica)
            case Verdict.AGREED:
                pass

    def _conflict(self, path: RelPath, source: Entry, replica: Entry) -> Iterator[Decision]:
        winner = preferred(self._policy, source, replica, self._attributes)
        winning, losing = (source, replica) if winner is Side.SOURCE else (replica, source)
        kept_as = None
        if self._policy.conflicts is Conflicts.KEEP_BOTH:
            kept_as = yield from self._keep(path, losing)
        yield Conflict(path, source, replica, winner, self._policy.conflicts, kept_as)
        yield Carry(winner.other, Change(path, losing, winning))

    def _keep(self, path: RelPath, losing: Entry) -> Generator[Decision, None, RelPath]:
        """Have both sides keep ``losing`` under a conflict name; returns the name.

        After an interruption a side may have it there: then that is the name, and merging that path does the rest.
        """
        parent, name = split(path)

        def is_there(candidate: bytes) -> bool:
            at = join(parent, candidate)
            found = [tree.get(at) for tree in (self._source, self._replica)]
            if at in self._taken or at in self._given or not any(found):
                return False
            both_or_new = all(found) or at not in self._ancestor
            return both_or_new and all(entry is None or equal(entry, losing, self._attributes) for entry in found)

        def is_free(candidate: bytes) -> bool:
            at = join(parent, candidate)
            if is_there(candidate):
                return True
            taken = (self._taken, self._given, self._source, self._replica, self._protected)
            return not any(at in names for names in taken)

        chosen = conflict_name(name, losing, self._policy.client, is_free)
        kept_as = join(parent, chosen)
        there = is_there(chosen)
        self._taken.add(kept_as)
        if not there:
            for side in Side:
                yield Carry(side, Change(kept_as, None, losing))
        return kept_as

    def _fate(self, path: RelPath, side: Side, nodes: _Nodes) -> Fate:
        """What becomes of the directory that only ``side`` has, as far as what is in it decides."""
        directory = nodes.of(side)
        assert isinstance(directory, Directory)
        if path not in self._fates:
            if not isinstance(nodes.ancestor, Directory):
                return Fate.KEPT
            self._fates.update(
                survey(
                    path,
                    directory,
                    nodes.ancestor,
                    lambda before, now: self._fate_of(side, before, now),
                    self._unclear | set(self._protected),
                    self._attributes,
                )
            )
        return self._fates[path]

    def _fate_of(self, side: Side, before: Entry | None, now: Entry | None) -> Fate:
        source, replica = (now, None) if side is Side.SOURCE else (None, now)
        match judge(before, source, replica, self._policy, self._attributes):
            case Verdict.TO_REPLICA:
                return Fate.KEPT if side is Side.SOURCE else Fate.REMOVED
            case Verdict.TO_SOURCE:
                return Fate.KEPT if side is Side.REPLICA else Fate.REMOVED
            case _:
                return Fate.PENDING


def _carry(to: Side, path: RelPath, old: Node | None, new: Node | None) -> Carry:
    return Carry(to, Change(path, entry_at(old), entry_at(new)))
