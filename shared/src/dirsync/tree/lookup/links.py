"""Where symbolic links lead, as the kernel follows them. Never out of the tree."""

from typing import Final

from dirsync.tree.entry import Kind
from dirsync.tree.path import ROOT, RelPath, join, split
from dirsync.tree.tree import Tree

_MAX_LINKS: Final = 40
"""Links that are followed one after the other, as in the kernel."""


def follow(tree: Tree, path: RelPath, target: bytes) -> RelPath | None:
    """Where a link at ``path`` leads, or the first path on the way there that the tree does not have.

    ``None``: out of the tree, or round in a circle.
    """
    at, _ = split(path)
    names = target.split(b"/")[::-1]
    followed = 0
    if target.startswith(b"/"):
        return None
    while names:
        name = names.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if at == ROOT:
                return None
            at, _ = split(at)
            continue
        here = join(at, name)
        entry = tree.get(here)
        if entry is None:
            return here
        if entry.kind is not Kind.SYMLINK:
            at = here
            continue
        followed += 1
        if followed > _MAX_LINKS or entry.target.startswith(b"/"):
            return None
        names += entry.target.split(b"/")[::-1]
    return at


def resolve(tree: Tree, path: RelPath, target: bytes) -> RelPath | None:
    """The path in ``tree`` that a link at ``path`` leads to; ``None``: to nothing, or out of the tree."""
    at = follow(tree, path, target)
    return at if at is not None and at in tree else None
