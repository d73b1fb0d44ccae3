"""What of a kept ancestor is not to be believed after an end that was not clean.

- The last changes that both sides agreed on may not have been written. Where a file of the source looks as the ancestor
  says, it may have been brought back since, from a backup say, after both had agreed on something else: then it is new,
  although it looks unchanged. Its ctime tells, which every such act sets.
- After a power cut the source may have lost what the replica acknowledged, because whoever wrote it did not make it
  durable: a file has its former content again, or none, or is gone. Its ctime is older than the agreement, or there is
  nothing to have one.

Where that may be so, nothing is taken for agreed. Then nothing is removed there, or replaced without a copy.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from dirsync.tree.diff import diff, equal
from dirsync.tree.entry import changed_at_of, fingerprint_of
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree


class UncleanEnd(NamedTuple):
    """How what kept the ancestor ended."""

    written_at_ns: int
    """When something was written last, in nanoseconds since the epoch."""
    power_cut: bool
    """The machine was started again since."""


def distrusted(
    ancestor: Tree, source: Tree, replica: Tree, end: UncleanEnd, protected: Collection[RelPath] = ()
) -> Iterator[RelPath]:
    """The paths that both sides have differently and where nothing is to be taken for agreed."""
    for path, old, new in diff(replica, source, protected):
        before, record = ancestor.get(path), source.record(path)
        if before is None:
            continue
        if new is None or record is None:
            lost = end.power_cut and equal(before, old, source.attributes)
        elif new.is_directory:
            lost = False
        else:
            changed_at = changed_at_of(record) if fingerprint_of(record) else None
            touched = changed_at is None or changed_at >= end.written_at_ns
            lost = touched if equal(before, new, source.attributes) else end.power_cut and not touched
        if lost:
            yield path
