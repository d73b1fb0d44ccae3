"""Listing a replica that others write to as well."""

from collections.abc import Iterable, Sequence

from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from dirsync.wire.session import Page
from dirsync_client.session.listing import fetch
from tests.unit.tree.builders import tree_of


class Server:
    """Answers from a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.asked: list[RelPath] = []

    def list(self, paths: Sequence[RelPath]) -> Iterable[Page]:
        """One page for each directory."""
        self.asked += paths
        for number, path in enumerate(paths):
            yield Page(number, list(self.tree.children(path)), last=True, unknown=[])


def test_a_digest_of_a_former_moment_proves_nothing() -> None:
    """The server named it before somebody changed the replica: the root is listed all the same."""
    known, server = tree_of("a=1 d/x=1"), Server(tree_of("a=2 d/x=1"))
    fetched = fetch(known.copy(), known.digest(), server.list, is_alone=False)

    assert server.tree.digest() == fetched.digest()
    assert [ROOT] == server.asked


def test_what_is_equal_is_not_entered() -> None:
    """Only directories that differ are listed."""
    known, server = tree_of("a=1 d/x=1 e/y=1"), Server(tree_of("a=1 d/x=1 e/y=2"))
    fetched = fetch(known.copy(), b"", server.list, is_alone=False)

    assert server.tree.digest() == fetched.digest()
    assert [ROOT, b"e"] == server.asked
