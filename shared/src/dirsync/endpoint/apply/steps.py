"""Steps of a commit: operations whose content, if they have any, is staged and proved whole."""

from typing import NamedTuple

from dirsync.fs.write.build.staged_tree import StagedTree
from dirsync.fs.write.staged import StagedFile
from dirsync.tree.entry import FileIdentity
from dirsync.tree.outcome import Failure
from dirsync.tree.plan import Operation
from dirsync.wire.push.messages import Unsupported


class BuiltTree(NamedTuple):
    """A directory that is staged with everything in it."""

    staged: StagedTree
    identity: FileIdentity
    """Its own."""


class Step(NamedTuple):
    """One operation of a commit."""

    number: int
    operation: Operation | Unsupported
    staged: StagedFile | None = None
    failure: Failure | None = None
    """Why it cannot be applied, if that is known before the commit."""
    literal: int = 0
    """Bytes of its content that came with it, runs of zeros included."""
    saved: int = 0
    """Bytes of those that compression saved on the way here."""
    continued: int = 0
    """Bytes of its content that had come on a stream before, and were kept."""
    tree: BuiltTree | None = None
    """Of a directory that was built: where it is staged."""
    is_delta: bool = False
    """Its content was rebuilt from a basis."""
