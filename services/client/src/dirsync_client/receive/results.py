"""What the threads that receive post. A mirror's mailbox knows of it, and loads nothing else of this package."""

from typing import TYPE_CHECKING, NamedTuple

from dirsync_client.reconcile.two_way.commands import Receive

if TYPE_CHECKING:
    from dirsync.fs.write.staged import StagedFile
    from dirsync.tree.outcome import Failure


class Counted(NamedTuple):
    """What a file took, in bytes."""

    received: int
    """Content that the server sent, before compression."""
    reused: int
    """Content that the source had."""
    compressed: int = 0
    """What compression saved of the content that was sent."""
    resumed: int = 0
    """What had come before the download was cut."""

    def with_piece(self, length: int, compressed: int) -> "Counted":
        """The server sent so much more, of which compression saved some."""
        return self._replace(received=self.received + length, compressed=self.compressed + compressed)


class Staged(NamedTuple):
    """A file was staged, or could not be."""

    receive: Receive
    staged: "StagedFile | None"
    counted: Counted = Counted(0, 0)
    failure: "Failure | None" = None
    vanished: bool = False
    """The replica has not got the content any more."""


class ReplicaReported(NamedTuple):
    """The server reported what the replica is now."""

    root_digest: bytes
    changed: bool
    """Others have changed something since the last report."""
