"""Renames: what turned up elsewhere in the source is moved at the replica, and nothing of it is sent.

A directory recognised at another path (:mod:`dirsync.tree.renames`) is one operation with all its content.
So is a file whose inode, size and mtime are those of a file that left. A move is only made where no path is ever absent
that the source has: where both names stay in use, what is there changes places; where the former name holds something
else by now, there is no move, and the content is copied at the replica instead.

The server checks every move against what the planner saw, so a wrong guess costs a round trip; and a file that moved
is read afterwards, because its inode proves nothing about its content.
"""

from collections.abc import Callable, Collection, Iterator

from dirsync.endpoint.source import Source
from dirsync.tree.entry import Kind, unpack
from dirsync.tree.path import RelPath, ancestors, is_within, split
from dirsync.tree.plan import CopyContent, Move
from dirsync.tree.tree import Tree


class Moves:
    """The moves of one session: those of directories that are under way, and those that wait."""

    def __init__(self, source: Source, may: Callable[[], bool], *, leaves: bool = True) -> None:
        """``may`` tells whether moves are made at all at present; ``leaves``, whether they may leave nothing behind."""
        self._source = source
        self._may = may
        self._leaves = leaves
        self._held: set[RelPath] = set()
        """Directories that a move under way takes from or puts to."""
        self._waiting: set[RelPath] = set()
        """The same of moves that cannot go yet."""
        self._dropped: set[RelPath] = set()
        self._refused: set[RelPath] = set()
        """Paths that the server did not move something to."""

    def __bool__(self) -> bool:
        """Whether any is under way or waits."""
        return bool(self._held or self._waiting)

    @property
    def allowed(self) -> bool:
        """Whether something may be moved away from where it is, at present."""
        return self._leaves and self._may()

    @property
    def under_way(self) -> bool:
        """Whether a directory is on its way."""
        return bool(self._held)

    @property
    def waiting(self) -> bool:
        """Whether one waits for something else to be done."""
        return bool(self._waiting)

    def covers(self, path: RelPath) -> bool:
        """Whether ``path`` is to be left alone until the move of a directory is done."""
        if not self:
            return False
        return any(at in self._held or at in self._waiting for at in (path, *ancestors(path)))

    def directories(self, replica: Tree, busy: Collection[RelPath]) -> Iterator[Move]:
        """The moves of directories that can go now. They are under way until :meth:`done`."""
        self._waiting.clear()
        moved = self._source.renames.moved
        for path, source in list(moved.items()):
            if path not in moved:
                continue  # it was the other half of an exchange
            if self._is_held(path) or self._is_held(source):
                # What is there when that move is done is another question.
                self._waiting.update((path, source))
                continue
            step = self._directory(replica, path, source) if self._may() else None
            if step is None:
                del moved[path]
                self._dropped.update((path, source))
            elif self._must_wait(step, replica, busy):
                self._waiting.update((path, source))
            else:
                del moved[path]
                if step.exchange and moved.get(source) == path:
                    del moved[source]
                self._held.update((path, source))
                yield step

    def file(self, replica: Tree, path: RelPath, busy: Collection[RelPath]) -> Move | CopyContent | None:
        """The step that brings the file at ``path`` from where it was before, if there is one.

        That is a copy where the former name is in use for something else again. What replaces the content there may be
        on its way already: the server still has it as long as that is not committed.
        """
        source = self._origin(replica, path) if self._may() and path not in self._refused else None
        if source is None or self.covers(source):
            return None
        there, before = replica.get(path), replica.get(source)
        assert before is not None
        if there is not None and there.is_directory:
            return None
        if source not in busy:
            if source not in self._source.tree and self._leaves:
                return Move(path, there, source, before)
            if there is not None and self._origin(replica, source) == path:
                return Move(path, there, source, before, exchange=True)
        entry = self._source.tree.get(path)
        assert entry is not None
        return CopyContent(path, there, entry._replace(digest=before.digest))

    def done(self, step: Move, *, applied: bool) -> None:
        """The move is settled."""
        self._held.discard(step.path)
        self._held.discard(step.source)
        renames, tree = self._source.renames, self._source.tree
        if not applied:
            self.refuse(step.path)
        elif step.source_expected.is_directory:
            renames.renamed(step.source, step.path, exchange=step.exchange)
        else:
            for path in (step.path, step.source):
                renames.settled(tree.record(path))

    def refuse(self, path: RelPath) -> None:
        """What the server would not bring to ``path`` gets there in another way."""
        self._refused.add(path)

    def was_refused(self, path: RelPath) -> bool:
        """Whether the server did not move something to ``path``: it is not asked again."""
        return path in self._refused

    def give_up(self) -> None:
        """What waits for something that will not happen is brought over in other ways."""
        moved = self._source.renames.moved
        self._dropped.update(moved.keys(), moved.values())
        self._waiting.clear()
        moved.clear()

    def dropped(self) -> set[RelPath]:
        """The paths that were left alone for moves that will not be made: compare them again. Each is given once."""
        dropped, self._dropped = self._dropped, set()
        return dropped

    def _directory(self, replica: Tree, path: RelPath, source: RelPath) -> Move | None:
        there, before = replica.get(path), replica.get(source)
        moved = self._source.renames.moved
        if before is None or not before.is_directory or self._source.tree.directory(path) is None:
            return None
        if is_within(path, source) or is_within(source, path):
            return None
        if there is None:
            stays = not self._leaves or (source in self._source.tree and source not in moved)
            return None if stays else Move(path, None, source, before)
        # What is there now is looked for elsewhere: it takes the place that is left, and goes on from there.
        wanted = path in moved.values() if there.is_directory else self._origin(replica, source) == path
        return Move(path, there, source, before, exchange=True) if wanted else None

    def _is_held(self, path: RelPath) -> bool:
        return any(at in self._held for at in (path, *ancestors(path)))

    def _must_wait(self, step: Move, replica: Tree, busy: Collection[RelPath]) -> bool:
        if not step.exchange and step.source in self._source.tree:
            return True
        above, _ = split(step.path)
        if replica.directory(above) is None and above not in busy:
            return True
        return any(is_within(path, step.path) or is_within(path, step.source) for path in busy)

    def _origin(self, replica: Tree, path: RelPath) -> RelPath | None:
        """Where the replica has the file that the source has at ``path`` now, judged by its inode."""
        record = self._source.tree.record(path)
        if record is None or record[0] != Kind.FILE:
            return None
        found = self._source.renames.previous_path(record)
        if found is None or found[0] == path:
            return None
        before = replica.get(found[0])
        same = before is not None and before.kind is Kind.FILE and before.digest == unpack(found[1]).digest
        return found[0] if same else None
