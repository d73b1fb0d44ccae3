"""How a file is made from a basis, as the sender needs it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dirsync.delta.pieces import Piece
from dirsync_client.reconcile.commands import Basis

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder


class DeltaEncoder(Protocol):
    """Turns a file, frame by frame, into pieces that copy from the basis what can be copied."""

    def feed(self, frame: bytes) -> Iterable[Piece]:
        """The pieces that are decided with the next bytes of the file."""
        ...

    def finish(self) -> Iterable[Piece]:
        """The remaining ones."""
        ...


class Delta(NamedTuple):
    """A delta that was prepared for one reading of a file."""

    basis: Basis
    block_size: int
    """In bytes."""
    encoder: DeltaEncoder
    """It feeds the builder."""
    builder: "SignatureBuilder | None"
    """Makes the signature of what is sent."""
