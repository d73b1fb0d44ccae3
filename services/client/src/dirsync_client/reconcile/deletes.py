"""What would remove something at the replica: collected, left to settle, judged together, then released or held.

Only paths are kept. Each judgement compares them anew, so what has come back meanwhile drops out, and a hold is over
when its reason is gone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from dirsync.tree.diff import diff_paths
from dirsync.tree.guards.approvals import Approvals, Released
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import GRAVITY, Facts, Guard, Hold, Verdict, hold_id
from dirsync.tree.guards.judge import is_foreign, judge
from dirsync.tree.path import RelPath, ancestors, is_within, split
from dirsync.tree.plan import Delete, Operation, Plan, removes
from dirsync_client.reconcile.commands import AcceptMounts, CheckSource, SpendApproval
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.events import Connected
from dirsync_client.reconcile.path_states import BUSY, REMOVING, Phase
from dirsync_client.reconcile.removal.links import links_first
from dirsync_client.reconcile.removal.pairing import Pairing
from dirsync_client.reconcile.removal.replica_scans import Look, ReplicaScans
from dirsync_client.reconcile.removal.settle_timer import SettleTimer
from dirsync_client.reconcile.removal.shown_hold import ShownHold

_NOT_NOW = BUSY | {Phase.FAILED, Phase.BLOCKED}
"""Phases of paths at which nothing is removed at present: what was tried and failed has its own time."""


class Deletes:
    """The removals that wait, and which source belongs to the replica."""

    def __init__(self, context: Context, lead_to: Callable[[RelPath], bool], scans: ReplicaScans) -> None:
        """``lead_to``: whether a link of the replica that is to be replaced still leads to a path."""
        self._lead_to = lead_to
        self._scans = scans
        self.pairing = Pairing(context)
        self.history = History(0.0, 0, context.options.policy.window_seconds)
        self._context = context
        self._approved: set[str] = set()
        """Ids that were approved while no client ran: each fits exactly the list that has it."""
        self._approvals = Approvals()
        self._shown = ShownHold(context, self._approvals)
        """Outlives a session until it is judged again."""
        self._clear: RelPath | None = None
        """A directory at and above which nothing waits: paths come ordered, so the next one is mostly below it."""
        self._judged = 0
        """How many removals were held when they were judged last."""
        self._fleeting = False
        """Some of what is held is fleeting."""
        self._level = 0
        """The level of the history when the removals were judged: what has come since shows in it."""
        self._stale = False
        """Something happened that may change the judgement."""
        self._is_first = True
        """The first comparison of the session is not done: what comes with it is as old as what was there."""
        self._ready = False
        """Everything is compared, so removals may be judged."""
        self._checking = False
        """The source's root is being checked; then the judgement follows."""
        self._timer = SettleTimer(context.options.delete_settle)

    @property
    def hold(self) -> Hold | None:
        """What a guard holds."""
        return self._shown.hold

    @property
    def pending(self) -> bool:
        """Whether removals wait to be judged."""
        return self._is_asking or (self._is_outdated and self._waiting > 0)

    @property
    def wake_at(self) -> float | None:
        """When removals have to be judged, if nothing but time is missing for that."""
        waits_for_time = self._ready and self._is_outdated and not self._is_asking
        return self._timer.due if waits_for_time and self._waiting else None

    @property
    def _waiting(self) -> int:
        return self._context.table.count(REMOVING)

    @property
    def _is_outdated(self) -> bool:
        """Whether the removals have to be judged, for the first time or again."""
        return self._stale or self._waiting < self._judged or self._scans.look is Look.DONE

    @property
    def _is_asking(self) -> bool:
        """Whether the judgement waits for what the source's root is, or for what the replica has now."""
        return self._checking or self._scans.look is Look.UNDER_WAY

    def reset(self, connected: Connected) -> None:
        """A new session begins. What was approved stays so."""
        context = self._context
        context.table.clear(REMOVING)
        self._judged = 0
        self._approved |= connected.approvals
        self.pairing.reset(connected)
        context.foreign = not connected.adopted and is_foreign(context.source.tree, context.replica)
        self._stale = self._checking = False
        self._is_first = True
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
            self.history.noticed(self._context.now, path, self._shown.since)
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
        self.pairing.scanned()
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
        came_since = history.level(fleeting=self._fleeting) - self._level
        self._stale |= self.hold is not None and self.hold.may_be_over(len(context.source.tree), came_since)

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
            self._scans.look = Look.NOT_WANTED
            if ready and not going_on and not self._checking:
                if self._is_first:
                    self._is_first = False
                    self.history.age()
                self._shown.show(None)
                self._keep(())
            return
        if self._is_asking or not self._is_outdated or not ready or (context.options.at_once and going_on):
            return
        timer.note(context.now, self._waiting)
        if context.options.at_once or timer.is_due(context.now):
            self._checking = True
            context.emit(CheckSource())

    def checked(self, *, in_place: bool) -> None:
        """The source's root was checked: judge the removals, and send what may go."""
        if not self._checking:
            return
        self._checking = self._stale = False
        context, source = self._context, self._context.source
        needed = {path for path in context.removing() if self._lead_to(path)}
        steps = self._steps(needed)
        intact = in_place and self.pairing.is_familiar(steps)
        self._keep((*needed, *(step.path for step in steps)))
        facts = Facts(len(source.tree), intact, source.mounts_changed, context.foreign, self._under_way())
        verdict = judge(
            steps,
            facts,
            self.history,
            now=context.now,
            policy=context.options.policy,
            approved=self._approved,
            approvals=tuple(self._approvals.given().values()),
        )
        if verdict.hold is not None and self.hold is None and self._scans.look is Look.NOT_WANTED:
            # What the replica was taken for may be gone. A person is asked only about what is there.
            self._scans.look_again()
            return
        self._scans.look = Look.NOT_WANTED
        held = {step.path for step in verdict.hold.operations} if verdict.hold else set()
        released = {step.path for step in verdict.released}
        for path in context.removing():
            if path in needed:
                context.table.to(path, Phase.DOOMED)
            elif path not in held and path not in released:  # what is sent keeps its count of attempts
                # It may be equal by now. Or it was to be overwritten, and that waits no longer, because the replica is
                # not foreign any more.
                context.table.to(path, Phase.DIRTY)
        for path in held:
            context.table.to(path, Phase.HELD)
        self._judged, self._fleeting = len(held), self.history.fleeting(held) > 0
        self._level = self.history.level(fleeting=self._fleeting)
        self._shown.show(verdict.hold)
        self._spend(steps, verdict)
        for step in links_first(verdict.released):
            context.transmit(step, context.due_since(step.path))
        self._timer.reset()

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
        differences = diff_paths(context.replica, context.source.tree, paths, context.source.problems)
        changes = context.direction.outgoing(differences)
        table = context.table
        # After the paths are taken: whatever else is in a directory that waits is removed all the same.
        self._block_above_failed()
        plan = Plan(change for change in changes if table.phase(change.path) not in _NOT_NOW)
        overwrites = [step for step in plan.immediate() if context.foreign]
        return [*overwrites, *plan.deletes] if context.options.deletes else overwrites

    def _block_above_failed(self) -> None:
        """Let a directory wait whose content the server could not remove; its removal would only fail as well."""
        table = self._context.table
        for failed in list(table.paths(Phase.FAILED)):
            for above in ancestors(failed):
                if self._context.is_removing(above):
                    table.block(above, failed)

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
                self.pairing.adopt()
            self._stale = verdict.hold is not None
