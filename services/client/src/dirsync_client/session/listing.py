"""The replica's tree as the client knows it: fetched where it differs from a tree at hand.

Levels are listed from the root down, and a directory whose digest agrees with the one at hand is taken over whole, so
the listing costs what the difference costs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from dirsync.errors import RemoteError
from dirsync.tree.entry import Entry, Record, covered, directory_as_listed, pack
from dirsync.tree.path import ROOT, RelPath, join, split
from dirsync.tree.tree import Tree
from dirsync.wire.session import Page
from dirsync_client.session.listing_limit import ListingLimit

DIRECTORIES_PER_CALL = 1000
"""Directories that one listing call asks for."""

_NOTHING: Mapping[RelPath, RelPath] = MappingProxyType({})

Lister = Callable[[Sequence[RelPath]], Iterable[Page]]


def fetch(
    tree: Tree,
    root_digest: bytes,
    lister: Lister,
    moved: Mapping[RelPath, RelPath] = _NOTHING,
    *,
    is_alone: bool = True,
) -> Tree:
    """List the replica.

    Args:
        tree: a tree that is likely to be similar. It is brought up to date, and is the result.
        root_digest: what the server says that the replica's root digest is.
        lister: lists directories of the replica.
        moved: directories of ``tree`` that the replica may have elsewhere: their path in ``tree`` to their path there.
        is_alone: nobody else writes to the replica. Otherwise ``root_digest`` may be that of a former moment, and what
            was listed may be of several.

    Raises:
        RemoteError: what was listed does not have that digest, or has no end.
    """
    listing_limit = ListingLimit()
    for path, there in moved.items():
        _expect(tree, path, there)
    due = [] if is_alone and tree.digest() == root_digest else [ROOT]
    while due:
        batch, due = due[:DIRECTORIES_PER_CALL], due[DIRECTORIES_PER_CALL:]
        due.extend(_take_listing(tree, batch, lister(batch), listing_limit))
    if is_alone and tree.digest() != root_digest:
        msg = "the server's listing does not have the root digest that the server named"
        raise RemoteError(msg, reason="LISTING_INCONSISTENT")
    return tree


def _expect(tree: Tree, path: RelPath, there: RelPath) -> None:
    """Take it that the replica has at ``there`` what ``tree`` has at ``path``: if so, nothing of it is listed."""
    known = tree.record(path)
    if known is None or tree.directory(path) is None or tree.directory(split(there)[0]) is None or there in tree:
        return
    below = list(tree.walk(path))
    tree.put(there, known)
    for at, record in below:
        tree.put(RelPath(there + at[len(path) :]), record)


def _take_listing(
    tree: Tree, paths: Sequence[RelPath], pages: Iterable[Page], listing_limit: ListingLimit
) -> Iterator[RelPath]:
    """Put what was listed into the tree; yields the subdirectories that have to be listed as well."""
    seen: set[bytes] = set()
    for page in pages:
        path = paths[page.directory]
        for name, entry in page.children:
            child = join(path, name)
            listing_limit.take(child)
            if entry.is_directory:
                if _take_directory(tree, child, entry):
                    yield child
            else:
                _take_leaf(tree, child, entry)
            seen.add(name)
        if page.last:
            directory = tree.directory(path)
            for name in set(directory.children if directory else ()) - seen:
                tree.remove(join(path, name))
            seen.clear()


def _take_directory(tree: Tree, path: RelPath, entry: Entry) -> bool:
    known = tree.directory(path)
    tree.put(path, _similar(known.record if known else None, directory_as_listed(entry)))
    return tree.digest(path) != entry.digest


def _take_leaf(tree: Tree, path: RelPath, entry: Entry) -> None:
    known = None if tree.directory(path) else tree.record(path)
    tree.put(path, _similar(known, entry))


def _similar(known: Record | None, entry: Entry) -> Record:
    """The record at hand if it says the same, so that both trees share it."""
    record = pack(entry)
    return known if known is not None and covered(known) == covered(record) else record
