"""What a client takes of its server's listings: a server that goes on for ever must not fill it."""

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, abbreviate


class ListingLimit:
    """Counts what one look at the replica brings."""

    def __init__(self) -> None:
        self._entries = 0

    def take(self, path: RelPath) -> None:
        """Count an entry.

        Raises:
            RemoteError: it is one too many, or its path is longer than any that we could send.
        """
        self._entries += 1
        if self._entries > LIMITS.max_listed_entries:
            msg = f"the server lists more than {LIMITS.max_listed_entries} entries; use several namespaces"
            raise RemoteError(msg, reason="MAX_LISTED_ENTRIES")
        if len(path) > LIMITS.max_path_bytes:
            msg = f"the server lists {abbreviate(path)}, which is longer than a path may be"
            raise RemoteError(msg, reason="MAX_PATH_BYTES")
