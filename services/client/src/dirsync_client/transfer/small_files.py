"""A small file when its turn comes: it was read, and goes with its content, or without if the replica has that."""

from typing import NamedTuple

from dirsync.tree.plan import CopyContent, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.reader import Content


class SmallFile(NamedTuple):
    """What is sent for a small file."""

    operation: PutFile | CopyContent
    data: bytes
    """The content that goes with it."""
    sent: Sent


def decide_small_file(
    transmit: Transmit, content: Content, known: AssumedContent, started: float, *, dedups: bool
) -> SmallFile:
    """What is sent for a small file that was read as ``content``.

    Args:
        transmit: the operation that puts the file.
        content: the file as it was read.
        known: the content that the replica has; a file that is sent counts there from now on.
        started: when reading began, by the monotonic clock.
        dedups: the server makes files of content that it has.
    """
    planned, entry = transmit.operation, content.entry
    assert isinstance(planned, PutFile)
    if dedups and transmit.choice.reason is not Reason.AFTER_MISMATCH and known.has(entry.digest):
        copy = CopyContent(planned.path, planned.expected, entry)
        choice = Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT)
        return SmallFile(copy, b"", Sent(transmit, copy, choice, content.record, started))
    known.assume(entry)
    put = planned._replace(entry=entry)
    size = len(content.data)
    sent = Sent(transmit, planned, transmit.choice, content.record, started, literal_bytes=size, content_assumed=True)
    return SmallFile(put, content.data, sent)
