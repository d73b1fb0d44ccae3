"""The replica as seen without a session: what `plan` and `verify` work with."""

from collections.abc import Iterator

from dirsync.errors import RemoteError, Unavailable
from dirsync.limits import LIMITS
from dirsync.rpc.service import Caller
from dirsync.tree.entry import Entry, directory_as_listed, pack
from dirsync.tree.ignore.rules import IgnoreRules
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import ROOT, RelPath, abbreviate, components, is_within, split
from dirsync.tree.tree import Tree
from dirsync.wire.descriptors import REPLICA_SERVICE
from dirsync.wire.replica import (
    ListRequest,
    ReplicaStatus,
    Summary,
    VerifyRequest,
    decode_entries,
    decode_status,
    decode_verified,
    encode_list_entries,
    encode_status_request,
    encode_verify,
)
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.listing_limit import ListingLimit


class RemoteReplica:
    """Reads one namespace's replica."""

    def __init__(self, connection: ServerConnection, namespace: str) -> None:
        self._caller = Caller(connection.channel(), REPLICA_SERVICE, connection.metadata)
        self._namespace = namespace

    def status(self) -> ReplicaStatus:
        """What the server says of it.

        Raises:
            Unavailable: it is not ready.
        """
        request = encode_status_request(self._namespace)
        status = decode_status(self._caller.unary("GetStatus", request, timeout=LIMITS.unary_deadline_seconds))
        if not status.ready:
            msg = "the replica is being read by the server; try again soon"
            raise Unavailable(msg)
        return status

    def tree(self, attributes: Attributes, ignore: IgnoreRules) -> Tree:
        """All of its entries but the ignored ones."""
        request = encode_list_entries(ListRequest(self._namespace, ROOT, recursive=True))
        pages = self._caller.stream("ListEntries", request)
        return build_tree((entry for page in pages for entry in decode_entries(page)), attributes, ignore)

    def verify(self, options: TreeOptions, root_digest: bytes, *, deep: bool) -> tuple[Tree, Summary]:
        """What is really there: its tree (empty if it has this digest), and the summary."""
        request = encode_verify(VerifyRequest(self._namespace, deep, options, root_digest))
        summaries: list[Summary] = []

        def entries() -> Iterator[tuple[RelPath, Entry]]:
            for raw in self._caller.stream("VerifyContent", request):
                page, summary = decode_verified(raw)
                yield from page
                summaries.extend([summary] if summary else [])

        tree = build_tree(entries(), options.attributes, IgnoreRules())
        if not summaries:
            msg = "the server's verification ended without a summary"
            raise Unavailable(msg)
        return tree, summaries[0]


def build_tree(entries: Iterator[tuple[RelPath, Entry]], attributes: Attributes, ignore: IgnoreRules) -> Tree:
    """A tree of entries that come parents before children; ignored ones and what is below them are left out.

    So are directories that live only through ignored content: a session with these rules would not see them.

    Raises:
        RemoteError: they come in another order, twice, without the directories that they are in, or without end.
    """
    tree = Tree(attributes)
    left_out: RelPath | None = None
    holders: list[RelPath] = []
    last: list[bytes] = []
    listing_limit = ListingLimit()
    for path, entry in entries:
        listing_limit.take(path)
        names = components(path)
        if names <= last:
            msg = f"the server listed {abbreviate(path)} out of order or twice"
            raise RemoteError(msg, reason="LISTING_OUT_OF_ORDER")
        last = names
        if left_out is not None and is_within(path, left_out):
            continue
        if ignore.matches(path, entry.is_directory):
            left_out = path
            holders.append(split(path)[0])
            continue
        if tree.directory(split(path)[0]) is None:
            msg = f"the server listed {abbreviate(path)}, but no directory that it is in"
            raise RemoteError(msg, reason="LISTING_INCONSISTENT")
        tree.put(path, pack(directory_as_listed(entry) if entry.is_directory else entry))
    for holder in holders:
        while holder and (directory := tree.directory(holder)) is not None and not directory.children:
            tree.remove(holder)
            holder = split(holder)[0]  # noqa: PLW2901  # upwards, as far as nothing else is there
    return tree
