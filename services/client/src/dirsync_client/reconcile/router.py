"""Which way the content of a file goes to the replica: copied there, made from what is there, or sent.

Nothing that the replica has is sent again, so a large file that may be known is read before it is sent, and one whose
content may be on its way already waits for that. Small files are decided where they are read, by the push stream.
"""

from collections.abc import Callable

from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, unpack
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Move, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.ticket import Basis, Ticket
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.send_queue import Outbox

Glance = Callable[[RelPath], bytes]
"""Gives a few bytes of a file of the source, and its size: other content looks different, most of the time."""

Leaving = Callable[[bytes], RelPath | None]
"""Finds a path that has content of this digest at the replica and is about to leave it."""


class Router:
    """One session's choices. The engine's thread only."""

    def __init__(
        self, outbox: Outbox, preparer: Preparer, contents: Contents, glance: Glance, offered: frozenset[Strategy]
    ) -> None:
        """``offered``: the strategies that the server understands."""
        self.contents = contents
        self._outbox = outbox
        self._preparer = preparer
        self._dedups = Strategy.DEDUP in offered
        self._deltas = Strategy.DELTA in offered
        self._glance = glance
        self._large: dict[bytes, dict[RelPath, Ticket]] = {}
        """Large files on their way, by what a glance shows of them."""
        self._behind: dict[bytes, set[RelPath]] = {}
        """Files that wait for one that looks the same, which may have the same content."""
        self._looks: dict[RelPath, bytes] = {}
        """What a glance showed of the large files that are on their way."""
        self._plain: set[RelPath] = set()
        """Files that the server could not make from what it has: they go whole, once."""

    def get_ready(self, replica: Tree) -> None:
        """Know what the replica has before the first change asks."""
        self.contents.fill(replica)
        if self._deltas and self.contents.any_large:
            self._preparer.get_ready()

    def compare(self, path: RelPath, planned: Record | None, old: Entry) -> None:
        """Find out whether a large file has the content that the replica has at its path."""
        self._preparer.compare(path, planned, Basis(old.digest, old.size))

    def only_here(self, old: Entry, new: Entry) -> bool:
        """Whether no large file has the size of ``new`` but the one that it replaces: only that may be equal."""
        return old.kind is Kind.FILE and old.size == new.size and not self._elsewhere(old, new)

    def reads_first(self, path: RelPath, old: Entry | None, new: Entry, replica: Tree) -> bool:
        """Whether a file has to be read before anything is decided, because another may have its content."""
        large = new.kind is Kind.FILE and new.size > LIMITS.inline_file_bytes
        if not large or not self._dedups or new.digest != UNKNOWN or path in self._plain:
            return False
        self.contents.fill(replica)
        return self._elsewhere(old, new) or (bool(self._large) and self._glance(path) in self._large)

    def may_copy(self, old: Entry | None, new: Entry, replica: Tree) -> bool:
        """Whether a large file may have content that the replica has elsewhere; told without reading it."""
        if new.kind is not Kind.FILE or new.size <= LIMITS.inline_file_bytes or not self._dedups:
            return False
        self.contents.fill(replica)
        return self._elsewhere(old, new) if new.digest == UNKNOWN else self.contents.has(new.digest)

    def _elsewhere(self, old: Entry | None, new: Entry) -> bool:
        """Whether a large file of the replica other than ``old`` has the size of ``new``."""
        itself = old is not None and old.kind is Kind.FILE and old.size == new.size
        return self.contents.of_size(new.size) > itself

    def send(self, ticket: Ticket, replica: Tree, leaving: Leaving, origin: Basis | None) -> bool:
        """Send a file; false if it has to wait and is to be compared again when others are settled.

        ``origin`` is what the file seems to have been at the replica before, if it had another name there.
        """
        operation = ticket.operation
        assert isinstance(operation, PutFile)
        self.contents.fill(replica)
        entry = operation.entry
        if operation.path in self._plain:
            ticket.choice = Choice(Strategy.WHOLE, Reason.AFTER_MISMATCH)
        elif entry.size <= LIMITS.inline_file_bytes:
            ticket.choice = Choice(Strategy.WHOLE, Reason.SMALL)
        elif self._dedups and entry.digest != UNKNOWN and self.contents.has(entry.digest):
            self._reuse(ticket, operation, replica, leaving(entry.digest))
        elif self._may_be_on_its_way(look := self._glance(operation.path), entry):
            self._behind.setdefault(look, set()).add(operation.path)
            return False
        else:
            self._looks[operation.path] = look
            self._large.setdefault(look, {})[operation.path] = ticket
            basis = _basis(operation.expected) or origin
            if basis is not None and self._deltas:
                self._preparer.add(ticket, basis)
                return True
            ticket.choice = Choice(Strategy.WHOLE, Reason.NEW if basis is None else Reason.NOT_OFFERED)
        self._outbox.add(ticket)
        return True

    def applied(self, ticket: Ticket) -> set[RelPath]:
        """The server has it; gives the paths that waited for it."""
        operation = ticket.operation
        if isinstance(operation, PutFile | CopyContent):
            self._plain.discard(operation.path)
            if operation.expected is not None:
                self.contents.remove(operation.expected)
            if ticket.sent is not None and not ticket.promised:
                self.contents.put(unpack(ticket.sent))
            if ticket.sent is not None and ticket.signature is not None:
                self._preparer.remember(unpack(ticket.sent).digest, ticket.signature)
        return self._settled(ticket)

    def refused(self, ticket: Ticket) -> set[RelPath]:
        """The server could not make the content from what it has: it goes whole, once."""
        operation = ticket.operation
        if isinstance(operation, CopyContent):
            self.contents.refute(operation.entry.digest)
        if ticket.choice.strategy in (Strategy.DEDUP, Strategy.DELTA):
            self._plain.add(ticket.path)
        return self.dropped(ticket)

    def dropped(self, ticket: Ticket) -> set[RelPath]:
        """It was not applied; gives the paths that waited for it."""
        if ticket.promised and ticket.sent is not None:
            self.contents.remove(unpack(ticket.sent))
        return self._settled(ticket)

    def _settled(self, ticket: Ticket) -> set[RelPath]:
        operation = ticket.operation
        if not isinstance(operation, PutFile):
            return set()
        look = self._looks.pop(operation.path, None)
        if look is None:
            return set()
        same = self._large[look]
        del same[operation.path]
        if not same:
            del self._large[look]
        return self._behind.pop(look, set())

    def _reuse(self, ticket: Ticket, operation: PutFile, replica: Tree, source: RelPath | None) -> None:
        path, expected, entry = operation
        if source is not None and not (expected is not None and expected.is_directory):
            before = replica.get(source)
            assert before is not None
            ticket.operation = Move(path, expected, source, before)
            ticket.choice = Choice(Strategy.RENAME, Reason.SAME_CONTENT)
        else:
            ticket.operation = CopyContent(path, expected, entry)
            ticket.choice = Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT)

    def _may_be_on_its_way(self, look: bytes, entry: Entry) -> bool:
        """Whether a file is under way whose content may be this one.

        A file that nobody has read yet is sent at once where nothing else looks like it, so it never gets here.
        """
        if not self._dedups or entry.digest == UNKNOWN:
            return False
        tickets = self._large.get(look, {}).values()
        return any(_digest_of(ticket) in (UNKNOWN, entry.digest) for ticket in tickets)


def _digest_of(ticket: Ticket) -> bytes:
    assert isinstance(ticket.operation, PutFile)
    return ticket.operation.entry.digest


def _basis(expected: Entry | None) -> Basis | None:
    """What the replica has at the path itself, if blocks of it may be worth copying."""
    if expected is None or expected.kind is not Kind.FILE or expected.size < LIMITS.min_block_size:
        return None
    return Basis(expected.digest, expected.size)
