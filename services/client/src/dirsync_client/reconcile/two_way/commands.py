"""What a two-way client's reconciler wants done besides what a mirror's does."""

from typing import NamedTuple

from dirsync.endpoint.source.operation import SourceOperation
from dirsync.tree.diff import Change
from dirsync.tree.merge.decision import Conflict
from dirsync.tree.path import RelPath


class Receive(NamedTuple):
    """Apply an operation at the source. ``Received`` answers."""

    operation: SourceOperation
    near: RelPath | None = None
    """A path of the source that has the content, if one is known."""
    remote: RelPath | None = None
    """A path of the replica that has the content."""

    @property
    def path(self) -> RelPath:
        """Where the operation applies."""
        return self.operation.path


class Agree(NamedTuple):
    """Keep what both sides have newly agreed on."""

    changes: list[Change]


class AgreeMove(NamedTuple):
    """Both sides have moved what they had agreed on."""

    source: RelPath
    path: RelPath
    exchange: bool


class ReportReceived(NamedTuple):
    """Count and log what was applied at the source."""

    receive: Receive
    received_bytes: int
    reused_bytes: int
    compressed_bytes: int = 0
    """What compression saved."""
    resumed_bytes: int = 0
    """What had come before a download was cut."""


class ReportConflict(NamedTuple):
    """Count and log a conflict, and how it was resolved."""

    conflict: Conflict
