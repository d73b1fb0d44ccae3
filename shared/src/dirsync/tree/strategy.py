"""The choice of how a file's content reaches the replica, and why.

From the cheapest to the dearest: what the replica has already is renamed or copied there; what is similar to something
that it has travels as a delta; everything else travels whole. A delta costs reading and searching, so it is chosen only
where a sample says that it will pay.
"""

from enum import StrEnum
from typing import NamedTuple

from dirsync.limits import LIMITS


class Way(StrEnum):
    """How content travels; also the strategies of the metrics and the log."""

    WHOLE = "whole"
    DELTA = "delta"
    DEDUP = "dedup"
    RENAME = "rename"
    METADATA = "metadata"


class Reason(StrEnum):
    """Why a way was chosen; a closed set, because it is a label of a metric."""

    NEW = "new"
    """The replica has nothing that it could be made from."""
    SMALL = "small"
    """It fits into a message with others: asking what the replica has of it would cost more."""
    SIMILAR = "similar"
    """A sample of it is in what the replica has at the path."""
    DISSIMILAR = "dissimilar"
    """Too little of a sample is: searching would cost more than sending."""
    KNOWN_CONTENT = "known_content"
    """The replica has the content under another name."""
    SAME_FILE = "same_file"
    """It is the file or directory that the replica has at a path that it left, by its inode."""
    SAME_CONTENT = "same_content"
    """The content is the same: that of the path itself, or of one that left."""
    AFTER_MISMATCH = "after_mismatch"
    """The server could not make it from what it has: it is sent whole, once."""
    NOT_OFFERED = "not_offered"
    """The server does not do better."""


class Choice(NamedTuple):
    """A way, and why."""

    way: Way
    reason: Reason


CHOICES: tuple[Choice, ...] = (
    *(
        Choice(Way.WHOLE, reason)
        for reason in (Reason.NEW, Reason.SMALL, Reason.DISSIMILAR, Reason.AFTER_MISMATCH, Reason.NOT_OFFERED)
    ),
    Choice(Way.DELTA, Reason.SIMILAR),
    Choice(Way.DEDUP, Reason.KNOWN_CONTENT),
    Choice(Way.DEDUP, Reason.SAME_FILE),
    Choice(Way.RENAME, Reason.SAME_FILE),
    Choice(Way.RENAME, Reason.SAME_CONTENT),
    Choice(Way.METADATA, Reason.SAME_CONTENT),
)
"""Every choice that there is."""


def choose(size: int, similarity: float | None) -> Choice:
    """How content of ``size`` bytes travels that the replica does not have as a whole.

    ``similarity`` is the estimated part, 0 to 1, of it that is in a basis, or ``None`` where there is no basis.
    """
    if size <= LIMITS.inline_file_bytes:
        return Choice(Way.WHOLE, Reason.SMALL)
    if similarity is None:
        return Choice(Way.WHOLE, Reason.NEW)
    if similarity < LIMITS.min_similarity:
        return Choice(Way.WHOLE, Reason.DISSIMILAR)
    return Choice(Way.DELTA, Reason.SIMILAR)
