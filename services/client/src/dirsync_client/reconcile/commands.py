"""What the reconciler wants done. An executor does it, and what came of it returns as events."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dirsync.tree.entry import Entry, Record, digest_of, size_of
from dirsync.tree.guards.hold import Hold
from dirsync.tree.outcome import Failure
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Below, CopyContent, Move, Operation, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.two_way.commands import Agree, AgreeMove, Receive, ReportConflict, ReportReceived

if TYPE_CHECKING:
    from dirsync.delta.signature.built import BuiltSignature

PLAIN = Choice(Strategy.WHOLE, Reason.NEW)


class Basis(NamedTuple):
    """Content of the replica that a delta may copy from."""

    digest: bytes
    size: int
    """In bytes."""


class Transmit(NamedTuple):
    """Command: send an operation. The events ``Settled`` and ``Unsent`` answer."""

    operation: Operation
    planned: Record | None
    """The source's record that the plan was made from; ``None`` for a delete."""
    changed_at: float
    """When the change was first noticed, by the monotonic clock."""
    choice: Choice = PLAIN
    """How the content travels. A delta is the one that the estimate for this path has prepared."""

    @property
    def path(self) -> RelPath:
        """Where the operation applies."""
        return self.operation.path

    @property
    def size(self) -> int:
        """Bytes of the file that the plan saw; 0 for an operation without content."""
        return self.operation.entry.size if isinstance(self.operation, PutFile | CopyContent) else 0

    @property
    def moves_directory(self) -> bool:
        """Whether this moves a directory, or exchanges one."""
        step = self.operation
        if not isinstance(step, Move):
            return False
        there = step.expected is not None and step.expected.is_directory
        return step.source_expected.is_directory or (step.exchange and there)


class Sent(NamedTuple):
    """What was really sent for a :class:`Transmit`."""

    transmit: Transmit
    operation: Operation
    """The operation as it was sent: a small file that the replica has already is copied there."""
    choice: Choice
    record: Record | None
    """The record of the file as it was read, with its digest; what was planned, for an operation without content."""
    started: float = 0.0
    """When the content was read, by the monotonic clock."""
    literal_bytes: int = 0
    """Bytes of content that were sent, before compression."""
    compressed_bytes: int = 0
    """Bytes of those that compression saved."""
    continued_bytes: int = 0
    """Bytes that the server had kept of an interrupted upload, and that were not sent again."""
    content_assumed: bool = False
    """The sender counts its content as known until it is settled."""
    is_older: bool = False
    """The file grew while it was read: what was sent is its first part, and it has moved on since."""
    signature: "BuiltSignature | None" = None
    """Of the content, if it is worth remembering."""
    ended: float = 0.0
    """When the last of a large file was sent, by the monotonic clock; 0 if that was not noted."""
    shares: Sequence[int] = ()
    """Of a directory that was sent as a whole: what of ``compressed_bytes`` belongs to each entry; empty: nothing."""

    @property
    def path(self) -> RelPath:
        """Where the operation applies."""
        return self.operation.path

    @property
    def content_digest(self) -> bytes:
        """The digest of the file as it was read."""
        assert self.record is not None
        return digest_of(self.record)

    @property
    def size(self) -> int:
        """Bytes of the file as it was read; without a record, those that were sent."""
        return self.literal_bytes if self.record is None else size_of(self.record)


class ProbeFile(NamedTuple):
    """Read a few bytes of a large file. ``FileProbed`` answers."""

    path: RelPath


class HashFile(NamedTuple):
    """Find the digest of a file whose record is ``planned``. ``FileHashed`` answers."""

    path: RelPath
    planned: Record | None
    size: int
    """In bytes."""


class CompareFile(NamedTuple):
    """Find out whether a large file has the content of ``basis``. ``FileHashed`` answers."""

    path: RelPath
    planned: Record | None
    basis: Basis


class EstimateSimilarity(NamedTuple):
    """Estimate which part of a file is in ``basis``, and prepare its delta. ``SimilarityEstimated`` answers."""

    path: RelPath
    size: int
    """Of the file, in bytes."""
    basis: Basis


class DropEstimate(NamedTuple):
    """The delta that was prepared for this path is not used."""

    path: RelPath


