"""What of a kept ancestor is not to be believed after an end that was not clean.

- The last changes that both sides agreed on may not have been written. Where a file of the source looks as the ancestor
  says, it may have been brought back since, from a backup say, after both had agreed on something else: then it is new,
  although it looks unchanged. Its ctime tells, which every such act sets.
- After a power cut the source may have lost what the replica acknowledged, because whoever wrote it did not make it
  durable: a file has its former content again, or none, or is gone. Its ctime is older than the agreement, or there is
  nothing to have one.

Where that may be so, nothing is taken for agreed. Then nothing is removed there, or replaced without a copy. Whether a
file is as the ancestor says, only its content tells: one that looks so has to be read first. After a power cut that is
often all of them, because the index of the source is gone too.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from dirsync.tree.diff import diff, equal
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, changed_at_of, fingerprint_of, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree


class UncleanEnd(NamedTuple):
    """How what kept the ancestor ended."""

    written_at_ns: int
    """When something was written last, in nanoseconds since the epoch."""
    power_cut: bool
    """The machine was started again since."""


class Doubt(NamedTuple):
    """A path that both sides have differently."""

    path: RelPath
    is_lost: bool | None
    """Whether nothing is to be taken for agreed there; ``None``: the source's file has to be read to know that."""


def doubtful(
    ancestor: Tree, source: Tree, replica: Tree, end: UncleanEnd, protected: Collection[RelPath] = ()
) -> Iterator[Doubt]:
    """Where both sides differ and nothing is to be taken for agreed, or where that is not known yet."""
    for path, theirs, _ in diff(replica, source, protected):
        before = ancestor.get(path)
        lost = before is not None and is_lost(before, theirs, source.record(path), end, source.attributes)
        if lost is not False:
            yield Doubt(path, lost)


def is_lost(
    before: Entry, theirs: Entry | None, record: Record | None, end: UncleanEnd, attributes: Attributes
) -> bool | None:
    """Whether ``before`` is not to be taken for agreed where the source has ``record``; ``None``: it has to be read."""
    if record is None:
        return end.power_cut and equal(before, theirs, attributes)
    ours = unpack(record)
    if ours.is_directory:
        return False
    touched = not fingerprint_of(record) or changed_at_of(record) >= end.written_at_ns
    if ours.digest == UNKNOWN and _looks_like(before, ours, attributes):
        return None if touched or end.power_cut else False
    return touched if equal(before, ours, attributes) else end.power_cut and not touched


def _looks_like(before: Entry, ours: Entry, attributes: Attributes) -> bool:
    """Whether a file that was not read has the size and the metadata of ``before``."""
    if before.kind is not Kind.FILE:
        return False
    return attributes.normalize(before)._replace(digest=UNKNOWN) == attributes.normalize(ours)
