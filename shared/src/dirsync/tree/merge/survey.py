"""What is left of a directory that one side changed and the other side removed.

Its entries are judged one by one: what was not changed is removed with the directory, what was changed or is new stays,
and the directories above it with it.
"""

import enum
from collections.abc import Callable, Collection
from typing import NamedTuple

from dirsync.tree.diff import equal
from dirsync.tree.directory import Directory, Node
from dirsync.tree.entry import UNKNOWN, UNLISTED, Entry, digest_of, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath, join


class Fate(enum.IntEnum):
    """What becomes of an entry whose directory the other side removed; that of a directory is the greatest in it."""

    REMOVED = 0
    PENDING = 1
    """It cannot be told yet, so it stays."""
    KEPT = 2


class _Visit(NamedTuple):
    path: RelPath
    directory: Directory
    ancestor: Directory


def survey(
    start: RelPath,
    directory: Directory,
    ancestor: Directory,
    fate_of: Callable[[Entry | None, Entry | None], Fate],
    unclear: Collection[RelPath],
    attributes: Attributes,
) -> dict[RelPath, Fate]:
    """The fate of a directory and of each one below it that both last agreed on.

    ``fate_of`` judges a file or link by what was agreed on and what is there. In directories of ``unclear`` there is
    something of which nothing is known. Directories that are not in the result are new, and kept.
    """
    fates: dict[RelPath, Fate] = {}
    order = [_Visit(start, directory, ancestor)]
    for visit in order:  # grows meanwhile: parents before children
        fates[visit.path] = _own_fate(visit, unclear, attributes)
        for name, child in visit.directory.children.items():
            before = visit.ancestor.children.get(name)
            if isinstance(child, Directory) and isinstance(before, Directory):
                order.append(_Visit(join(visit.path, name), child, before))
            elif isinstance(child, Directory):
                fates[visit.path] = Fate.KEPT
            else:
                fates[visit.path] = max(fates[visit.path], fate_of(entry_at(before), unpack(child)))
    for visit in reversed(order[1:]):
        parent = RelPath(visit.path.rpartition(b"/")[0])
        fates[parent] = max(fates[parent], fates[visit.path])
    return fates


def _own_fate(visit: _Visit, unclear: Collection[RelPath], attributes: Attributes) -> Fate:
    if is_unlisted(visit.directory) or visit.path in unclear:
        return Fate.PENDING
    same = equal(entry_at(visit.directory), entry_at(visit.ancestor), attributes)
    return Fate.REMOVED if same else Fate.KEPT


def is_unlisted(node: Node | None) -> bool:
    """Whether this is a directory that the server could not list."""
    return isinstance(node, Directory) and digest_of(node.record) == UNLISTED


def entry_at(node: Node | None) -> Entry | None:
    """The entry of a node, a directory's without digest."""
    if node is None:
        return None
    if isinstance(node, Directory):
        return unpack(node.record)._replace(digest=UNKNOWN)
    return unpack(node)
