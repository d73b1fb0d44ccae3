"""What the reconciler is told: facts about the source, the replica, and what its commands led to."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dirsync.tree.entry import Entry, FileIdentity, Record
from dirsync.tree.merge.distrust import UncleanEnd
from dirsync.tree.outcome import Failure
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.reconcile.pacing.pace import NOTHING, Cost
from dirsync_client.reconcile.two_way.commands import Receive


class Connected(NamedTuple):
    """A session is open, and the replica was listed."""

    replica: Tree
    offered: frozenset[Strategy]
    """The strategies that the server understands."""
    adopted: bool
    """This source was synced into this replica before, or that was approved."""
    agreed_root: FileIdentity | None
    """The source's root then, if it is known."""
    approvals: frozenset[str]
    """Ids of holds that were approved while no session was open."""
    agreed_entries: int = 0
    """How many entries the source had when its root was agreed on, but for a factor of two."""
    builds: bool = False
    """The server takes new directories as a whole."""
    ancestor: Tree | None = None
    """What both sides last agreed on; ``None``: what is known already, or this is no two-way session."""
    unclean_end: UncleanEnd | None = None
    """How the client that kept the ancestor ended; ``None``: well."""


class Disconnected(NamedTuple):
    """The session is over. What was not settled is unknown."""

    unsettled: Sequence[Sent] = ()
    """What was sent and not answered: the replica may have it."""


class SourceChanged(NamedTuple):
    """The source was looked at, and its tree is up to date with that."""

    paths: Collection[RelPath]
    """The paths that turned out to be different."""
    changed_at: float | None = None
    """When that was first noticed, by the monotonic clock; ``None``: now."""
    retried: Collection[RelPath] = ()
    """Paths that are to be tried again if they have a problem, different or not."""


class SourceScanned(NamedTuple):
    """A scan of the whole source has ended."""

    both_sides: bool
    """The server has to scan the replica too."""


class SourceChecked(NamedTuple):
    """What the source's root is now."""

    in_place: bool
    """Its path leads to the directory that is open."""


class ReplicaListed(NamedTuple):
    """The replica's tree was fetched again."""

    replica: Tree


class FileProbed(NamedTuple):
    """A few bytes of a large file were read."""

    path: RelPath
    probe: bytes
    """Those bytes and the size: files with different probes have different content."""


class FileHashed(NamedTuple):
    """A file was read."""

    path: RelPath
    planned: Record | None
    result: Record | Problem | None
    """Its record with its digest, or why it could not be read; ``None``: it was seen to differ from the replica's, or
    to grow, so that no file of its planned size can be equal."""


class SimilarityEstimated(NamedTuple):
    """The part of a file that its basis has was estimated."""

    path: RelPath
    similarity: float | None
    """0 to 1; ``None``: nothing is known, and no delta can be made."""


class Unsent(NamedTuple):
    """A file could not be read as planned. The server knows nothing of it, or was told to forget it."""

    transmit: Transmit
    problem: Problem
    cost: Cost = NOTHING
    """What was spent on it for nothing."""


class Settled(NamedTuple):
    """The server settled operations."""

    applied: list[Sent]
    failed: list[tuple[Sent, Failure]]
    root_digest: bytes
    """Of the replica now."""
    rescanned: bool = False
    """The server scanned its replica before."""
    version: int = 0
    """The moment that the digest is of, as in :class:`ReplicaChanged`."""


Changes = tuple[tuple[RelPath, Entry | None], ...]
"""What is at some paths now; a directory comes before what is in it. ``None``: nothing."""


class ReplicaChanged(NamedTuple):
    """Others changed the replica, or it is not known what was changed."""

    root_digest: bytes
    """Of the replica at that moment."""
    version: int = 0
    """Which moment that is, of one session: a later one has a greater number. 0: it is not known."""
    changes: Changes | None = None
    """All that others changed since the moment before; ``None``: it is not known what."""


class Received(NamedTuple):
    """An operation at the source is done, or was not applied."""

    receive: Receive
    failure: Failure | None = None
    vanished: bool = False
    """The replica has not got the content any more."""
    received_bytes: int = 0
    """Content that the server sent, before compression."""
    reused_bytes: int = 0
    compressed_bytes: int = 0
    """What compression saved."""
    resumed_bytes: int = 0
    """What had come before a download was cut."""
    """Content that the source had."""


class RetryRequested(NamedTuple):
    """What failed is tried again at once, because its cause may be gone; so is what was to be sent later."""


class HoldApproved(NamedTuple):
    """Someone approved a hold."""

    hold_id: str


class Tick(NamedTuple):
    """Time has passed."""


Event = (
    Connected
    | Disconnected
    | SourceChanged
    | SourceScanned
    | SourceChecked
    | ReplicaListed
    | FileProbed
    | FileHashed
    | SimilarityEstimated
    | Unsent
    | Settled
    | HoldApproved
    | RetryRequested
    | ReplicaChanged
    | Received
    | Tick
)
