"""How a file's content reaches the replica, and why in this way.

From the cheapest to the most expensive: content that the replica has is renamed or copied there; content that is
similar to what it has is sent as a delta; everything else is sent whole. A delta costs reading and searching, so it is
chosen only where a sample says that it will pay.
"""

from enum import StrEnum
from typing import NamedTuple

from dirsync.limits import LIMITS


class Strategy(StrEnum):
    """How content, or a change without content, reaches the replica; the values are those of metrics and log."""

    WHOLE = "whole"
    """The whole content is sent."""
    DELTA = "delta"
    """The parts that changed are sent; the rest is copied from a basis at the replica."""
    DEDUP = "dedup"
    """Nothing is sent: the replica copies content that it has (``CopyContent``)."""
    RENAME = "rename"
    """Nothing is sent: the replica renames what it has (``Move``)."""
    METADATA = "metadata"
    """Only mode and mtime are sent."""


class Reason(StrEnum):
    """Why a strategy was chosen; a closed set, because it is a label of a metric."""

    NEW = "new"
    """The replica has nothing that it could be made from."""
    SMALL = "small"
    """It fits into a message with others: asking what the replica has of it would cost more."""
    SIMILAR = "similar"
    """A sample of it is in what the replica has at the path."""
    DISSIMILAR = "dissimilar"
    """Too little of a sample is there: searching would cost more than sending."""
    KNOWN_CONTENT = "known_content"
    """The replica has the content under another name."""
    SAME_FILE = "same_file"
    """By its inode, it is the file or directory that the replica still has at its old path."""
    SAME_CONTENT = "same_content"
    """The content is that of the path itself, or of a path that left the source."""
    AFTER_MISMATCH = "after_mismatch"
    """The server could not make it from what it has, so it is sent whole, once."""
    NOT_OFFERED = "not_offered"
    """The server does not offer a cheaper strategy."""


class Choice(NamedTuple):
    """A strategy, and why it was chosen."""

    strategy: Strategy
    reason: Reason


CHOICES: tuple[Choice, ...] = (
    *(
        Choice(Strategy.WHOLE, reason)
        for reason in (Reason.NEW, Reason.SMALL, Reason.DISSIMILAR, Reason.AFTER_MISMATCH, Reason.NOT_OFFERED)
    ),
    Choice(Strategy.DELTA, Reason.SIMILAR),
    Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT),
    Choice(Strategy.DEDUP, Reason.SAME_FILE),
    Choice(Strategy.RENAME, Reason.SAME_FILE),
    Choice(Strategy.RENAME, Reason.SAME_CONTENT),
    Choice(Strategy.METADATA, Reason.SAME_CONTENT),
)
"""Every choice that can be made."""


def choose(size: int, similarity: float | None) -> Choice:
    """Choose how to send content of ``size`` bytes that the replica does not have as a whole.

    ``similarity`` is the estimated part, 0 to 1, of it that is in a basis, or ``None`` where there is no basis.
    """
    if size <= LIMITS.inline_file_bytes:
        return Choice(Strategy.WHOLE, Reason.SMALL)
    if similarity is None:
        return Choice(Strategy.WHOLE, Reason.NEW)
    if similarity < LIMITS.min_similarity:
        return Choice(Strategy.WHOLE, Reason.DISSIMILAR)
    return Choice(Strategy.DELTA, Reason.SIMILAR)
