"""Which moment of the replica the client knows, so that a report of what others changed can be taken over as it is.

The server numbers the moments of its tree: a later one has a greater number. Reports and answers name a number with the
digest that the tree has then. They come by different streams, so a report may be of a moment before an answer that is
here already. It is taken over only where the client knows the tree of an earlier moment exactly, nothing of its own is
on its way, and the tree has the digest of the report afterwards. Everything else is listed.

Taking over an old report would be worse than listing: the replica would seem to have gone back to what it had before
our last change, and that would be carried to the source.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from dirsync.tree.entry import directory_as_listed, pack
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from dirsync_client.reconcile.context import Context
    from dirsync_client.reconcile.events import Changes, ReplicaChanged


class Moments:
    """The moment that the client's tree of the replica is of."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._known = 0
        """The number of that moment; 0: the tree is of none, or the server does not number them."""
        self._reported = self._settled = (0, b"")
        """The moment and the digest that came with the last report and with the last answer."""

    def reset(self) -> None:
        """A new session begins; another server may number otherwise."""
        self._known = 0
        self._reported = self._settled = (0, b"")

    def settled(self, root_digest: bytes, version: int) -> None:
        """An answer of the server came, and was taken over."""
        self._settled = version, root_digest
        self._known = version if root_digest == self._context.replica.digest() else 0

    def listed(self) -> bool:
        """The replica was listed. Returns whether the server named the digest of what was listed."""
        digest = self._context.replica.digest()
        named = [version for version, at in (self._reported, self._settled) if at == digest]
        self._known = max(named, default=0)
        return bool(named)

    def reported(self, event: "ReplicaChanged", *, at_rest: bool) -> Collection[RelPath] | None:
        """Others changed the replica.

        Args:
            event: what is known of it.
            at_rest: nothing of ours is on its way, and the replica need not be listed.

        Returns:
            The paths where the replica is different now; ``None``: it has to be listed.
        """
        self._reported = event.version, event.root_digest
        if event.version and event.version <= self._known:
            return ()  # what is known is as new
        changes, replica = event.changes, self._context.replica
        if changes is None or (changes and not (event.version and at_rest)):
            return None
        if not at_rest:
            return ()
        if replica.digest() != event.root_digest:
            known, self._known = self._known, 0
            if not known or not self._takes(changes) or replica.digest() != event.root_digest:
                return None
        self._known = event.version
        return [path for path, _ in changes]

    def _takes(self, changes: "Changes") -> bool:
        """Put the changes into the tree; false if they cannot be of the moment after it."""
        context = self._context
        for path, entry in changes:
            before = context.replica.get(path)
            if before is not None and before.is_directory and (entry is None or not entry.is_directory):
                context.content.clear()  # with all that was in it
            elif before is not None:
                context.content.remove(before)
            if entry is None:
                context.replica.remove(path)
                continue
            try:
                context.replica.put(path, pack(directory_as_listed(entry) if entry.is_directory else entry))
            except KeyError:
                return False
            context.content.put(entry)
        return True
