"""What a two-way client has besides what a mirror has: for the client as a whole, and for a session."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from dirsync.endpoint.source.source import Source
from dirsync.fs.write.durable import Fsync, sync_found
from dirsync.tree.merge.distrust import UncleanEnd
from dirsync.tree.tree import Tree
from dirsync_client.agreed_tree import AgreedTree
from dirsync_client.receive.executor import ReceiveExecutor
from dirsync_client.receive.results import ReplicaReported, Staged
from dirsync_client.receive.watch import ReplicaWatch
from dirsync_client.reconcile.two_way.commands import Agree, AgreeMove
from dirsync_client.session.link import Link
from dirsync_client.session.stream_ended import StreamEnded
from dirsync_client.state import StateDirectory
from dirsync_client.transfer.opening.parts import TransferParts

if TYPE_CHECKING:
    from dirsync.tree.diff import Change


class Ancestor(NamedTuple):
    """What is kept of what was agreed on; nothing, if the reconciler knows it already."""

    tree: Tree | None
    unclean_end: UncleanEnd | None


class AgreedTrees:
    """The agreed tree of the replica that the sessions are with. The engine's thread only."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._replica_id = ""
        self._agreed: AgreedTree | None = None

    def open(self, replica_id: str, source: Source) -> Ancestor:
        """What is kept for this replica.

        Raises:
            UsageError: it cannot be kept.
        """
        if self._agreed is not None and self._replica_id == replica_id:
            return Ancestor(None, None)
        self.close()

        def settle() -> None:
            sync_found(source.root.descriptor, Fsync.BATCH)

        self._agreed, self._replica_id = AgreedTree.open(self._state.path, replica_id, settle), replica_id
        return Ancestor(self._agreed.load(source.tree.attributes), self._agreed.unclean_end)

    def keep(self, commands: Iterable[Agree | AgreeMove]) -> None:
        """Keep what was agreed on, in this order."""
        if self._agreed is None:
            return
        changes: list[Change] = []
        for command in commands:
            if isinstance(command, Agree):
                changes += command.changes
            else:
                self._agreed.keep(changes)
                self._agreed.move(command.source, command.path, exchange=command.exchange)
                changes = []
        self._agreed.keep(changes)

    def close(self) -> None:
        """Write everything."""
        if self._agreed is not None:
            self._agreed.close()
            self._agreed = None


class Reception:
    """What brings the replica's changes to the source, for one session."""

    def __init__(
        self,
        source: Source,
        link: Link,
        parts: TransferParts,
        post: Callable[[Staged | ReplicaReported | StreamEnded], None],
    ) -> None:
        """Start.

        Raises:
            UsageError: the source cannot be written.
        """
        self.executor = ReceiveExecutor(source, link, parts.options.block_size, parts.activities, post)
        self._watch = ReplicaWatch(link, post)

    def close(self) -> None:
        """End the threads."""
        self._watch.close()
        self.executor.close()
