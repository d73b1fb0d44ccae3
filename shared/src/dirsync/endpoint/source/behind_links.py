"""Looking at what symbolic links lead to, when they turned out to be different.

A link is looked at again after that: a program that removes what a link leads to has let it lead elsewhere before. So
what was found behind a link that is still the same was there while it led there.

A link is what it is when it is looked at. That may be newer than the hint, and what it leads to may be known only by
hints that are still to come. Who follows the link at the replica must find it complete.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, Record, unpack
from dirsync.tree.lookup.links import follow
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.tree import Tree


class Looks(Protocol):
    """A tree, and looking at what it describes; both ways give the paths that turned out to be different."""

    tree: Tree

    def scan(self, starts: Iterable[RelPath]) -> Iterator[list[RelPath]]:
        """Look at directories and everything below them."""

    def look_once(self, paths: Collection[RelPath]) -> list[RelPath]:
        """Look at these paths and at nothing else."""


def look_behind_links(source: Looks, changed: Iterable[RelPath]) -> list[RelPath]:
    """Look at what the links among these paths lead to, within a bound; gives what is different there."""
    found: list[RelPath] = []
    seen: set[RelPath] = set()
    entries = 0
    links = deque(changed)
    while links:
        link = links.popleft()
        record = source.tree.record(link)
        target = _find_target(source, link, record, found) if record and record[0] == Kind.SYMLINK else None
        if target is None or is_within(link, target):
            continue
        if target not in seen:
            seen.add(target)
            directory = source.tree.directory(target)
            entries += 1 if directory is None else directory.entries
            if entries > LIMITS.max_followed_entries:
                break
            steps = source.scan((target,)) if directory is not None else [source.look_once([target])]
            found += [path for step in steps for path in step]
        again = source.look_once([link])
        found += again
        links += again
    return found


def _find_target(source: Looks, link: RelPath, record: Record, found: list[RelPath]) -> RelPath | None:
    """The path that a link leads to, once it was looked at if the tree does not have it; that goes to ``found``."""
    while (at := follow(source.tree, link, unpack(record).target)) is not None and at not in source.tree:
        found += source.look_once([at])
        if at not in source.tree:
            return None
    return at
