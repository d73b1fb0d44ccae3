"""Scans of the replica that the server is asked for."""

import enum

from dirsync_client.reconcile.commands import RequestCommit
from dirsync_client.reconcile.context import Context


class Look(enum.Enum):
    """Another look at the replica before something is held that was not held before."""

    NOT_WANTED = enum.auto()
    UNDER_WAY = enum.auto()
    DONE = enum.auto()


class ReplicaScans:
    """Asks for one scan at a time. What is asked for while one is under way is asked for after it, once."""

    def __init__(self, context: Context) -> None:
        self.look = Look.NOT_WANTED
        self._context = context
        self._asked = 0
        """Scans that are still to be answered: one under way, and perhaps another one after it."""
        self._awaited = 0
        """After so many answers a scan has ended that began after the look was wanted."""

    @property
    def are_under_way(self) -> bool:
        """Whether an answer is still to come."""
        return self._asked > 0

    def reset(self) -> None:
        """A new session begins: nothing was asked for."""
        self._asked, self.look = 0, Look.NOT_WANTED

    def ask(self) -> None:
        """Have the replica scanned."""
        if not self._asked:
            self._context.emit(RequestCommit())
        self._asked = min(self._asked + 1, 2)

    def look_again(self) -> None:
        """Have the replica scanned, by a scan that begins now or later."""
        self.ask()
        self._awaited, self.look = self._asked, Look.UNDER_WAY

    def answered(self) -> None:
        """A scan has ended."""
        if not self._asked:
            return
        self._asked -= 1
        if self._asked:
            self._context.emit(RequestCommit())
        if self.look is Look.UNDER_WAY:
            self._awaited -= 1
            self.look = Look.UNDER_WAY if self._awaited else Look.DONE
