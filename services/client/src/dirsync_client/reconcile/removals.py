"""What would remove something at the replica: collected, left to settle, judged together, held or released.

Only paths are kept. Each judgement compares them anew, so that what has come back meanwhile drops out, and a hold
dissolves when its reason is gone.
"""

from collections.abc import Container

from dirsync.endpoint.source import Source
from dirsync.fs.root import RootState
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.diff import diff_paths
from dirsync.tree.guards import Facts, GuardPolicy, History, Hold, hold_id, is_foreign, judge
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.plan import Operation, Plan, removes
from dirsync.tree.tree import Tree
from dirsync_client.state import Agreement, StateDirectory, StateView


class Removals:
    """The removals of one session."""

    def __init__(  # what a judgement needs
        self,
        source: Source,
        replica: Tree,
        state: StateDirectory | StateView,
        replica_id: str,
        policy: GuardPolicy,
        history: History,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._state = state
        self._replica_id = replica_id
        self._policy = policy
        self._history = history
        self._metrics = metrics
        self._log = get_logger()
        self._agreement = state.agreement(replica_id)
        self.foreign = not self._agreement.adopted and is_foreign(source.tree, replica)
        """Overwrites are held as well, until the first sync was approved."""
        self.paths: set[RelPath] = set()
        self.hold: Hold | None = None
        self._approved: set[str] = state.approvals()
        self.stale = False
        """Something happened that a new judgement may decide otherwise."""

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, path: RelPath) -> None:
        """This path's removal waits."""
        if path not in self.paths:
            self.paths.add(path)
            self.stale = True

    def forget(self, path: RelPath, *, below: bool) -> None:
        """What was at ``path``, and with ``below`` all that was in it, was moved, so it is not removed."""
        if below:
            self.paths = {waiting for waiting in self.paths if not is_within(waiting, path)}
        else:
            self.paths.discard(path)
        self.stale = True

    def approve(self, hold_id: str) -> int:
        """Release the hold with this id at the next judgement; gives how many operations those are, 0 if none."""
        if self.hold is None or self.hold.id != hold_id:
            return 0
        self._approved.add(hold_id)
        self.stale = True
        return len(self.hold.operations)

    def judge(self, replica: Tree, busy: Container[RelPath], now: float) -> list[Operation]:
        """Judge everything that waits; gives the operations that may go, in a safe order."""
        self.stale = False
        steps = self._steps(replica, busy)
        facts = Facts(len(self._source.tree), self._root_intact(), self._source.mounts_lost, self.foreign)
        verdict = judge(steps, facts, self._history, now=now, policy=self._policy, approved=self._approved)
        self.paths = {step.path for step in verdict.hold.operations} if verdict.hold else set()
        self._tell(verdict.hold)
        if verdict.hold is None and (spent := hold_id(steps)) in self._approved and steps:
            self._spend(spent, now, len(replica))
        return verdict.released

    def settled(self) -> None:
        """Both sides are equal, or nothing is held: the root is the one that belongs to this replica."""
        agreement = Agreement(adopted=True, identity=self._source.root.identity)
        if agreement != self._agreement and self._source.root.state() is RootState.SAME:
            self._agreement = agreement
            self.foreign = False
            self._state.agree(self._replica_id, agreement)

    def _steps(self, replica: Tree, busy: Container[RelPath]) -> list[Operation]:
        changes = diff_paths(replica, self._source.tree, sorted(self.paths), self._source.problems)
        plan = Plan(change for change in changes if change.path not in busy)
        overwrites = [step for step in plan.immediate() if self.foreign]
        return [*overwrites, *plan.deletes]

    def _root_intact(self) -> bool:
        known = self._agreement.identity
        same_name = self._source.root.state() is RootState.SAME
        return same_name and (known is None or known == self._source.root.identity)

    def _tell(self, hold: Hold | None) -> None:
        before, self.hold = self.hold, hold
        if hold is not None and (before is None or before.id != hold.id):
            self._metrics.inc("dirsync_guard_holds_total", guard=hold.guard.value)
            self._log.warning(
                Event.GUARD_HELD, hold=hold.id, guard=hold.guard.value, paths=len(hold.operations), problem=hold.message
            )
        if before is not None and (hold is None or before.id != hold.id):
            self._log.info(Event.GUARD_RELEASED, hold=before.id, guard=before.guard.value)

    def _spend(self, approved: str, now: float, entries: int) -> None:
        self._approved.discard(approved)
        self._state.spend(approved)
        self._history.restart(now, entries)
        self._source.accept_mounts()
        self.foreign = False
        self._agreement = Agreement(adopted=True, identity=self._source.root.identity)
        self._state.agree(self._replica_id, self._agreement)


def removal(step: Operation, *, foreign: bool) -> bool:
    """Whether a step has to be judged before it goes."""
    return removes(step) or (foreign and step.expected is not None)
