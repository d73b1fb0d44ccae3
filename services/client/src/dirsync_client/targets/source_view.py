"""What one of several targets sees of the source: what all share, and what each settles for itself.

The tree, the problems and the identity of the source are the same for all. A rename is settled when *this* replica has
made it, and what a mount hides or took along is accepted for *this* replica only. The engine's thread only.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dirsync.endpoint.source.source import Source
from dirsync.errors import AccessError, UsageError
from dirsync.fs.fingerprint import flags_of
from dirsync.tree.entry import FileIdentity, Record, identity_of
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.tree import Tree

if TYPE_CHECKING:
    from dirsync.tree.renames.tracker import RenameTracker

Mount = tuple[FileIdentity, int] | None
"""What a directory is where a mount came or went: its identity and flags; ``None``: it is gone."""


class SourceView:
    """The source as one target sees it; a :class:`~dirsync_client.reconcile.context.SourceModel`.

    It has the methods of :class:`~dirsync.endpoint.source.source.Source` by which a session changes the source.
    """

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self.renames: RenameTracker = source.renames.follow()
        """What left a path of the source, and where it is now, as long as this replica has not moved it."""
        self._source = source
        self.others: tuple[SourceView, ...] = ()
        """Those of the other targets."""
        self._accepted: dict[RelPath, Mount] = {}
        """What was accepted for this replica where a mount came or went."""
        self.attributes: Attributes | None = None
        """What the present session has agreed on."""
        self.replica_id = ""
        """Of the last session."""
        self.reserved: frozenset[bytes] = frozenset()
        """Names that the server of this target keeps for itself."""

    @property
    def tree(self) -> Tree:
        """Everything below the root."""
        return self._source.tree

    @property
    def problems(self) -> dict[RelPath, Problem]:
        """Paths that could not be looked at."""
        return self._source.problems

    @property
    def mounts_changed(self) -> set[RelPath]:
        """Directories where a mount came or went, and what they had is not accepted to be gone from this replica."""
        return self._source.mounts_changed - self._accepted.keys()

    @property
    def identity(self) -> FileIdentity:
        """The root directory's."""
        return self._source.identity

    def accept_mounts(self) -> None:
        """Take what is mounted now as what belongs there. The source forgets what was there when all targets do."""
        self._accepted |= {path: self._mount(path) for path in self._source.mounts_changed}
        if not any(other.mounts_changed for other in self.others):
            self._source.accept_mounts()

    def prune(self) -> None:
        """The source was looked at: what has changed again is to be accepted again."""
        changed = self._source.mounts_changed
        for path, mount in list(self._accepted.items()):
            if path not in changed or self._mount(path) != mount:
                del self._accepted[path]

    def count(self, attributes: Attributes) -> None:
        """Count the attributes that the session has agreed on.

        Raises:
            AccessError: the sessions of other targets count others, and there is one tree for all.
        """
        for other in self.others:
            if other.attributes not in (None, attributes):
                msg = (
                    f"target {self.name} does not keep the same attributes of files as target {other.name}: "
                    f"set PERMISSIONS of both servers to the same, or give {self.name} a client of its own"
                )
                raise AccessError(msg, reason="OPTIONS_DIFFER")
        self.attributes = attributes
        self._source.count(attributes)

    def claim(self, replica_id: str) -> None:
        """This target leads to this replica.

        Raises:
            UsageError: so does another one: each would end the session of the other, for ever.
        """
        for other in self.others:
            if replica_id and replica_id == other.replica_id:
                msg = (
                    f"targets {other.name} and {self.name} lead to the same replica {replica_id}: remove one of them "
                    "from SERVER, or give them different namespaces (NAMESPACE)"
                )
                raise UsageError(msg, reason="SAME_REPLICA")
        self.replica_id = replica_id

    def ended(self) -> None:
        """The session is over: what it had agreed on binds nobody."""
        self.attributes = None

    def reserve(self, names: frozenset[bytes]) -> list[RelPath]:
        """Leave out the names that any server keeps for itself; returns the paths that this changed."""
        self.reserved = names
        return self._source.reserve(names.union(*(other.reserved for other in self.others)))

    def _mount(self, path: RelPath) -> Mount:
        record: Record | None = self.tree.record(path)
        return None if record is None else (identity_of(record), flags_of(record))


class SourceSide(NamedTuple):
    """The source, and what one target sees of it: all of it where the target is the only one."""

    source: Source
    view: Source | SourceView


def views(source: Source, names: Sequence[str]) -> tuple[SourceView, ...]:
    """One for each target."""
    found = tuple(SourceView(source, name) for name in names)
    for view in found:
        view.others = tuple(other for other in found if other is not view)
    return found
