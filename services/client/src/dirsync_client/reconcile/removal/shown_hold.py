"""The hold that people are shown, and since when there is one."""

from typing import TYPE_CHECKING

from dirsync.tree.guards.approvals import Approvals
from dirsync.tree.guards.hold import Hold
from dirsync_client.reconcile.commands import ReportHold, ReportRelease

if TYPE_CHECKING:
    from dirsync_client.reconcile.context import Context


class ShownHold:
    """That of one side's removals."""

    def __init__(self, context: "Context", approvals: Approvals) -> None:
        """``approvals`` are told of each hold, so that it can be approved."""
        self.hold: Hold | None = None
        self.since: float | None = None
        """When the first of the holds that followed one another was shown."""
        self._context = context
        self._approvals = approvals

    def show(self, hold: Hold | None) -> None:
        """This is held now; a new hold is reported, and so is the end of the one before."""
        before, self.hold = self.hold, hold
        is_known = before is not None and hold is not None and (before.id, before.guard) == (hold.id, hold.guard)
        if before is not None and not is_known:
            self._context.emit(ReportRelease(before))
        if hold is not None and not is_known:
            self._approvals.show(hold)
            self._context.emit(ReportHold(hold))
        if hold is None:
            self.since = None
        elif self.since is None:
            self.since = self._context.now
