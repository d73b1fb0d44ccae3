"""Renames: what turned up elsewhere in the source is moved at the replica, and nothing of it is sent.

A directory that was recognised at another path (:mod:`dirsync.tree.renames`) is one operation, whatever it holds. So is
a file whose inode, size and mtime are those of a file that left. A move is only made where no path is ever absent that
the source has: where both names stay in use, what is there changes places; where the former name holds something else
by now, there is no move, and the content is copied at the replica instead.

The server checks every move against what the planner saw, so a wrong guess costs a round trip. A file that moved is
read afterwards, because its inode proves nothing about its content.
"""

from dirsync.tree.entry import Kind, unpack
from dirsync.tree.path import RelPath, ancestors, is_within, split
from dirsync.tree.plan import CopyContent, Move
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.path_states import Phase


class Renames:
    """The moves of one session: those of directories that are under way, and those that wait."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._refused: set[RelPath] = set()
        """Paths that the server did not move something to: they get their content in another way."""
        self._waiting: set[RelPath] = set()
        """Both paths of the directory moves that cannot go yet."""

    @property
    def allowed(self) -> bool:
        """Whether anything may be moved at present."""
        return Strategy.RENAME in self._context.offered and not self._context.foreign

    @property
    def may_leave(self) -> bool:
        """Whether a move may leave nothing behind at the path that it takes from."""
        return self._context.options.deletes

    @property
    def under_way(self) -> bool:
        """Whether a directory is being moved."""
        return bool(self._context.table.paths(Phase.MOVING))

    @property
    def waiting(self) -> bool:
        """Whether a directory waits to be moved."""
        return bool(self._waiting)

    def reset(self) -> None:
        """A new session begins: the server is asked again."""
        self._refused.clear()
        self._waiting.clear()

    def covers(self, path: RelPath) -> bool:
        """Whether ``path`` is left alone until the move of a directory is settled."""
        if not self._waiting and not self.under_way:
            return False
        phase = self._context.table.phase
        return any(at in self._waiting or phase(at) is Phase.MOVING for at in (path, *ancestors(path)))

    def send_directories(self, changed_at: float) -> None:
        """Send the moves of directories that can go now, and mark what is not moved after all."""
        if not self._context.source.renames.moved and not self._waiting:
            return
        self._waiting.clear()
        moved = self._context.source.renames.moved
        for path, source in list(moved.items()):
            if path not in moved:
                continue  # it was the other half of an exchange
            if self._is_moving(path) or self._is_moving(source):
                # What is there when that move is done is another question.
                self._waiting.update((path, source))
                continue
            step = self._directory_move(path, source) if self.allowed else None
            if step is None:
                del moved[path]
                self._compare_again(path, source)
            elif self._must_wait(step):
                self._waiting.update((path, source))
            else:
                del moved[path]
                if step.exchange and moved.get(source) == path:
                    del moved[source]
                self._context.transmit(step, changed_at, Choice(Strategy.RENAME, Reason.SAME_FILE))

    def file_step(self, path: RelPath) -> Move | CopyContent | None:
        """The step that brings the file at ``path`` from where it was before, if there is one.

        It is a copy where the former name is in use for something else again. What replaces the content there may be on
        its way already: the server has the old content until that is committed.
        """
        context = self._context
        source = self._former_path(path) if self.allowed and path not in self._refused else None
        if source is None or self.covers(source):
            return None
        there, before = context.replica.get(path), context.replica.get(source)
        assert before is not None
        if there is not None and there.is_directory:
            return None
        if not context.table.is_busy(source):
            if source not in context.source.tree and self.may_leave:
                return Move(path, there, source, before)
            if there is not None and self._former_path(source) == path:
                return Move(path, there, source, before, exchange=True)
        entry = context.source.tree.get(path)
        assert entry is not None
        # Nothing is copied of an empty file, so its content is not looked up.
        return CopyContent(path, there, entry._replace(digest=before.digest)) if entry.size else None

    def applied(self, step: Move) -> None:
        """The server moved it."""
        tracker, tree = self._context.source.renames, self._context.source.tree
        if step.source_expected.is_directory:
            tracker.renamed(step.source, step.path, exchange=step.exchange)
        else:
            for path in (step.path, step.source):
                tracker.settled(tree.record(path))

    def refuse(self, path: RelPath) -> None:
        """The server did not bring anything to ``path``: it is not asked again."""
        self._refused.add(path)

    def was_refused(self, path: RelPath) -> bool:
        """Whether the server did not bring something to ``path`` before."""
        return path in self._refused

    def give_up(self) -> None:
        """Bring in other ways what waits for something that will not happen."""
        moved = self._context.source.renames.moved
        self._waiting.clear()
        self._compare_again(*moved.keys(), *moved.values())
        moved.clear()

    def _compare_again(self, *paths: RelPath) -> None:
        table = self._context.table
        for path in paths:
            if not table.is_busy(path):
                table.to(path, Phase.DIRTY)

    def _directory_move(self, path: RelPath, source: RelPath) -> Move | None:
        context = self._context
        there, before = context.replica.get(path), context.replica.get(source)
        moved = context.source.renames.moved
        if before is None or not before.is_directory or context.source.tree.directory(path) is None:
            return None
        if is_within(path, source) or is_within(source, path):
            return None
        if there is None:
            stays = not self.may_leave or (source in context.source.tree and source not in moved)
            return None if stays else Move(path, None, source, before)
        # What is there now is looked for elsewhere: it takes the place that is left, and goes on from there.
        wanted = path in moved.values() if there.is_directory else self._former_path(source) == path
        return Move(path, there, source, before, exchange=True) if wanted else None

    def _is_moving(self, path: RelPath) -> bool:
        phase = self._context.table.phase
        return any(phase(at) is Phase.MOVING for at in (path, *ancestors(path)))

    def _must_wait(self, step: Move) -> bool:
        context = self._context
        if not step.exchange and step.source in context.source.tree:
            return True
        above, _ = split(step.path)
        if context.replica.directory(above) is None and not context.table.is_busy(above):
            return True
        return any(is_within(path, step.path) or is_within(path, step.source) for path in context.table.busy_paths())

    def _former_path(self, path: RelPath) -> RelPath | None:
        """Where the replica has the file that the source has at ``path`` now, judged by its inode."""
        record = self._context.source.tree.record(path)
        if record is None or record[0] != Kind.FILE:
            return None
        found = self._context.source.renames.previous_path(record)
        if found is None or found[0] == path:
            return None
        before = self._context.replica.get(found[0])
        same = before is not None and before.kind is Kind.FILE and before.digest == unpack(found[1]).digest
        return found[0] if same else None
