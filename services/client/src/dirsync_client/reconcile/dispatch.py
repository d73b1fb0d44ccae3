"""Which way each difference goes: sent, moved, copied, read first because it may be equal, or left to be judged.

A path that differs is *dispatched*. While something is on its way to or from it, it is *busy* and is not planned again;
when that is settled it is compared again, so nothing that happened meanwhile is forgotten.

Content of the replica that is to be used elsewhere must not be replaced before: what is made from other paths goes
first, and what takes the place of something that is still needed waits.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext

from dirsync.endpoint.source import Source
from dirsync.errors import PathError
from dirsync.fs.failure import PathFailure
from dirsync.limits import LIMITS
from dirsync.tree.diff import Change
from dirsync.tree.entry import UNKNOWN, Entry, Kind
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.plan import CopyContent, Move, PutFile, needs_digest, operation
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals, removal
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Basis, Ticket
from dirsync_client.report.transfer_metrics import Accounting
from dirsync_client.transfer.hasher import Hasher
from dirsync_client.transfer.send_queue import Outbox

Trouble = Callable[[Problem], None]


class Dispatcher:
    """The engine's thread only."""

    def __init__(  # the parts that the cycle joins
        self,
        source: Source,
        replica: Tree,
        outbox: Outbox,
        hasher: Hasher,
        router: Router,
        moves: Moves,
        removals: Removals,
        accounting: Accounting,
        trouble: Trouble,
        refuse: Trouble,
        *,
        deletes: bool,
    ) -> None:
        """``trouble`` is told of files that could not be read, ``refuse`` of what DELETE=never does not allow."""
        self.replica = replica
        self.busy: dict[RelPath, Ticket | None] = {}
        """Paths that something is on its way to or from, and what; ``None`` while a file is read."""
        self.again: set[RelPath] = set()
        """Paths to be compared again."""
        self._source = source
        self._outbox = outbox
        self._hasher = hasher
        self._router = router
        self._moves = moves
        self._removals = removals
        self._accounting = accounting
        self._trouble = trouble
        self._refuse = refuse
        self._deletes = deletes
        self._moved: set[RelPath] = set()
        """Files that were moved at the replica by what their inode says, and have not been read since."""
        self._after: dict[RelPath, set[RelPath]] = {}
        """Paths that are not touched while another one is busy, because that one gets what they have now."""
        self._reading: dict[RelPath, int | None] = {}
        """Large files that are being read, because each may turn out to be what the replica has elsewhere. Those with a
        size are likely to: they are new, or had another size before."""
        self._differs: set[RelPath] = set()
        """Large files that were seen to differ from what the replica has, though nobody knows their digest."""

    @property
    def hashing(self) -> int:
        """How many large files are being read."""
        return len(self._reading)

    def was_read(self, path: RelPath) -> None:
        """A large file was read, or could not be."""
        del self._reading[path]
        self.free(path)

    def differs(self, path: RelPath) -> None:
        """A large file was seen to have other content than the replica has at its path."""
        self._differs.add(path)

    def settled(self, path: RelPath) -> None:
        """The server has what the source had at ``path``."""
        self._differs.discard(path)

    def unread(self, paths: Iterable[RelPath]) -> None:
        """These were brought to their paths by what their inodes say: nobody has read the source's files yet."""
        self._moved.update(path for path in paths if self._is_unread(path))

    def move_directories(self, since: float) -> None:
        """Send the moves of directories that can go now."""
        if not (self._source.renames.moved or self._moves):
            return
        for step in self._moves.directories(self.replica, self.busy):
            self.send(Ticket(step, None, since, Choice(Strategy.RENAME, Reason.SAME_FILE)))
        self.again |= self._moves.dropped()

    def all(self, changes: Iterable[Change], since: float) -> None:
        """Dispatch changes, parents first: what is made from the content of another path before that is replaced."""
        leaving: list[Change] = []
        first: list[Change] = []
        later: list[Change] = []
        replaced: set[RelPath] = set()
        renames = False
        for change in changes:
            path, old, new = change
            apart = bool(replaced) and any(above in replaced for above in ancestors(path))
            adds = new is not None and new.is_directory and old is None
            renamed = not adds and self._source.former(path) is not None
            renames |= renamed
            if not apart and (adds or renamed or self._may_copy(old, new)):
                first.append(change)
                continue
            if not apart and new is None:
                leaving.append(change)
                continue
            later.append(change)
            if new is not None and new.is_directory:
                replaced.add(path)
        # These are only noted: what is wanted elsewhere is moved from there.
        for change in leaving:
            self._dispatch(change, since)
        # Names that go round in a circle need each other's content: it must not be replaced before all have said so.
        with self._outbox.gathering() if renames else nullcontext():
            for change in first:
                self._dispatch(change, since)
        for change in later:
            self._dispatch(change, since)

    def _dispatch(self, change: Change, since: float) -> None:
        path = change.path
        if path in self.busy or self._moves.covers(path) or self._has_to_wait(path):
            return
        if change.new is not None and change.new.kind is Kind.FILE:
            self._dispatch_file(change, change.new, since)
        else:
            self._dispatch_step(change, since)

    def _has_to_wait(self, path: RelPath) -> bool:
        """Whether what the replica has at ``path`` is still needed where it went; it is compared again after that.

        Not so if the server was told to take it: it does that when it is told, not when it is committed.
        """
        there = self.replica.get(path)
        if there is None:
            return False
        went_to = self._source.renames.new_path(path)
        if went_to is not None and went_to in self.busy:
            ticket = self.busy[went_to]
            step = None if ticket is None else ticket.operation
            if not (isinstance(step, CopyContent) and step.entry.digest == there.digest):
                self._after.setdefault(went_to, set()).add(path)
                return True
        return path in self._source.tree and self._may_be_wanted(path, there)

    def _may_be_wanted(self, path: RelPath, there: Entry) -> bool:
        """Whether a new file that is being read may turn out to be a copy of this one, which is to be replaced.

        Reading always ends: no circle. Many files of one size that are all rewritten do not wait for each other: they
        are read while others are sent.
        """
        if there.kind is Kind.FILE and there.size > LIMITS.inline_file_bytes:
            for wanting, size in self._reading.items():
                if size == there.size:
                    self._after.setdefault(wanting, set()).add(path)
                    return True
        return False

    def _may_copy(self, old: Entry | None, new: Entry | None) -> bool:
        """Whether a file may be made from what the replica has at another path, which may be replaced by this sync."""
        return new is not None and self._router.may_copy(old, new, self.replica)

    def free(self, path: RelPath) -> None:
        """Nothing is on its way to or from ``path`` any more."""
        self.busy.pop(path, None)
        self.again |= self._after.pop(path, set())

    def _dispatch_file(self, change: Change, new: Entry, since: float) -> None:
        path = change.path
        move = self._moves.file(self.replica, path, self.busy)
        if move is not None and not self._apart(path):
            strategy = Strategy.RENAME if isinstance(move, Move) else Strategy.DEDUP
            self.send(Ticket(move, self._source.tree.record(path), since, Choice(strategy, Reason.SAME_FILE)))
            return
        if path in self._differs:
            self._differs.discard(path)
        elif self._router.reads_first(path, change.old, new, self.replica) or needs_digest(change):
            if not self._read_first(path, change.old, new):
                return
            change = Change(path, self.replica.get(path), self._source.tree.get(path))
        self._dispatch_step(change, since)

    def _dispatch_step(self, change: Change, since: float) -> None:
        path = change.path
        step = operation(change)
        if removal(step, foreign=self._removals.foreign) or self._apart(path):
            self._remove_later(path, step.expected)
            return
        ticket = Ticket(step, self._source.tree.record(path), since)
        if isinstance(step, PutFile):
            # The path is not planned again while it waits for another file: that one settles first.
            self.busy[path] = ticket
            leaving = _nobody if self._moves.was_refused(path) else self._leaving
            if not self._router.send(ticket, self.replica, leaving, self._origin(path)):
                del self.busy[path]
            elif isinstance(ticket.operation, Move):
                self.busy[ticket.operation.source] = ticket
        else:
            self.send(ticket)

    def _leaving(self, digest: bytes) -> RelPath | None:
        """A file of the replica with this content that is about to be removed, and may be moved instead."""
        if not self._moves.allowed:
            return None
        for path in self._removals.paths:
            entry = self.replica.get(path)
            known = entry is not None and entry.kind is Kind.FILE and entry.digest == digest
            if known and path not in self._source.tree and path not in self.busy and not self._moves.covers(path):
                return path
        return None

    def _origin(self, path: RelPath) -> Basis | None:
        """What the file at ``path`` was when it was elsewhere, if the replica still has that content."""
        found = self._source.former(path)
        if found is None or not self._router.contents.has(found.digest):
            return None
        return Basis(found.digest, found.size)

    def _read_first(self, path: RelPath, old: Entry | None, new: Entry) -> bool:
        """Find the digest of a file that may be known; false if that goes on beside us, or failed, or it is equal."""
        if new.size > LIMITS.inline_file_bytes:
            self.busy[path] = None
            in_place = old is not None and old.kind is Kind.FILE and old.size == new.size
            self._reading[path] = None if in_place else new.size
            planned = self._source.tree.record(path)
            if old is not None and path not in self._moved and self._router.only_here(old, new):
                self._router.compare(path, planned, old)
            else:
                self._hasher.add(path, planned)
            return False
        try:
            self._source.read(path)
        except PathFailure as failure:
            self._trouble(failure.problem())
            return False
        except PathError as error:
            self._trouble(Problem(path, ProblemKind.UNREADABLE, str(error)))
            return False
        self.note_unchanged(path)
        return not self._same(path)

    def note_unchanged(self, path: RelPath) -> None:
        """Count a file that was read and turned out to be what the replica has."""
        source, replica = self._source.tree.get(path), self.replica.get(path)
        if source is not None and replica is not None and source.digest == replica.digest:
            if path in self._moved:
                self._accounting.proved(source.size)
            else:
                self._accounting.unchanged(source.size)
        self._moved.discard(path)

    def _same(self, path: RelPath) -> bool:
        """Whether both sides have the same at ``path``, which is no directory."""
        source, replica = self._source.tree.get(path), self.replica.get(path)
        if source is None or replica is None or source.digest == UNKNOWN:
            return source is replica
        normalize = self.replica.attributes.normalize
        return normalize(source) == normalize(replica)

    def _apart(self, path: RelPath) -> bool:
        """Whether something above ``path`` has to be replaced first, and that waits for approval."""
        return self._removals.foreign and any(above in self._removals.paths for above in ancestors(path))

    def _remove_later(self, path: RelPath, expected: Entry | None) -> None:
        if self._deletes:
            self._removals.add(path)
            return
        if self._source.tree.record(path) is not None and expected is not None:
            message = "DELETE=never keeps the directory that this would replace: remove it at the replica"
            self._refuse(Problem(path, ProblemKind.REFUSED, message))

    def send(self, ticket: Ticket) -> None:
        """Send this as it is."""
        self.busy[ticket.path] = ticket
        if isinstance(ticket.operation, Move):
            self.busy[ticket.operation.source] = ticket
        self._outbox.add(ticket)

    def _is_unread(self, path: RelPath) -> bool:
        """Whether the source has a file at ``path`` of which nobody knows the digest."""
        entry = self._source.tree.get(path)
        return entry is not None and entry.kind is Kind.FILE and entry.digest == UNKNOWN


def _nobody(_digest: bytes) -> RelPath | None:
    """Nothing that is about to be removed is moved instead."""
    return None
