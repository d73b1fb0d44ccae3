"""Taking over the digests of files that were read to be sent with their directory."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from dirsync.tree.entry import UNKNOWN, Kind, Record, digest_of
from dirsync.tree.path import RelPath, split
from dirsync.tree.plan import Below, BuildDirectory
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Sent
from dirsync_client.reconcile.context import has_moved_on


class Learned(NamedTuple):
    """What a source learned of a directory that was sent."""

    records: list[tuple[RelPath, Record]]
    moved_on: list[RelPath]


def learn(source: Tree, sent: Sent, below: Sequence[Below], hashes: Sequence[int]) -> Learned:
    """Give the source the records of files as they were read, unless they are known to have changed since.

    Args:
        source: the tree of the source.
        sent: the directory that was sent.
        below: what was sent in it, as it was read.
        hashes: the record hashes of that.

    Returns:
        What the source did not know, and the paths of those files that it knew in another version.
    """
    planned = sent.transmit.operation
    assert isinstance(planned, BuildDirectory)
    before = iter(planned.below)
    found: list[tuple[RelPath, Record]] = []
    moved_on: list[RelPath] = []
    for parent, group in groupby(zip(below, hashes, strict=True), key=lambda one: split(one[0].path)[0]):
        directory = source.directory(parent)
        learned: list[tuple[bytes, Record, int]] = []
        for (path, record), hashed in group:
            # What was sent comes in the order of what was planned.
            was = next(known.record for known in before if known.path == path)
            name = split(path)[1]
            is_same = directory is not None and directory.children.get(name) == was
            if not is_same or record == was:
                continue
            found.append((path, record))
            if has_moved_on(was, record):
                moved_on.append(path)
            if record[0] == Kind.FILE and digest_of(was) == UNKNOWN:
                learned.append((name, record, hashed))
            else:
                source.put(path, record)
        if learned:
            source.learn(parent, learned)
    return Learned(found, moved_on)
