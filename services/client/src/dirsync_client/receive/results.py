"""What the threads that receive post. A mirror's mailbox knows of it, and loads nothing else of this package."""

from typing import TYPE_CHECKING, NamedTuple

from dirsync.limits import LIMITS
from dirsync_client.reconcile.two_way.commands import Receive

if TYPE_CHECKING:
    from dirsync.fs.write.staged import StagedFile
    from dirsync.tree.outcome import Failure
    from dirsync.wire.watch import Report
    from dirsync_client.reconcile.events import Changes


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
    version: int
    """Which moment that is; 0: the server does not say."""
    changes: "Changes | None"
    """What others have changed since the last report, in this order; ``None``: it is not known what."""

    @property
    def changed(self) -> bool:
        """Whether others have changed something since the last report."""
        return self.changes is None or bool(self.changes)

    @classmethod
    def of(cls, report: "Report") -> "ReplicaReported":
        """What a report from the server says."""
        is_known = not (report.everything or report.unknown)
        return cls(report.root_digest, report.version, report.changes if is_known else None)

    def after(self, before: "ReplicaReported") -> "ReplicaReported":
        """This report and the one before it as one; of more changes than a report may have it is not known what."""
        if self.changes is None or before.changes is None:
            return self._replace(changes=None)
        changes = before.changes + self.changes
        return self._replace(changes=changes if len(changes) <= LIMITS.max_reported_changes else None)
