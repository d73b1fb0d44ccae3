"""Renames: what turned up elsewhere in the source is moved at the replica, and nothing of it is sent.

A directory that was recognised at another path (:mod:`dirsync.tree.renames`) is one operation, whatever it holds. So is
a file whose inode, size and mtime are those of a file that left. Nothing becomes visible that the source does not have:

- A file is moved if it is proved to be the one that left, and read afterwards. Otherwise it is read before.
- A directory is moved if it is proved to be the one that left. Otherwise its content has to be, file by file, what the
  replica would bring along.
- No name shows another one's content on the way. Two names are exchanged if each is to have what the other has. Where
  each of several takes the name of the next one, the last goes first and the others follow it in the same breath, as
  they did in the source. Content goes round in a larger circle by copies.

Where the former name holds something else by now, there is no move, and the content is copied at the replica instead.
The server checks every move against what the planner saw, so a wrong guess costs a round trip.
"""

from collections.abc import Callable, Collection, Mapping

from dirsync.tree.directory import differing
from dirsync.tree.entry import UNKNOWN, Kind, digest_of
from dirsync.tree.path import ROOT, RelPath, ancestors, is_within, split
from dirsync.tree.plan import CopyContent, Move
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.path_states import Phase


class Renames:
    """The moves of one session: those of directories that are under way, and those that wait."""

    def __init__(self, context: Context, lead_to: Callable[[RelPath], bool] = lambda _path: False) -> None:
        """``lead_to``: whether a link of the replica that is to be replaced still leads to a path."""
        self._context = context
        self._lead_to = lead_to
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

    @property
    def is_covering(self) -> Callable[[RelPath], bool] | None:
        """:meth:`covers`, for a comparison that need not enter what is moved; ``None`` while nothing is.

        A two-way client compares it all the same: it decides about each path which way it goes.
        """
        moves = bool(self._waiting) or self.under_way
        return self.covers if moves and self._context.options.two_way is None else None

    def send_directories(self, changed_at: float) -> None:
        """Send the moves of directories that can go now, and mark what is not moved after all."""
        tracker = self._context.source.renames
        moved = tracker.moved
        if not moved and not self._waiting:
            return
        before, self._waiting = self._waiting, set()
        leaving = {source: path for path, source in moved.items()}
        for path in list(moved):
            if path not in moved:
                continue  # it went with another one
            source = moved[path]
            if path in tracker.pending or self._is_moving(path) or self._is_moving(source):
                # What is there when the scan, or that move, is done is another question.
                self._waiting.update((path, source))
                continue
            steps = self._steps(path, leaving) if self.allowed else None
            if steps is None:
                del moved[path]
                self._compare_again(path, source)
            elif not steps or self._must_wait(steps):
                self._waiting.update((path, source))
            else:
                self._send(steps, changed_at)
        self._compare_again(*(before - self._waiting))

    def must_read(self, path: RelPath) -> bool:
        """Whether the file at ``path`` has to be read before it can be taken for one that left."""
        record = self._context.source.tree.record(path)
        if record is None or digest_of(record) != UNKNOWN or not self._may_move_to(path):
            return False
        return self._former_path(path) is not None and not self._context.source.renames.is_proved_file(record)

    def other_half(self, path: RelPath) -> RelPath | None:
        """The path with which ``path`` seems to have changed places."""
        source = self._former_path(path) if self._may_move_to(path) else None
        return source if source is not None and self._former_path(source) == path else None

    def file_step(self, path: RelPath) -> Move | CopyContent | None:
        """The step that brings the file at ``path`` from where it was before, if there is one.

        It is a copy where the former name is in use for something else again. What replaces the content there may be on
        its way already: the server has the old content until that is committed.
        """
        context = self._context
        source = self._former_path(path) if self._may_move_to(path) else None
        if source is None or self.covers(source) or not self._is_certain(path, source):
            return None
        there, before = context.replica.get(path), context.replica.get(source)
        assert before is not None
        if there is not None and there.is_directory:
            return None
        if not context.table.is_busy(source):
            if source not in context.source.tree and self.may_leave and not self._lead_to(source):
                return Move(path, there, source, before)
            if there is not None and self._is_certain(source, path):
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
        """Bring in other ways what waits for something that will not happen. What is being scanned waits for that."""
        tracker = self._context.source.renames
        self._waiting.clear()
        for path, source in list(tracker.moved.items()):
            if path in tracker.pending:
                self._waiting.update((path, source))
            else:
                del tracker.moved[path]
                self._compare_again(path, source)

    def _compare_again(self, *paths: RelPath) -> None:
        table = self._context.table
        for path in paths:
            if not table.is_busy(path):
                table.to(path, Phase.DIRTY)

    def _send(self, steps: Collection[Move], changed_at: float) -> None:
        moved = self._context.source.renames.moved
        for step in steps:
            del moved[step.path]
            if step.exchange and moved.get(step.source) == step.path:
                del moved[step.source]
            self._context.transmit(step, changed_at, Choice(Strategy.RENAME, Reason.SAME_FILE))

    def _steps(self, path: RelPath, leaving: Mapping[RelPath, RelPath]) -> list[Move] | None:
        """The moves that bring a directory to ``path``, and what takes the name that it leaves, and so on.

        None in the list: they have to wait. ``None``: it is not moved. ``leaving``: the new paths by the former ones.
        """
        context, moved = self._context, self._context.source.renames.moved
        steps: list[Move] = []
        at = path
        while True:
            source = moved[at]
            step = self._directory_move(at, source, vacated=bool(steps))
            if step is None or (steps and step.exchange):
                return None
            if step.expected is not None and not step.exchange:
                # What is there goes elsewhere; then this one follows.
                return [] if moved.get(leaving.get(at, ROOT)) == at and not self._is_circle(at) else None
            able = self._may_bring(step, leaving)
            if not able:
                return [] if able is None else None
            steps.append(step)
            if step.exchange or source not in context.source.tree or source not in moved:
                return steps
            at = source

    def _is_circle(self, path: RelPath) -> bool:
        """Whether what takes the name that is left, and so on, comes from ``path`` in the end."""
        moved = self._context.source.renames.moved
        at = moved[path]
        while at in moved and at != path:
            at = moved[at]
        return at == path

    def _directory_move(self, path: RelPath, source: RelPath, *, vacated: bool) -> Move | None:
        """The move to ``path``; ``vacated``: what the replica has there has left by then."""
        context = self._context
        there, before = None if vacated else context.replica.get(path), context.replica.get(source)
        moved = context.source.renames.moved
        if before is None or not before.is_directory or context.source.tree.directory(path) is None:
            return None
        if not context.direction.may_move(source):
            return None  # others changed what is in it
        if is_within(path, source) or is_within(source, path):
            return None
        if there is None:
            stays = not self.may_leave or (source in context.source.tree and source not in moved)
            return None if stays else Move(path, None, source, before)
        if there.is_directory:
            # It goes elsewhere, or the two have changed places.
            wanted = path in moved.values()
            return Move(path, there, source, before, exchange=moved.get(source) == path) if wanted else None
        # The file that is there now may have changed places with the directory.
        return Move(path, there, source, before, exchange=True) if self._is_certain(source, path) else None

    def _may_bring(self, step: Move, leaving: Mapping[RelPath, RelPath]) -> bool | None:
        """Whether nothing comes along that the source does not have; ``None``: not before another move is made."""
        able = self._may_bring_to(step.path, step.source, leaving)
        if able and step.exchange and self._context.replica.directory(step.path) is not None:
            return self._may_bring_to(step.source, step.path, leaving)
        return able

    def _may_bring_to(self, path: RelPath, source: RelPath, leaving: Mapping[RelPath, RelPath]) -> bool | None:
        tracker, tree = self._context.source.renames, self._context.source.tree
        theirs, ours = self._context.replica.directory(source), tree.directory(path)
        if path in tracker.pending:
            return None
        if theirs is None or ours is None:
            return False
        proved = tracker.is_proved(path)
        for at, found in differing(theirs, ours, source):
            if found is None and tracker.moved.get(leaving.get(at, ROOT)) == at:
                return None
            if not proved:
                return False
        return True

    def _is_moving(self, path: RelPath) -> bool:
        phase = self._context.table.phase
        return any(phase(at) is Phase.MOVING for at in (path, *ancestors(path)))

    def _must_wait(self, steps: Collection[Move]) -> bool:
        context = self._context
        for step in steps:
            if not step.exchange and self._lead_to(step.source):
                return True
            above, _ = split(step.path)
            if context.replica.directory(above) is None and not context.table.is_busy(above):
                return True
            if any(is_within(path, step.path) or is_within(path, step.source) for path in context.table.busy_paths()):
                return True
        return False

    def _may_move_to(self, path: RelPath) -> bool:
        return self.allowed and path not in self._refused

    def _is_certain(self, path: RelPath, source: RelPath) -> bool:
        """Whether the file at ``path`` is the one that the replica has at ``source``: proved, or by its content."""
        record = self._context.source.tree.record(path)
        if record is None or self._former_path(path) != source:
            return False
        return digest_of(record) != UNKNOWN or self._context.source.renames.is_proved_file(record)

    def _former_path(self, path: RelPath) -> RelPath | None:
        """Where the replica has the file that the source has at ``path`` now, judged by its inode."""
        if not self._context.source.renames.knows_files:
            return None
        record = self._context.source.tree.record(path)
        if record is None or record[0] != Kind.FILE:
            return None
        found = self._context.source.renames.previous_path(record)
        if found is None or found[0] == path:
            return None
        before = self._context.replica.get(found[0])
        digest = digest_of(found[1])
        if before is None or before.kind is not Kind.FILE or before.digest != digest:
            return None
        if not self._context.direction.may_move(found[0]):
            return None
        # Where it was read since, its content counts.
        return found[0] if digest_of(record) in (UNKNOWN, digest) else None
