"""What would remove something at the replica: collected, left to settle, judged together, then released or held.

Only paths are kept. Each judgement compares them anew, so what has come back meanwhile drops out, and a hold is over
when its reason is gone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dirsync.limits import LIMITS
from dirsync.tree.diff import diff_paths
from dirsync.tree.entry import Kind
from dirsync.tree.guards.approvals import Approvals, Released
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import GRAVITY, Facts, Guard, Hold, Verdict, hold_id
from dirsync.tree.guards.judge import is_foreign, judge
from dirsync.tree.path import RelPath, ancestors, is_within, split
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

    def __init__(self, context: Context, lead_to: Callable[[RelPath], bool]) -> None:
        """``lead_to``: whether a link of the replica that is to be replaced still leads to a path."""
        self._lead_to = lead_to
        self.hold: Hold | None = None
        """What a guard holds; it outlives a session until it is judged again."""
        self.history = History(0.0, 0, context.options.policy.window_seconds)
        self._context = context
        self._approved: set[str] = set()
        """Ids that were approved while no client ran: each fits exactly the list that has it."""
        self._approvals = Approvals()
        self._held_since: float | None = None
        self._adopted = False
        self._agreed_root: FileIdentity | None = None
        self._agreed_entries = 0
        """How many entries the source had then, but for a factor of two."""
        self._clear: RelPath | None = None
        """A directory at and above which nothing waits: paths come ordered, so the next one is mostly below it."""
        self._replaced = 0
        """How many of the removals had something come in their place when they were judged."""
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
        self._agreed_entries = connected.agreed_entries
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
        if not context.foreign or not self._waiting:
            return False
        parent, _ = split(path)
        for above in (parent, *ancestors(parent)):
            if above == self._clear:
                break
            if context.is_removing(above):
                return True
        self._clear = parent
        return False

    def add(self, path: RelPath) -> None:
        """The removal at ``path`` waits."""
        if not self._context.is_removing(path):
            self._context.table.to(path, Phase.DOOMED)
            if self._clear is not None and is_within(self._clear, path):
                self._clear = None
            self.history.noticed(self._context.now, path, self._held_since)
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
        """Release the paths of this hold at the next judgement, whatever else is held by then."""
        if self._approvals.give(hold_id, self.hold):
            self._stale = True

    def answer(self, hold_id: str) -> Released:
        """What approving this hold would release now."""
        return self._approvals.answer(hold_id, self.hold, self._context.is_removing)

    def settled(self, came: Iterable[RelPath], deleted: Iterable[RelPath]) -> None:
        """The replica has these entries that it did not have, and these no more."""
        context, history, counted, approved = self._context, self.history, 0, False
        for path in came:
            history.came(context.now, path)
        for path in deleted:
            history.deleted(path)
            if self._approvals.done(path):
                approved = True
            else:
                counted += 1
        if approved:
            history.restart(context.now, len(context.replica))
        history.acknowledged(context.now, len(context.replica), counted)
        if self.hold is not None and self.hold.lacking and history.replaced - self._replaced >= self.hold.lacking:
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
            if ready and not going_on and not self._checking:
                self._show(None)
                self._keep(())
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
        context = self._context
        needed = {path for path in context.removing() if self._lead_to(path)}
        steps = self._steps(needed)
        intact = in_place and self._is_familiar(steps)
        entries, mounts_changed = len(context.source.tree), context.source.mounts_changed
        self._keep((*needed, *(step.path for step in steps)))
        facts = Facts(entries, intact, mounts_changed, context.foreign, self._under_way())
        verdict = judge(
            steps,
            facts,
            self.history,
            now=context.now,
            policy=context.options.policy,
            approved=self._approved,
            approvals=tuple(self._approvals.given().values()),
        )
        held = {step.path for step in verdict.hold.operations} if verdict.hold else set()
        released = {step.path for step in verdict.released}
        for path in context.removing():
            if path in needed:
                context.table.to(path, Phase.DOOMED)
            elif path not in held and path not in released:  # what is sent keeps its count of attempts
                context.table.to(path, Phase.IDLE)
        for path in held:
            context.table.to(path, Phase.HELD)
        self._replaced = self.history.replaced
        self._show(verdict.hold)
        self._spend(steps, verdict)
        # A link goes before what it leads to, so that none leads to nothing meanwhile.
        for step in sorted(verdict.released, key=lambda step: not _removes_link(step)):
            context.transmit(step, context.now)
        self._timer.reset()

    @property
    def is_unsettled(self) -> bool:
        """Whether something is to be remembered once both sides are in sync."""
        return self._may_adopt or bool(self._context.source.mounts_changed)

    def settle(self) -> None:
        """Both sides are in sync, so this source belongs to this replica: make sure that it is in place.

        If they are equal, the replica has nothing any more that a mount hides or took along.
        """
        if self._context.source.mounts_changed and self._context.is_equal:
            self._context.emit(AcceptMounts())
        if self._may_adopt:
            self._checking_root = True
            self._context.emit(CheckSource())

    @property
    def _may_adopt(self) -> bool:
        """Whether another root than the present one is remembered for this replica, or none, or one of another size."""
        entries = len(self._context.source.tree)
        counted = entries <= self._agreed_entries * 2 and self._agreed_entries <= entries * 2
        known = self._adopted and self._agreed_root == self._context.source.identity and counted
        return not known and not self._checking_root and not self._root_was_moved

    def adopt(self, *, in_place: bool, in_sync: bool) -> None:
        """The source's root was checked: remember it for this replica, if both sides are still equal."""
        if not self._checking_root:
            return
        self._checking_root = False
        self._root_was_moved = not in_place
        if in_place and in_sync:
            self._adopt()
            self._context.foreign = False

    def _is_familiar(self, steps: Iterable[Operation]) -> bool:
        """Whether the source's root is the one that was agreed on, or has been made again with most of the same names.

        Build tools remove their output directory and make it again: that is another directory, but the same source.
        What the other directory added since to the replica says nothing, so the entries are those that were agreed on.
        """
        if self._agreed_root in (None, self._context.source.identity):
            return True
        return sum(isinstance(step, Delete) for step in steps) * 2 <= self._agreed_entries

    def _under_way(self) -> list[RelPath]:
        """The deletes that were released without approval and are not settled."""
        return [path for path in self._deletes_under_way() if not self._approvals.covers(path)]

    def _deletes_under_way(self) -> Iterator[RelPath]:
        for path, state in self._context.table.states(Phase.SENDING):
            if state.transmit is not None and isinstance(state.transmit.operation, Delete):
                yield path

    def _keep(self, removals: Iterable[RelPath]) -> None:
        """Forget what is known of removals, but for these, those under way, and those that failed."""
        if self.history.pending:
            self.history.keep([*removals, *self._deletes_under_way()])
        self._approvals.keep(lambda path: self._context.table.phase(path) is not Phase.IDLE)

    def reconsider(self) -> None:
        """A link leads elsewhere now: what it led to before may be removed."""
        self._stale = self._stale or self._waiting > 0

    def _steps(self, needed: Collection[RelPath]) -> list[Operation]:
        """The removals as they are now, in a safe order; not those of what is ``needed``."""
        context = self._context
        paths = sorted(path for path in context.removing() if path not in needed)
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
        is_known = before is not None and hold is not None and (before.id, before.guard) == (hold.id, hold.guard)
        if before is not None and not is_known:
            self._context.emit(ReportRelease(before))
        if hold is not None and not is_known:
            self._approvals.show(hold)
            self._context.emit(ReportHold(hold))
        if hold is None:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = self._context.now

    def _spend(self, steps: Sequence[Operation], verdict: Verdict) -> None:
        """Take note of the approvals that released something."""
        if verdict.hold is None and steps and (exact := hold_id(steps)) in self._approved:
            self._approvals.add(exact, Guard.ROOT_CHANGED, (step.path for step in steps))
        released = {step.path for step in verdict.released}
        for approved, (guard, paths) in self._approvals.given().items():
            if released.isdisjoint(paths):
                continue
            self._approved.discard(approved)
            context = self._context
            context.emit(SpendApproval(approved))
            self.history.restart(context.now, len(context.replica))
            # Its reason was approved too: what is still held is judged without it.
            if verdict.hold is None or GRAVITY[guard] >= GRAVITY[Guard.MOUNT_CHANGED]:
                context.emit(AcceptMounts())
            if verdict.hold is None or GRAVITY[guard] >= GRAVITY[Guard.FOREIGN]:
                context.foreign = False
                self._adopt()
            self._stale = verdict.hold is not None

    def _adopt(self) -> None:
        source = self._context.source
        self._adopted, self._agreed_root, self._agreed_entries = True, source.identity, len(source.tree)
        self._context.emit(Adopt())


def _removes_link(step: Operation) -> bool:
    return isinstance(step, Delete) and step.expected is not None and step.expected.kind is Kind.SYMLINK


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
