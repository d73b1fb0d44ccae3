"""A small file when its turn comes: it was read, and goes with its content, or without if the replica has that."""

from dirsync.tree.entry import Entry
from dirsync.tree.plan import CopyContent, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.ticket import Ticket
from dirsync_client.transfer.reader import Content


def resolve(
    ticket: Ticket, content: Content, contents: Contents, *, dedups: bool
) -> tuple[PutFile | CopyContent, bytes]:
    """What is sent for a ticket that puts a small file, which was read as ``content``, and the bytes that go with it.

    ``dedups``: the server makes files of content that it has.
    """
    operation, entry = ticket.operation, content.entry
    assert isinstance(operation, PutFile)
    ticket.sent = content.record
    if dedups and ticket.choice.reason is not Reason.AFTER_MISMATCH and contents.has(entry.digest):
        copy = CopyContent(operation.path, operation.expected, entry)
        ticket.operation, ticket.choice = copy, Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT)
        return copy, b""
    ticket.literal_bytes = len(content.data)
    promise(ticket, entry, contents)
    return operation._replace(entry=entry), content.data


def promise(ticket: Ticket, entry: Entry, contents: Contents) -> None:
    """The file is on its way: from here on in the stream, its content counts as what the replica has."""
    contents.put(entry)
    ticket.promised = True
