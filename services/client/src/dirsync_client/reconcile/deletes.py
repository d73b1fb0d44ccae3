"""What would remove something at the replica: collected, left to settle, judged together, then released or held.

Only paths are kept. Each judgement compares them anew, so what has come back meanwhile drops out, and a hold is over
when its reason is gone.
"""

from typing import TYPE_CHECKING

from dirsync.limits import LIMITS
from dirsync.tree.diff import diff_paths
from dirsync.tree.guards import Facts, History, Hold, hold_id, is_foreign, judge
from dirsync.tree.path import RelPath, ancestors, is_within
from dirsync.tree.plan import Delete, Operation, Plan, removes
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    Adopt,
    CheckSource,
    ReportHold,
    ReportRelease,
    SpendApproval,
)
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.events import Connected
from dirsync_client.reconcile.path_states import BUSY, REMOVING, Phase

if TYPE_CHECKING:
    from dirsync.tree.entry import FileIdentity

_NOT_NOW = BUSY | {Phase.FAILED, Phase.BLOCKED}
"""Phases of paths at which nothing is removed at present: what was tried and failed has its own time."""


class Deletes:
    """The removals that wait, and which source belongs to the replica."""

    def __init__(self, context: Context) -> None:
        self.hold: Hold | None = None
        """What a guard holds; it outlives a session until it is judged again."""
        self.history = History(0.0, 0, context.options.policy.window_seconds)
        self._context = context
        self._approved: set[str] = set()
        self._adopted = False
        self._agreed_root: FileIdentity | None = None
        self._stale = False
        """Something happened that may change the judgement."""
        self._ready = False
        """Everything is compared, so removals may be judged."""
        self._checking = False
        """The source's root is being checked; then the judgement follows."""
        self._checking_root = False
        """The source's root is being checked, to be remembered for this replica."""
        self._root_was_moved = False
        """The source's root was not in place when it was checked; it is checked again after the next scan."""
        self._timer = SettleTimer(context.options.delete_settle)

    @property
    def pending(self) -> bool:
        """Whether removals wait to be judged."""
        return self._checking or (self._stale and self._waiting > 0)

    @property
    def wake_at(self) -> float | None:
        """When removals have to be judged, if nothing but time is missing for that."""
        waits_for_time = self._ready and self._stale and not self._checking
        return self._timer.due if waits_for_time and self._waiting else None

    @property
    def _waiting(self) -> int:
        return self._context.table.count(REMOVING)

    def reset(self, connected: Connected) -> None:
        """A new session begins. What was approved stays so."""
        context = self._context
        context.table.clear(REMOVING)
        self._approved |= connected.approvals
        self._adopted, self._agreed_root = connected.adopted, connected.agreed_root
        context.foreign = not connected.adopted and is_foreign(context.source.tree, context.replica)
        self._stale = self._checking = self._checking_root = False
        self._timer.reset()
        self.history.acknowledged(context.now, len(context.replica))

    def waits(self, step: Operation) -> bool:
        """Whether a step has to be judged before it goes."""
        return removes(step) or (self._context.foreign and step.expected is not None)

    def is_under_held(self, path: RelPath) -> bool:
        """Whether something above ``path`` has to be replaced first, and that waits for approval."""
        context = self._context
        return context.foreign and any(context.is_removing(above) for above in ancestors(path))

    def add(self, path: RelPath) -> None:
        """The removal at ``path`` waits."""
        if not self._context.is_removing(path):
            self._context.table.to(path, Phase.DOOMED)
            self._stale = True

    def forget(self, path: RelPath, *, below: bool) -> None:
        """What was at ``path``, and with ``below`` everything in it, was moved, so it is not removed."""
        table = self._context.table
        for waiting in self._context.removing():
            if waiting == path or (below and is_within(waiting, path)):
                table.to(waiting, Phase.IDLE)
        self._stale = True

    def invalidate(self) -> None:
        """The whole source was scanned: removals are judged again, and so is the root."""
        self._root_was_moved = False
        self._stale = self._waiting > 0

    def approve(self, hold_id: str) -> None:
        """Release this hold at the next judgement."""
        if self.hold is not None and self.hold.id == hold_id:
            self._approved.add(hold_id)
            self._stale = True

    def advance(self, *, ready: bool, going_on: bool) -> None:
        """Have the removals judged if they have settled.

        Args:
            ready: everything is compared, and no directory is moved or waits for that. What is removed may be what
                something else is made from.
            going_on: something is under way or is to be compared.
        """
        context, timer = self._context, self._timer
        self._ready = ready
        if not self._waiting:
            timer.reset()
            if self.hold is not None and not self._checking and ready and not going_on:
                self._show(None)
            return
        at_once = context.options.at_once
        if self._checking or not self._stale or not ready or (at_once and going_on):
            return
        timer.note(context.now, self._waiting)
        if at_once or timer.is_due(context.now):
            self._checking = True
            context.emit(CheckSource())

    def checked(self, *, in_place: bool) -> None:
        """The source's root was checked: judge the removals, and send what may go."""
        if not self._checking:
            return
        self._checking = False
        self._stale = False
        context, identity = self._context, self._context.source.identity
        intact = in_place and self._agreed_root in (None, identity)
        steps = self._steps()
        entries, mounts_lost = len(context.source.tree), context.source.mounts_lost
        facts = Facts(entries, intact, mounts_lost, context.foreign, self._under_way())
        policy, now = context.options.policy, context.now
        verdict = judge(steps, facts, self.history, now=now, policy=policy, approved=self._approved)
        held = {step.path for step in verdict.hold.operations} if verdict.hold else set()
        released = {step.path for step in verdict.released}
        for path in context.removing():
            # What is sent keeps its count of attempts.
            if path not in held and path not in released:
                context.table.to(path, Phase.IDLE)
        for path in held:
            context.table.to(path, Phase.HELD)
        self._show(verdict.hold)
        if verdict.hold is None and steps and (spent := hold_id(steps)) in self._approved:
            self._spend(spent)
        for step in verdict.released:
            context.transmit(step, now)
        self._timer.reset()

    @property
    def may_adopt(self) -> bool:
        """Whether another root than the present one is remembered for this replica, or none."""
        known = self._adopted and self._agreed_root == self._context.source.identity
        return not known and not self._checking_root and not self._root_was_moved

    def check_root(self) -> None:
        """Both sides are equal, so this source belongs to this replica: make sure that it is in place."""
        self._checking_root = True
        self._context.emit(CheckSource())

    def adopt(self, *, in_place: bool, in_sync: bool) -> None:
        """The source's root was checked: remember it for this replica, if both sides are still equal."""
        if not self._checking_root:
            return
        self._checking_root = False
        self._root_was_moved = not in_place
        if in_place and in_sync:
            self._adopt()
            self._context.foreign = False

    def _under_way(self) -> int:
        """How many deletes were released and are not settled."""
        sent = (state.transmit for _, state in self._context.table.states(Phase.SENDING))
        return sum(transmit is not None and isinstance(transmit.operation, Delete) for transmit in sent)

    def _steps(self) -> list[Operation]:
        """The removals as they are now, in a safe order."""
        context = self._context
        paths = sorted(context.removing())
        changes = diff_paths(context.replica, context.source.tree, paths, context.source.problems)
        table = context.table
        # After the paths are taken: whatever else is in a directory that waits is removed all the same.
        self._block_above_failed()
        plan = Plan(change for change in changes if table.phase(change.path) not in _NOT_NOW)
        overwrites = [step for step in plan.immediate() if context.foreign]
        return [*overwrites, *plan.deletes]

    def _block_above_failed(self) -> None:
        """Let a directory wait whose content the server could not remove; its removal would only fail as well."""
        table = self._context.table
        for failed in list(table.paths(Phase.FAILED)):
            for above in ancestors(failed):
                if self._context.is_removing(above):
                    table.block(above, failed)

    def _show(self, hold: Hold | None) -> None:
        before, self.hold = self.hold, hold
        if before is not None and (hold is None or before.id != hold.id):
            self._context.emit(ReportRelease(before))
        if hold is not None and (before is None or before.id != hold.id):
            self._context.emit(ReportHold(hold))

    def _spend(self, approved: str) -> None:
        context = self._context
        self._approved.discard(approved)
        context.emit(SpendApproval(approved))
        self.history.restart(context.now, len(context.replica))
        context.emit(AcceptMounts())
        context.foreign = False
        self._adopt()

    def _adopt(self) -> None:
        self._adopted, self._agreed_root = True, self._context.source.identity
        self._context.emit(Adopt())


class SettleTimer:
    """How long no new removal has come."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._longest = settle * LIMITS.delete_settle_stretch
        self._count = 0
        self._first = 0.0
        self.due: float | None = None

    def reset(self) -> None:
        """None waits any more."""
        self._count = 0
        self.due = None

    def note(self, now: float, count: int) -> None:
        """So many wait. More than before means that new ones came, and the quiet time starts again."""
        if count <= self._count:
            return
        if self._count == 0:
            self._first = now
        self._count = count
        self.due = min(now + self._settle, self._first + self._longest)

    def is_due(self, now: float) -> bool:
        """Whether no removal has come for long enough, or they have come for too long."""
        return self.due is not None and now >= self.due
