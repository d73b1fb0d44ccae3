"""What belongs to one session with the server, joined and taken apart as one."""

from dataclasses import dataclass

from dirsync_client.reconcile.cycle import Cycle
from dirsync_client.reconcile.removals import Removals
from dirsync_client.session.link import Link
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hasher
from dirsync_client.transfer.stream import PushStream


@dataclass(frozen=True, slots=True)
class Session:
    """The link, what goes out on it, and what decides about that."""

    link: Link
    stream: PushStream
    hasher: Hasher
    preparer: Preparer
    cycle: Cycle
    removals: Removals

    @property
    def busy(self) -> bool:
        """Whether something goes on, here or at the server, that has not been answered."""
        settling = self.removals.stale and bool(self.removals)
        return self.cycle.working or settling or self.stream.outbox.rescanning

    def close(self) -> None:
        """End it; what was not settled is unknown."""
        self.stream.close()
        self.hasher.close()
        self.preparer.close()
        self.link.close()
