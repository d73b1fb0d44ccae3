"""One path that is a directory on neither side: which version goes where.

A side has *changed* a path if what it has differs from what both last agreed on. Rules, in this order:

- Equal on both sides: agreed.
- Changed on one side: carried to the other, a removal too.
- Removed here, changed there: the change wins.
- Both have the same content: if one side changed no metadata but to what the other has, those of the other are taken,
  else those of the preferred version. No content is lost by that. Mode and mtime are changed by two calls, so a crash
  between them leaves one of the two changed.
- One side changed the content, the other only metadata: the content wins, with its metadata.
- Anything else is a conflict.
"""

import enum

from dirsync.tree.diff import equal
from dirsync.tree.entry import UNKNOWN, Entry, Kind, is_known
from dirsync.tree.merge.policy import Policy, Side, preferred
from dirsync.tree.options import Attributes


class Verdict(enum.Enum):
    """What is to happen at a path."""

    AGREED = enum.auto()
    TO_REPLICA = enum.auto()
    TO_SOURCE = enum.auto()
    CONFLICT = enum.auto()
    READ_FIRST = enum.auto()
    """The source's file has to be read before."""
    UNREADABLE = enum.auto()
    """The server could not read the replica's file."""


def judge(
    ancestor: Entry | None, source: Entry | None, replica: Entry | None, policy: Policy, attributes: Attributes
) -> Verdict:
    """Decide about one path. ``source`` and ``replica`` are no directories, ``None`` is absence."""
    if replica is not None and not is_known(replica.digest):
        return Verdict.UNREADABLE
    if source is not None and source.digest == UNKNOWN:
        return _judge_unread(ancestor, source, replica, attributes)
    if equal(source, replica, attributes):
        return Verdict.AGREED
    if equal(ancestor, replica, attributes):
        return Verdict.TO_REPLICA
    if equal(ancestor, source, attributes):
        return Verdict.TO_SOURCE
    if source is None or replica is None:
        return Verdict.TO_SOURCE if source is None else Verdict.TO_REPLICA
    return _judge_changed(ancestor, source, replica, policy, attributes)


def _judge_unread(ancestor: Entry | None, source: Entry, replica: Entry | None, attributes: Attributes) -> Verdict:
    """The content of the source's file is not known. It need not be where nothing depends on it."""
    if equal(ancestor, replica, attributes):
        return Verdict.TO_REPLICA  # whatever the source has, only it can have changed
    if replica is None and ancestor is not None and not _may_be(ancestor, source, attributes):
        return Verdict.TO_REPLICA  # it was changed, so it wins against the removal
    return Verdict.READ_FIRST


def _judge_changed(
    ancestor: Entry | None, source: Entry, replica: Entry, policy: Policy, attributes: Attributes
) -> Verdict:
    """Both sides changed what they have."""
    if same_content(source, replica):
        if ancestor is not None and same_content(ancestor, source):
            if _follows(source, ancestor, replica):
                return Verdict.TO_SOURCE
            if _follows(replica, ancestor, source):
                return Verdict.TO_REPLICA
        return _to_other(preferred(policy, source, replica, attributes))
    if same_content(ancestor, source):
        return Verdict.TO_SOURCE
    if same_content(ancestor, replica):
        return Verdict.TO_REPLICA
    return Verdict.CONFLICT


def same_content(first: Entry | None, second: Entry | None) -> bool:
    """Whether two files or links have the same known content, whatever their metadata."""
    return (
        first is not None
        and second is not None
        and first.kind is second.kind
        and not first.is_directory
        and first.digest == second.digest
        and is_known(first.digest)
    )


def _follows(behind: Entry, before: Entry, ahead: Entry) -> bool:
    """Whether one side has nothing but what was agreed on and what the other side has."""
    return behind.mode in (before.mode, ahead.mode) and behind.mtime_ns in (before.mtime_ns, ahead.mtime_ns)


def _to_other(side: Side) -> Verdict:
    return Verdict.TO_REPLICA if side is Side.SOURCE else Verdict.TO_SOURCE


def _may_be(ancestor: Entry, source: Entry, attributes: Attributes) -> bool:
    """Whether a file that was not read may be what both agreed on."""
    if ancestor.kind is not Kind.FILE:
        return False
    return attributes.normalize(ancestor)._replace(digest=UNKNOWN) == attributes.normalize(source)
