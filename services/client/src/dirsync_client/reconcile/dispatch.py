"""The next step for each path that differs: moved, copied, read first, sent, or left to be judged.

A path that is busy is not planned again; when what is under way there is settled it is compared again, so nothing that
happened meanwhile is forgotten.

Content of the replica that is to be used elsewhere must not be replaced before. So what is made from other paths goes
first, and what takes the place of something that is still needed waits.
"""

from collections.abc import Collection, Iterable

from dirsync.limits import LIMITS
from dirsync.tree.diff import Change, diff_paths
from dirsync.tree.entry import Entry, Kind
from dirsync.tree.path import RelPath, ancestors, split
from dirsync.tree.plan import CopyContent, Move, Operation, PutFile, needs_digest, operation, removes
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.commands import Basis, CompareFile, HashFile, LookAt, RememberRecord, ReportUnchanged
from dirsync_client.reconcile.content_routes import ContentRoutes
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.deletes import Deletes
from dirsync_client.reconcile.directories.builds import WHOLE, Builds
from dirsync_client.reconcile.events import FileHashed, FileProbed
from dirsync_client.reconcile.pacing.pace import NOTHING
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.removal.links import Links
from dirsync_client.reconcile.renames import Renames


class Dispatcher:
    """Takes changes, and decides about each."""

    def __init__(
        self, context: Context, routes: ContentRoutes, renames: Renames, deletes: Deletes, links: Links, builds: Builds
    ) -> None:
        self._context = context
        self._routes = routes
        self._renames = renames
        self._deletes = deletes
        self._links = links
        self._builds = builds
        self.more_comes = False
        """A comparison of the whole trees is under way: more may differ than was dispatched."""

    def compare(self, paths: Collection[RelPath], changed_at: float) -> None:
        """Compare these paths and what is below them, and dispatch what differs."""
        context = self._context
        self._renames.send_directories(changed_at)
        paths = context.direction.decide(paths)
        changes = diff_paths(
            context.replica,
            context.source.tree,
            paths,
            context.source.problems,
            whole=self._builds.takes,
            is_covered=self._renames.is_covering,
        )
        self.dispatch(list(context.direction.outgoing(changes)), changed_at)
        context.direction.receive()
        self._renames.send_directories(changed_at)

    def dispatch(self, changes: Iterable[Change], changed_at: float) -> None:
        """Dispatch changes, parents first: what is made from the content of another path before that is replaced.

        Removals are noted before anything is sent, because what is wanted elsewhere is moved from where it leaves.
        """
        leaving: list[Change] = []
        first: list[Change] = []
        later: list[Change] = []
        replaced: set[RelPath] = set()
        for change in changes:
            below_replaced = bool(replaced) and any(above in replaced for above in ancestors(change.path))
            if not below_replaced and self._goes_first(change):
                first.append(change)
            elif not below_replaced and change.new is None:
                leaving.append(change)
            else:
                later.append(change)
                if change.new is not None and change.new.is_directory:
                    replaced.add(change.path)
        # What links lead to is known to be under way by then.
        later.sort(key=lambda change: change.new is not None and change.new.kind is Kind.SYMLINK)
        table = self._context.table
        table.changed_at = changed_at
        for change in (*leaving, *first, *later):
            self._dispatch(change, changed_at)
        table.changed_at = self._context.now

    def probed(self, event: FileProbed) -> None:
        """A probe has come: the path is compared again."""
        if self._context.table.phase(event.path) is Phase.PROBING:
            self._context.table.to(event.path, Phase.DIRTY).probe = event.probe

    def hashed(self, event: FileHashed) -> None:
        """A file was read: the path is compared again, now that its digest is known."""
        path, result = event.path, event.result
        if self._context.table.phase(path) is not Phase.HASHING:
            return
        if isinstance(result, Problem):
            if result.kind is ProblemKind.CHANGING and not self._context.options.at_once:
                self._context.rewritten(path, self._context.now, result, NOTHING)
            else:
                self._context.unreadable(path, event.planned, result)
            return
        self._context.succeeded(path)
        state = self._context.table.to(path, Phase.DIRTY)
        if result is None:
            state.differs = True
        elif self._context.learn(path, event.planned, result):
            self._context.emit(RememberRecord(path, result))
            self._note_unchanged(path)

    def _goes_first(self, change: Change) -> bool:
        """Whether a change only adds a directory, or may be made from content that the same sync replaces."""
        _, old, new = change
        if new is None:
            return False
        if new.is_directory:
            return old is None
        return self._former_entry(change.path) is not None or self._routes.may_copy(old, new)

    def _dispatch(self, change: Change, changed_at: float) -> None:
        path, table = change.path, self._context.table
        if table.is_busy(path) or table.phase(path) is Phase.FAILED or self._renames.covers(path):
            return
        if self._context.is_building(path):
            return
        blocker = self._blocker(path)
        if blocker is not None:
            table.block(path, blocker)
        elif change.new is not None and change.new.kind is Kind.FILE:
            self._dispatch_file(change, change.new, changed_at)
        elif change.new is not None and change.new.kind is Kind.SYMLINK:
            self._dispatch_link(change, change.new, changed_at)
        else:
            self._dispatch_step(change, changed_at)

    def _dispatch_link(self, change: Change, new: Entry, changed_at: float) -> None:
        """Publish a link once what it leads to is there."""
        more_comes = self.more_comes or self._renames.waiting or self._renames.under_way
        key = self._links.blocker(change.path, new, more_comes=more_comes)
        if key is not None:
            self._context.table.block(change.path, RelPath(key))
        elif self._links.must_look(change.path):
            self._context.emit(LookAt((change.path,), retry=True))
        else:
            self._dispatch_step(change, changed_at)
            self._links.sent(change.path)

    def _blocker(self, path: RelPath) -> RelPath | None:
        """What the path has to wait for, if there is something.

        That is a directory above it that could not be made, or a busy path that still needs what the replica has at
        ``path``. Not a copy that the server was already told to make: it does that when it is told, not when it is
        committed.
        """
        context = self._context
        there = context.replica.get(path)
        if there is None:
            return self._failed_directory(path)
        new_path = context.source.renames.new_path(path)
        if new_path is not None and context.table.is_busy(new_path):
            state = context.table.get(new_path)
            step = state.transmit.operation if state is not None and state.transmit is not None else None
            if not (isinstance(step, CopyContent) and step.entry.digest == there.digest):
                return new_path
        return self._reader_that_may_want(there) if path in context.source.tree else None

    def _failed_directory(self, path: RelPath) -> RelPath | None:
        """The directory above ``path`` that the server could not make: without it, nothing can be put there."""
        context = self._context
        if not context.table.count((Phase.FAILED,)) or context.replica.directory(split(path)[0]) is not None:
            return None
        return next((above for above in ancestors(path) if context.table.phase(above) is Phase.FAILED), None)

    def _reader_that_may_want(self, there: Entry) -> RelPath | None:
        """A new file that is being read and may turn out to be a copy of this one, which is to be replaced.

        Reading always ends, so waiting for it is no circle. Many files of one size that are all rewritten do not wait
        for each other: they are read while others are sent.
        """
        if there.kind is Kind.FILE and there.size > LIMITS.inline_file_bytes:
            for path, state in self._context.table.states(Phase.HASHING):
                if state.wanted == there.size:
                    return path
        return None

    def _dispatch_file(self, change: Change, new: Entry, changed_at: float) -> None:
        path, table = change.path, self._context.table
        if self._is_read_for_rename(path):
            return
        step = self._renames.file_step(path)
        if step is not None and not self._deletes.is_under_held(path):
            strategy = Strategy.RENAME if isinstance(step, Move) else Strategy.DEDUP
            self._context.transmit(step, changed_at, Choice(strategy, Reason.SAME_FILE))
            return
        if path in self._context.pacing and self._context.pace(path, changed_at):
            return
        state = table.get(path)
        if state is None or not state.differs:
            needs_hash = self._routes.needs_hash(path, change.old, new)
            if needs_hash or (needs_hash is False and needs_digest(change)):
                self._read(path, change.old, new)
            if needs_hash is None or table.phase(path) is Phase.HASHING:
                return
        self._dispatch_step(change, changed_at)

    def _is_read_for_rename(self, path: RelPath) -> bool:
        """Whether the file has to wait until it, or what it changed places with, was read: it may be one that left."""
        if not self._context.source.renames.knows_files:
            return False
        table = self._context.table
        other = self._renames.other_half(path)
        for at in (path, other):
            if at is not None and self._renames.must_read(at) and not table.is_busy(at):
                planned, new = self._context.source.tree.record(at), self._context.source.tree.get(at)
                assert new is not None
                table.to(at, Phase.HASHING)
                self._context.emit(HashFile(at, planned, new.size))
        if table.phase(path) is Phase.HASHING:
            return True
        if other is None or table.phase(other) is not Phase.HASHING:
            return False
        table.block(path, other)
        return True

    def _read(self, path: RelPath, old: Entry | None, new: Entry) -> None:
        """Have the digest of a file found that may be known."""
        context = self._context
        planned = context.source.tree.record(path)
        in_place = old is not None and old.kind is Kind.FILE and old.size == new.size
        large = new.size > LIMITS.inline_file_bytes
        context.table.to(path, Phase.HASHING).wanted = new.size if large and not in_place else None
        if large and old is not None and path not in context.unread and self._routes.only_here(old, new):
            context.emit(CompareFile(path, planned, Basis(old.digest, old.size)))
        else:
            context.emit(HashFile(path, planned, new.size))

    def _dispatch_step(self, change: Change, changed_at: float) -> None:
        build = self._builds.take(change.path)
        if build is not None:
            self._context.transmit(build, changed_at, WHOLE)
            return
        step = operation(change)
        if self._deletes.waits(step) or self._deletes.is_under_held(change.path):
            self._remove_later(change, step)
        elif isinstance(step, PutFile):
            self._routes.send(step, changed_at)
        else:
            self._context.transmit(step, changed_at)

    def _remove_later(self, change: Change, step: Operation) -> None:
        path, old, new = change
        if self._context.options.deletes or not removes(step):
            self._deletes.add(path)
            return
        if self._context.is_removing(path):
            # It was to be overwritten, and is not any more.
            self._deletes.forget(path, below=False)
        if new is not None and old is not None:
            message = "DELETE=never keeps the directory that this would replace: remove it at the replica"
            self._context.fail(Problem(path, ProblemKind.REFUSED, message))

    def _note_unchanged(self, path: RelPath) -> None:
        """Report a file that was read and turned out to be what the replica has."""
        context = self._context
        source, replica = context.source.tree.get(path), context.replica.get(path)
        if source is not None and replica is not None and source.digest == replica.digest:
            context.emit(ReportUnchanged(source, moved=path in context.unread))
        context.unread.discard(path)

    def _former_entry(self, path: RelPath) -> Entry | None:
        if not self._context.source.renames.knows_files:
            return None
        record = self._context.source.tree.record(path)
        if record is None or record[0] != Kind.FILE:
            return None
        return self._context.source.renames.previous_entry(record)