class RequestCommit(NamedTuple):
    """Ask for a commit before which the server scans its replica. ``Settled`` with ``rescanned`` answers."""


class ListReplica(NamedTuple):
    """Fetch the replica's tree. ``ReplicaListed`` answers."""

    known: Tree
    """What it was taken for, and mostly is. It stays in use, so the executor works on a copy."""
    root_digest: bytes
    """What the server named last."""


class LookAt(NamedTuple):
    """Look at these paths of the source. ``SourceChanged`` answers."""

    paths: tuple[RelPath, ...]
    retry: bool
    """Try to sync them again, whatever is found there."""


class ProbeSource(NamedTuple):
    """Open these paths of the source. ``SourceChanged`` answers, with those to be tried again that could be opened."""

    paths: tuple[RelPath, ...]


class CheckSource(NamedTuple):
    """Find out whether the source's root is where it was. ``SourceChecked`` answers."""


class RememberRecord(NamedTuple):
    """A file of the source was read: keep its record in the index."""

    path: RelPath
    record: Record

    @property
    def records(self) -> Sequence[tuple[RelPath, Record]]:
        """As of many."""
        return ((self.path, self.record),)


class RememberRecords(NamedTuple):
    """Files of the source were read: keep their records in the index."""

    records: Sequence[tuple[RelPath, Record]]


class ReportMovedOn(NamedTuple):
    """Reading files found other versions than the source was known to have: for the other targets."""

    paths: Sequence[RelPath]


class Adopt(NamedTuple):
    """Remember that this source belongs to this replica."""


class SpendApproval(NamedTuple):
    """An approval was used."""

    hold_id: str


class AcceptMounts(NamedTuple):
    """Directories that are no mount points any more are what they are now: that was approved."""


class ReportApplied(NamedTuple):
    """Count and log what the server applied; moves apart, in ``ReportMoved``."""

    sent: list[Sent]


class ReportBuilt(NamedTuple):
    """Count and log a directory that the server made as a whole."""

    sent: Sent
    below: Sequence[Below]
    """What is in it."""


class ReportMoved(NamedTuple):
    """Count and log a move."""

    sent: Sent
    files: int
    size: int
    """Of all files that were moved, in bytes."""


class ReportFailed(NamedTuple):
    """Count and log an operation that the server did not apply."""

    sent: Sent
    failure: Failure


class ReportUnchanged(NamedTuple):
    """A file was read, and the replica has its content."""

    entry: Entry
    moved: bool
    """It was moved there, which was counted as saved then."""


class ReportHold(NamedTuple):
    """A guard holds removals that it did not hold before, or holds others."""

    hold: Hold


class ReportRelease(NamedTuple):
    """A hold is over."""

    hold: Hold


class WakeAt(NamedTuple):
    """Call the reconciler again at this time, by the monotonic clock, if nothing happens before."""

    time: float


FileCommand = ProbeFile | HashFile | CompareFile | EstimateSimilarity | DropEstimate
ReplicaCommand = RequestCommit | ListReplica
SourceCommand = LookAt | ProbeSource | CheckSource | AcceptMounts
Remember = RememberRecord | RememberRecords | ReportMovedOn
StateCommand = Adopt | SpendApproval | Agree | AgreeMove
Report = (
    ReportApplied
    | ReportBuilt
    | ReportMoved
    | ReportFailed
    | ReportUnchanged
    | ReportReceived
    | ReportConflict
    | ReportHold
    | ReportRelease
)
Command = Transmit | Receive | FileCommand | ReplicaCommand | SourceCommand | Remember | StateCommand | Report | WakeAt


def merge_looks(commands: Sequence[Command]) -> list[Command]:
    """Make one of all looks that are alike.

    When a directory of N files was renamed while they were sent, each file that vanished has the directory looked at,
    and compared with all that is in it: N looks one by one would cost N times N comparisons.
    """
    looks: dict[bool, dict[RelPath, None]] = {}
    for command in commands:
        if isinstance(command, LookAt):
            looks.setdefault(command.retry, {}).update(dict.fromkeys(command.paths))
    merged: list[Command] = []
    for command in commands:
        if not isinstance(command, LookAt):
            merged.append(command)
        elif command.retry in looks:
            merged.append(command._replace(paths=tuple(looks.pop(command.retry))))
    return merged
