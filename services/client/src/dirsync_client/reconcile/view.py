"""How a sync stands: the one answer for `once`, status, metrics and health."""

from collections.abc import Callable, Iterator, Mapping

from dirsync.tree.diff import diff
from dirsync.tree.entry import Entry
from dirsync.tree.guards.approvals import Released
from dirsync.tree.guards.hold import Hold
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.deletes import Deletes
from dirsync_client.reconcile.path_states import LATER, Phase


class View:
    """Read only. It is worked out from the table when it is asked for."""

    def __init__(
        self,
        context: Context,
        deletes: Deletes,
        connected: Callable[[], bool],
        changing: Callable[[], bool],
        working: Callable[[], bool],
        rescanning: Callable[[], bool],
    ) -> None:
        self._context = context
        self._deletes = deletes
        self._connected = connected
        self._changing = changing
        self._working = working
        self._rescanning = rescanning

    @property
    def is_changing(self) -> bool:
        """Whether anything is compared, read or sent: a scan of the replica alone is no change."""
        return self._changing()

    @property
    def is_working(self) -> bool:
        """Whether anything is under way, here or at the server, that needs no further cause to go on."""
        return self._working()

    @property
    def is_rescanning(self) -> bool:
        """Whether the server was asked to look at its replica, and has not answered."""
        return self._rescanning()

    @property
    def oldest_change(self) -> float | None:
        """When the oldest change was noticed that is still to be settled, by the clock of the events.

        What has a problem or is held is not: it is named there.
        """
        times = (self._context.behind_since, self._context.table.oldest_change)
        return min((time for time in times if time is not None), default=None)

    @property
    def is_sending(self) -> bool:
        """Whether anything is compared, read, sent or about to be judged, or will be read again soon."""
        paced = self._context.table.count((Phase.PACED,)) > 0
        return self._changing() or self._deletes.pending or paced or self._has_changing_files()

    @property
    def differences(self) -> Iterator[RelPath]:
        """The paths at which the replica, as it is known, is not what the source is, but for what DELETE=never keeps.

        Costs a comparison of the trees, with a session or without.
        """
        context = self._context
        for change in diff(context.replica, context.source.tree, context.source.problems):
            if change.new is not None or context.options.deletes:
                yield change.path

    @property
    def in_sync(self) -> bool:
        """Whether both trees are known to be equal, but for what DELETE=never keeps."""
        context = self._context
        if not self._connected() or self._working() or context.table.count(LATER) or context.source.problems:
            return False
        if context.is_equal:
            return True
        return not context.options.deletes and self._differs_only_by_kept()

    @property
    def pending(self) -> int:
        """How many paths are known to differ, whatever is going on at them."""
        return len(self._context.table) + self._context.entries_building

    @property
    def phases(self) -> Mapping[Phase, int]:
        """How many paths are in each phase, but for idle ones."""
        return {phase: self._context.table.count((phase,)) for phase in Phase if phase is not Phase.IDLE}

    def phase(self, path: RelPath) -> Phase:
        """What is going on at ``path``."""
        phase = self._context.table.phase(path)
        return Phase.BUILDING if phase is Phase.IDLE and self._context.is_building(path) else phase

    def replica_entry(self, path: RelPath) -> Entry | None:
        """What the replica has at ``path``, as far as it is known; a directory with its digest."""
        return self._context.replica.get(path)

    def problem_at(self, path: RelPath) -> Problem | None:
        """The problem of an operation at ``path``."""
        state = self._context.table.get(path)
        return None if state is None or state.phase not in LATER else state.problem

    @property
    def was_connected(self) -> bool:
        """Whether there has been a session, so that it is known what the replica has."""
        return self._context.listed

    @property
    def keeps_deleted(self) -> bool:
        """Whether what left the source stays at the replica."""
        return not self._context.options.deletes

    @property
    def attributes(self) -> Attributes:
        """The metadata that count."""
        return self._context.source.tree.attributes

    @property
    def hold(self) -> Hold | None:
        """The removals that a guard holds, those at the replica first."""
        return self._deletes.hold or self._context.direction.hold

    def approval(self, hold_id: str) -> Released:
        """What approving this hold would release now."""
        direction, answer = self._context.direction, self._deletes.answer(hold_id)
        return answer if answer.paths or direction.hold is None else direction.answer(hold_id)

    @property
    def problems(self) -> Mapping[RelPath, Problem]:
        """The paths that could not be synced, and why."""
        return dict(self._problems())

    @property
    def only_paced(self) -> bool:
        """Whether nothing differs but files that never rest, and are sent again later."""
        table = self._context.table
        return len(table) == table.count((Phase.PACED,)) > 0 and not self._context.source.problems

    @property
    def paced_since(self) -> float | None:
        """Since when the replica has not the present version of a file that never rests; of the oldest such change."""
        times = (state.paced_since for _, state in self._context.table.states(Phase.PACED))
        return min((time for time in times if time is not None), default=None)

    @property
    def replica_digest(self) -> bytes:
        """The root digest of the replica as it is known."""
        return self._context.replica.digest()

    def _problems(self) -> Iterator[tuple[RelPath, Problem]]:
        for phase in sorted(LATER):
            yield from ((path, state.problem) for path, state in self._context.table.states(phase) if state.problem)
        yield from self._context.source.problems.items()

    def _has_changing_files(self) -> bool:
        states = self._context.table.states(Phase.FAILED)
        return any(state.problem and state.problem.kind is ProblemKind.CHANGING for _, state in states)

    def _differs_only_by_kept(self) -> bool:
        source = self._context.source
        return all(change.new is None for change in diff(self._context.replica, source.tree, source.problems))
