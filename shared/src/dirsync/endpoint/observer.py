"""What an endpoint reports to the service that counts. An endpoint knows no metrics; it is told of an observer."""

import enum
from collections.abc import Callable, Sequence

from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.tree.plan import Operation


class Lookup(enum.Enum):
    """How a search for content by its digest ended; the values are those of the metric."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"


class Observer:
    """Counts nothing. Subclasses override what they count.

    Methods are called from any thread, never under the data lock, and must not raise.
    """

    def directory_scanned(self, scan: DirectoryScan) -> None:
        """A directory was listed and compared; what it showed is in the tree."""

    def bytes_hashed(self, count: int) -> None:
        """So many bytes of files were read for their digests."""

    def differences_found(self, count: int) -> None:
        """A scan found so many entries that were not as the tree said."""

    def content_looked_up(self, result: Lookup) -> None:
        """Content was searched by its digest."""

    def committed(self, namespace: str, operations: Sequence[Operation], root_digest: Callable[[], bytes]) -> None:
        """These operations were applied by one commit; ``root_digest`` returns the replica's present one."""


SILENT = Observer()
"""Counts nothing."""
