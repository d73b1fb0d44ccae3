"""What the reconciler asks about the way back, and the answers of a mirror: nothing comes from the replica.

:class:`~dirsync_client.reconcile.two_way.two_way.TwoWay` answers for a client that carries changes both ways.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from dirsync.tree.guards.approvals import Released

if TYPE_CHECKING:
    from dirsync.tree.diff import Change
    from dirsync.tree.guards.hold import Hold
    from dirsync.tree.path import RelPath
    from dirsync.tree.plan import Move
    from dirsync_client.reconcile.commands import Sent
    from dirsync_client.reconcile.events import Connected, Received, ReplicaChanged


class OneWay:
    """Everything that differs goes to the replica."""

    looks_first = False
    """Whether a single sync has to know what is at the replica now, and not what the server saw there last."""

    @property
    def pending(self) -> bool:
        """Whether something is to be listed, read or received, and nothing keeps it back."""
        return False

    @property
    def removals_pending(self) -> bool:
        """Whether removals at the source wait to be judged."""
        return False

    @property
    def wake_at(self) -> float | None:
        """When to go on at the latest."""
        return None

    @property
    def hold(self) -> "Hold | None":
        """What a guard holds of the removals at the source."""
        return None

    def reset(self, connected: "Connected") -> None:
        """A new session begins."""

    def decide(self, paths: Collection["RelPath"]) -> Collection["RelPath"]:
        """Decide which way the differences at these paths go, and those below them.

        Returns these paths, with those that were decided with them.
        """
        return paths

    def receive(self) -> None:
        """Begin to receive what was decided."""

    def outgoing(self, changes: Iterable["Change"]) -> Iterable["Change"]:
        """Those of these changes that are to be carried to the replica."""
        return changes

    def may_move(self, _path: "RelPath") -> bool:
        """Whether what the replica has at this path may be moved."""
        return True

    def sent(self, path: "RelPath") -> None:
        """The replica acknowledged what was sent for ``path``."""

    def unsettled(self, sent: Iterable["Sent"]) -> None:
        """The session ended before these were answered."""

    def moved(self, step: "Move") -> None:
        """The replica acknowledged a move."""

    def received(self, event: "Received") -> None:
        """Take what came of an operation at the source."""

    def changed(self, _event: "ReplicaChanged", *, at_rest: bool) -> "Collection[RelPath]":  # noqa: ARG002
        """Others changed the replica; ``at_rest``: nothing is under way there, and it need not be listed.

        Returns the paths where it is known now to be different.
        """
        return ()

    def settled(self, root_digest: bytes, version: int) -> None:
        """An answer says that the replica has this digest at this moment."""

    def listed(self) -> None:
        """The replica was listed."""

    def takes_listing(self) -> bool:
        """Whether the replica is to be listed now because others change it; then it counts as begun."""
        return False

    def advance(self, *, compared: bool) -> None:
        """Go on with what is to be received. ``compared``: everything is compared."""

    def invalidate(self) -> None:
        """The whole source was scanned."""

    def approve(self, hold_id: str) -> None:
        """Release what this hold holds."""

    def answer(self, _hold_id: str) -> Released:
        """What approving this hold would release now."""
        return Released(0)
