"""Several names of one file: what is changed through one of them is changed at all of them.

The kernel's event names one path only, the one that was used. So where a file turns out to be different that has
several names, the others are looked at as well. They are found in the tree by the file's identity, because the number
of an inode is in every record: nothing has to be remembered about files with one name, and a search costs some 0.2 s
for a million files. What was found is kept until a further name appears, so a file that is written all the time is
searched for once.

A name that is new to the tree is seldom a change of the others: it was linked. Only if the file was written about the
time of the linking, its other names are compared, by what the new name shows of them.

RACE: what was written through a name outside the source makes no event. The next scan of everything finds it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from dirsync.fs.fingerprint import FINGERPRINT_SIZE, parse
from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Kind, Record, fingerprint_of, unpack
from dirsync.tree.path import ROOT, RelPath, join
from dirsync.tree.tree import Tree

_IDENTITY_SIZE: Final = 16
"""Bytes at the end of a record that two names of one file have in common."""
_STATUS_SIZE: Final = FINGERPRINT_SIZE - 1
_FILE: Final = int(Kind.FILE)

Linked = Mapping[RelPath, bool]
"""Paths where a file with several names is different now, and whether the path had this file before."""


class HardLinks:
    """Finds the other names of files in one tree. Not thread-safe."""

    def __init__(self, limit: int = LIMITS.max_hard_links) -> None:
        """``limit``: of so many files it is kept which names they have."""
        self._limit = limit
        self._names: OrderedDict[bytes, tuple[RelPath, ...]] = OrderedDict()

    def outdated(self, tree: Tree, linked: Linked) -> list[RelPath]:
        """The other names of these files that have to be looked at, because the tree has something else there."""
        wanted: dict[bytes, tuple[Record, bool]] = {}
        for path, had_it in linked.items():
            record = tree.record(path)
            if record is None or record[0] != _FILE:
                continue
            if not had_it:
                self._names.clear()
            if had_it or _is_written_when_linked(record):
                wanted[record[-_IDENTITY_SIZE:]] = record, had_it
        names = self._find(tree, wanted)
        return [
            path
            for identity, (record, had_it) in wanted.items()
            for path in names[identity]
            if path not in linked and not _is_shown(record, tree.record(path), exactly=had_it)
        ]

    def _find(self, tree: Tree, wanted: Iterable[bytes]) -> dict[bytes, tuple[RelPath, ...]]:
        found = {identity: names for identity in wanted if (names := self._known(tree, identity)) is not None}
        missing = frozenset(wanted) - found.keys()
        if missing:
            for identity, paths in find_files(tree.root, missing).items():
                found[identity] = self._names[identity] = tuple(paths)
            while len(self._names) > self._limit:
                self._names.popitem(last=False)
        return found

    def _known(self, tree: Tree, identity: bytes) -> tuple[RelPath, ...] | None:
        """The names that were found before, if the file still has them all."""
        names = self._names.get(identity)
        if names is None:
            return None
        for path in names:
            record = tree.record(path)
            if record is None or not record.endswith(identity):
                del self._names[identity]
                return None
        self._names.move_to_end(identity)
        return names


def find_files(directory: Directory, identities: frozenset[bytes]) -> dict[bytes, list[RelPath]]:
    """The paths of the files in a directory, at any depth, whose records end with these 16 bytes."""
    found: dict[bytes, list[RelPath]] = {identity: [] for identity in identities}
    stack = [(ROOT, directory)]
    while stack:
        at, current = stack.pop()
        for name, child in current.children.items():
            if isinstance(child, Directory):
                stack.append((join(at, name), child))
            elif child[-_IDENTITY_SIZE:] in identities and child[0] == _FILE:
                found[child[-_IDENTITY_SIZE:]].append(join(at, name))
    return found


def _is_written_when_linked(record: Record) -> bool:
    """Whether the content changed about when the file got this name: ctime is not much later than mtime."""
    status = parse(fingerprint_of(record))
    return status is None or abs(status.ctime_ns - status.mtime_ns) < LIMITS.link_window_ns


def _is_shown(record: Record, other: Record | None, *, exactly: bool) -> bool:
    """Whether the tree has at another name what ``record`` shows of the file.

    ``exactly``: by its whole status. Otherwise a ctime that the linking changed does not count.
    """
    if other is None:
        return True
    if exactly:
        return record[-_STATUS_SIZE:] == other[-_STATUS_SIZE:]
    one, two = unpack(record), unpack(other)
    return (one.size, one.mtime_ns, one.mode) == (two.size, two.mtime_ns, two.mode)
