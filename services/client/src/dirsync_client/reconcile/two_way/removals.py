"""What would remove something at the source: collected, left to settle, judged together, then released or held.

The same rules as for what is removed at the replica (:mod:`dirsync.tree.guards`), the other way round: an emptied
replica empties no source.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dirsync.endpoint.source.operation import SourceOperation
from dirsync.tree.entry import Kind
from dirsync.tree.guards.approvals import Approvals, Released
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import Facts, Guard, Hold, Verdict
from dirsync.tree.guards.hold import hold_id as hold_id_of
from dirsync.tree.guards.judge import judge
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Delete, Operation, Plan, removes
from dirsync_client.reconcile.commands import SpendApproval
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.removal.settle_timer import SettleTimer
from dirsync_client.reconcile.removal.shown_hold import ShownHold
from dirsync_client.reconcile.two_way.commands import Receive
from dirsync_client.reconcile.two_way.merging import Merging

if TYPE_CHECKING:
    from dirsync_client.reconcile.context import Context

_NAMED = 3
_TO_BE_REMOVED = frozenset({Phase.LEAVING, Phase.RECEIVING, Phase.FAILED})
"""Phases of paths whose removal was noticed and may still come."""


class IncomingRemovals:
    """The removals at the source that wait."""

    def __init__(self, context: "Context", merging: Merging, send: Callable[[Receive], None]) -> None:
        self._context = context
        self._merging = merging
        self._send = send
        self._history = History(0.0, 0, context.options.policy.window_seconds)
        self._timer = SettleTimer(context.options.delete_settle)
        self._approvals = Approvals()
        self._shown = ShownHold(context, self._approvals)
        self._approved: set[str] = set()
        self._contents: dict[bytes, RelPath] = {}
        """Where the source has the content of files that leave."""
        self._stale = False
        self._is_first = True
        """The first comparison of the session is not done: what comes with it is as old as what was there."""
        self._ready = False
        """Nothing else is on its way to the source."""
        self._judged = 0
        """How many waited when they were judged last."""

    def reset(self) -> None:
        """A new session begins. What was approved stays so."""
        self._context.table.clear((Phase.LEAVING,))
        self._contents.clear()
        self._stale = False
        self._is_first = True
        self._timer.reset()
        self._history.acknowledged(self._context.now, len(self._context.source.tree))

    @property
    def hold(self) -> Hold | None:
        """What a guard holds."""
        return self._shown.hold

    @property
    def waiting(self) -> int:
        """How many removals wait."""
        return self._context.table.count((Phase.LEAVING,))

    @property
    def pending(self) -> bool:
        """Whether removals wait to be judged."""
        return self.waiting > 0 and (self._stale or self.waiting < self._judged)

    @property
    def wake_at(self) -> float | None:
        """When removals have to be judged, if nothing but time is missing for that."""
        return self._timer.due if self._ready and self.pending else None

    def add(self, path: RelPath) -> None:
        """The removal at ``path`` waits."""
        context = self._context
        if context.table.phase(path) is Phase.LEAVING:
            return
        context.table.to(path, Phase.LEAVING)
        entry = context.source.tree.get(path)
        if entry is not None and entry.kind is Kind.FILE:
            self._contents[entry.digest] = path
        self._history.noticed(context.now, path, self._shown.since)
        self._stale = True

    def path_of(self, digest: bytes) -> RelPath | None:
        """Where the source has this content in a file that leaves."""
        return self._contents.get(digest)

    def invalidate(self) -> None:
        """Something happened that may change the judgement."""
        self._stale = self.waiting > 0

    def approve(self, hold_id: str) -> None:
        """Release the paths of this hold at the next judgement."""
        if self._approvals.give(hold_id, self.hold):
            self._stale = True

    def take_approvals(self, ids: frozenset[str]) -> None:
        """These were approved while no session was open."""
        self._approved |= ids

    def answer(self, hold_id: str) -> Released:
        """What approving this hold would release now."""
        is_leaving = lambda path: self._context.table.phase(path) is Phase.LEAVING  # noqa: E731
        return self._approvals.answer(hold_id, self.hold, is_leaving)

    def settled(self, step: Operation) -> None:
        """The source was changed by ``step``."""
        context, history = self._context, self._history
        deleted = 0
        if isinstance(step, Delete):
            history.deleted(step.path)
            if self._approvals.done(step.path):
                history.restart(context.now, len(context.source.tree))
            else:
                deleted = 1
        elif step.expected is None:
            history.came(context.now, step.path)
        history.acknowledged(context.now, len(context.source.tree), deleted)

    def advance(self, *, ready: bool) -> None:
        """Have the removals judged if they have settled. ``ready``: nothing else is on its way to the source."""
        context, timer = self._context, self._timer
        self._ready = ready
        if not self.waiting:
            self._judged = 0
            timer.reset()
            self._contents.clear()
            if ready:
                if self._is_first:
                    self._is_first = False
                    self._history.age()
                self._shown.show(None)
            return
        if not (ready and self.pending):
            return
        timer.note(context.now, self.waiting)
        if context.options.at_once or timer.is_due(context.now):
            self._judge()

    def _judge(self) -> None:
        context, table = self._context, self._context.table
        self._stale = False
        steps = self._steps()
        self._history.keep(path for path in self._history.pending if table.phase(path) in _TO_BE_REMOVED)
        facts = Facts(len(context.replica))
        verdict = judge(
            steps,
            facts,
            self._history,
            now=context.now,
            policy=context.options.policy,
            approved=self._approved,
            approvals=tuple(self._approvals.given().values()),
        )
        wanted = {step.path for step in steps}
        for path in list(table.paths(Phase.LEAVING)):
            if path not in wanted:
                table.to(path, Phase.DIRTY)
        self._shown.show(None if verdict.hold is None else self._told(verdict.hold))
        self._spend(steps, verdict)
        self._judged = self.waiting
        for step in verdict.released:
            assert isinstance(step, SourceOperation)
            self._send(Receive(step, None, step.path))
        self._timer.reset()

    def _spend(self, steps: Sequence[Operation], verdict: Verdict) -> None:
        """Take note of the approvals that released something."""
        if verdict.hold is None and steps and (exact := hold_id_of(steps)) in self._approved:
            self._approvals.add(exact, Guard.ROOT_EMPTIED, (step.path for step in steps))
        released = {step.path for step in verdict.released}
        for approved, (_, paths) in self._approvals.given().items():
            if not released.isdisjoint(paths):
                self._approved.discard(approved)
                self._context.emit(SpendApproval(approved))

    def _steps(self) -> list[Operation]:
        """The removals as they are now, in a safe order."""
        context = self._context
        leaving = sorted(context.table.paths(Phase.LEAVING))
        changes = [found.change for path in leaving if (found := self._merging.incoming.get(path)) is not None]
        plan = Plan(changes)
        assert not any(removes(step) is False for step in plan.immediate())
        return plan.deletes

    def _told(self, hold: Hold) -> Hold:
        """The hold as it is told here: it is the source that would lose something."""
        count, entries = len(hold.operations), len(self._context.source.tree)
        why = "the replica is empty" if hold.guard is Guard.ROOT_EMPTIED else "the replica has them no more"
        reason = f"{count} of {entries} entries of the source would be removed, because {why}"
        named = ", ".join(escape(step.path) for step in hold.operations[:_NAMED])
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        message = f"{reason}. Held: {named}{more}. If that is what you want: dirsync-client approve {hold.id}"
        return hold._replace(message=message, reason=reason)
