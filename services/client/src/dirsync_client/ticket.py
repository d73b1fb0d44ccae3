"""An operation on its way to the server, and what became of it."""

from dataclasses import dataclass

from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Operation
from dirsync.tree.problem import Problem
from dirsync.wire.results import Failure


@dataclass(slots=True, eq=False)
class Ticket:
    """One planned operation. The engine makes it, the push stream fills it in, the engine reads it again."""

    operation: Operation
    planned: Record | None
    """The source's record that the plan was made from; ``None`` for a delete."""
    since: float
    """When the change was first hinted at, by the monotonic clock."""
    sent: Record | None = None
    """What was really sent: the record of the file as it was read, with its digest."""
    literal_bytes: int = 0
    """Content bytes that travelled, before compression."""
    compressed_bytes: int = 0
    """Bytes that compression saved of them."""
    started: float = 0.0
    """When the content was read, by the monotonic clock."""

    @property
    def path(self) -> RelPath:
        """Where the operation applies."""
        return self.operation.path


@dataclass(frozen=True, slots=True)
class Settled:
    """The server settled tickets: those that failed and those that it applied, and what it holds since."""

    applied: list[Ticket]
    failed: list[tuple[Ticket, Failure]]
    root_digest: bytes
    entries: int
    rescanned: bool
    """The server looked at all of its files before."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A file could not be read as planned; the server knows nothing of it, or was told to forget it."""

    ticket: Ticket
    problem: Problem


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The push stream is over; whatever was not settled is unknown."""

    error: Exception | None
