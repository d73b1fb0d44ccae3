"""An operation on its way to the server, and what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dirsync.delta.pieces import Piece
from dirsync.tree.entry import Record
from dirsync.tree.outcome import Failure
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Operation, PutFile
from dirsync.tree.problem import Problem
from dirsync.tree.strategy import Choice, Reason, Strategy

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder
    from dirsync.delta.signature.signature import Signature

PLAIN = Choice(Strategy.WHOLE, Reason.NEW)


class Basis(NamedTuple):
    """Content of the replica that a delta may copy from."""

    digest: bytes
    size: int
    """In bytes."""


class Differ(Protocol):
    """Turns a file, frame by frame, into pieces that copy from the basis what can be copied."""

    def feed(self, frame: bytes) -> Iterable[Piece]:
        """The pieces that are decided with the next bytes of the file."""
        ...

    def finish(self) -> Iterable[Piece]:
        """The remaining ones."""
        ...


class Delta(NamedTuple):
    """How a file is made from a basis."""

    basis: Basis
    block_size: int
    """In bytes."""
    differ: Differ
    """For one reading of the file; it feeds the builder."""
    builder: "SignatureBuilder | None"
    """Makes the signature of what is sent."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One planned operation. The engine makes it, the push stream fills it in, the engine reads it again."""

    operation: Operation
    planned: Record | None
    """The source's record that the plan was made from; ``None`` for a delete."""
    since: float
    """When the change was first hinted at, by the monotonic clock."""
    choice: Choice = PLAIN
    """How the content travels."""
    delta: Delta | None = None
    """What it is made from, if it travels as a delta."""
    signature: "Signature | None" = None
    """Of the content that was sent."""
    promised: bool = False
    """Its content counts as what the replica has from when it was sent on."""
    sent: Record | None = None
    """What was really sent: the record of the file as it was read, with its digest."""
    literal_bytes: int = 0
    """Content bytes that travelled, before compression."""
    compressed_bytes: int = 0
    """Bytes that compression saved of them."""
    started: float = 0.0
    """When the content was read, by the monotonic clock."""

    @property
    def size(self) -> int:
        """Bytes of the file that the plan saw; 0 for what is no file with content."""
        return self.operation.entry.size if isinstance(self.operation, PutFile | CopyContent) else 0

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
