"""What all parts of the reconciler work on: both trees, the table of paths, and the commands of the present call."""

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dirsync.endpoint.watch.deadlines import Deadlines
from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, FileIdentity, Record, covered, digest_of, size_of, with_content
from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.plan import BuildDirectory, Move, Operation
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.strategy import Choice, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import PLAIN, Command, LookAt, ReportMovedOn, Transmit
from dirsync_client.reconcile.known_content import KnownContent
from dirsync_client.reconcile.pacing.pace import SHOWN_TRIES, Cost
from dirsync_client.reconcile.pacing.pacing import Pacing
from dirsync_client.reconcile.pacing.probes import Probes
from dirsync_client.reconcile.path_states import REMOVING, PathTable, Phase
from dirsync_client.reconcile.two_way.one_way import OneWay

if TYPE_CHECKING:
    from collections.abc import Callable

    from dirsync.tree.merge.policy import Policy

PROMPT_ATTEMPTS: Final = 3
"""How often a path that changed under us is tried again at once, before it has to wait."""
_MAX_DOUBLINGS: Final = 32


def has_moved_on(planned: Record, record: Record) -> bool:
    """Whether a file was read as another version than the one that was known, not only its unknown digest found."""
    digest = digest_of(record)
    return digest_of(planned) not in (UNKNOWN, digest) or covered(with_content(planned, digest)) != covered(record)


class SourceModel(Protocol):
    """What is known of the source. The endpoint brings it up to date by looking; the reconciler reads it.

    One thing is written here: the digest of a file that was read.
    """

    @property
    def tree(self) -> Tree:
        """Everything below the root."""
        ...

    @property
    def renames(self) -> RenameTracker:
        """Where what is at a path now seems to have been before."""
        ...

    @property
    def problems(self) -> dict[RelPath, Problem]:
        """Paths that could not be looked at."""
        ...

    @property
    def mounts_changed(self) -> set[RelPath]:
        """Directories where a mount came or went, and what they had is not accepted to be gone."""
        ...

    @property
    def identity(self) -> FileIdentity:
        """The root directory's."""
        ...


class Options(NamedTuple):
    """How the reconciler goes about it."""

    deletes: bool = True
    """What left the source is removed at the replica."""
    at_once: bool = False
    """Removals do not wait until no more of them come: this is a single sync."""
    delete_settle: float = 0.5
    """Seconds without a new removal before removals are judged."""
    policy: GuardPolicy = GuardPolicy()
    min_built_files: int = LIMITS.min_built_files
    """Files from which on a new directory is sent as a whole."""
    two_way: "Policy | None" = None
    """Changes are carried both ways, and conflicts are resolved like this."""


class Context:
    """The state that the parts share, and the acts that all of them need."""

    def __init__(self, source: SourceModel, options: Options) -> None:
        self.source = source
        self.options = options
        self.replica = Tree(source.tree.attributes)
        """The replica's tree as the client knows it."""
        self.listed = False
        """Whether it is known at all."""
        self.table = PathTable()
        self.content = KnownContent()
        self.offered: frozenset[Strategy] = frozenset()
        """The strategies that the server understands."""
        self.foreign = False
        """The first sync into a replica that the source mostly does not know: overwrites are held as well."""
        self.unread: set[RelPath] = set()
        """Files that the replica moved or copied by what an inode says, and that have not been read since."""
        self.refetch = False
        """The replica is not what it was taken for: it has to be listed again."""
        self.behind_since: float | None = None
        """When the oldest change was noticed that no path's state knows of yet: everything has to be compared."""
        self.now = 0.0
        """Seconds by the monotonic clock."""
        self.retries: Deadlines[RelPath] = Deadlines()
        """When failed and paced paths are tried again."""
        self.pacing = Pacing()
        self.probes = Probes()
        self.direction = OneWay()
        """Which way differences go: all of them to the replica, unless the reconciler of a two-way client says else."""
        self._passing: set[RelPath] = set()
        """Paths of a single sync that failed because they had changed, and are tried again before it is over."""
        self._commands: list[Command] = []
        self.emit: Callable[[Command], None] = self._commands.append

    @property
    def is_equal(self) -> bool:
        """Whether both trees are equal as far as they are known."""
        return self.replica.digest() == self.source.tree.digest()

    def note_behind(self, since: float | None) -> None:
        """What has changed since then is found by comparing everything."""
        if since is not None and (self.behind_since is None or since < self.behind_since):
            self.behind_since = since

    def take_commands(self) -> list[Command]:
        """The commands since the last call."""
        commands, self._commands = self._commands, []
        self.emit = self._commands.append
        return commands

    def transmit(self, operation: Operation, changed_at: float, choice: Choice = PLAIN) -> None:
        """Have an operation sent."""
        self.send(Transmit(operation, self.source.tree.record(operation.path), changed_at, choice))

    def due_since(self, path: RelPath) -> float:
        """When the removal of ``path`` was noticed; what a guard held is due only now, because a person was asked."""
        state = self.table.get(path)
        return self.now if state is None or state.phase is Phase.HELD else state.since

    def send(self, transmit: Transmit) -> None:
        """Have an operation sent. Both paths of a move are busy until it is settled."""
        operation = transmit.operation
        phase = Phase.MOVING if transmit.moves_directory else Phase.SENDING
        if isinstance(operation, BuildDirectory):
            phase = Phase.BUILDING
        self.table.to(operation.path, phase).transmit = transmit
        if isinstance(operation, Move):
            self.table.to(operation.source, phase).transmit = transmit
        self.emit(transmit)

    def is_building(self, path: RelPath) -> bool:
        """Whether ``path`` is, or is in, a directory that is on its way with what is in it."""
        building = self.table.paths(Phase.BUILDING)
        return bool(building) and any(at in building for at in (path, *ancestors(path)))

    @property
    def entries_building(self) -> int:
        """Entries of the directories that are on their way with what is in them."""
        steps = (state.transmit and state.transmit.operation for _, state in self.table.states(Phase.BUILDING))
        return sum(len(step.below) for step in steps if isinstance(step, BuildDirectory))

    def learn(self, path: RelPath, planned: Record | None, record: Record) -> bool:
        """Take over that the file was read as ``record``, unless it is known to have changed since."""
        if self.source.tree.record(path) != planned:
            return False
        self.source.tree.put(path, record)
        if planned is None or has_moved_on(planned, record):
            self.emit(ReportMovedOn((path,)))
        return True

    def fail(self, problem: Problem, *, spared: int = 0) -> None:
        """Note a problem. The path is tried again later; each time the pause doubles, up to a limit.

        If very many paths have one, the pause is longer: see ``LIMITS.retries_per_second``.

        ``spared``: how many attempts were made without a pause, and do not count here. They were made because the path
        had changed: with both ways that is nobody's fault, and soon over.
        """
        state = self.table.to(problem.path, Phase.FAILED)
        state.problem = problem
        state.failed_at = self.now
        self.probes.failed(state, problem)
        state.attempts += 1
        tries = max(0, state.attempts - 1 - spared)
        passing = spared > 0 and self.options.two_way is not None
        first = LIMITS.retry_passing_seconds if passing else LIMITS.retry_initial_seconds
        pause = min(first * 2.0 ** min(tries, _MAX_DOUBLINGS), LIMITS.retry_max_seconds)
        self._passing.discard(problem.path)
        if passing and self.options.at_once and tries < LIMITS.passing_retries:
            self._passing.add(problem.path)
        if not self.options.at_once:
            pause = max(pause, self.table.count((Phase.FAILED,)) / LIMITS.retries_per_second)
        self.retries.set(problem.path, self.now + pause)

    @property
    def awaits_passing(self) -> bool:
        """Whether this is a single sync, and something that failed is likely to succeed when it is tried again."""
        return any(self.table.phase(path) is Phase.FAILED for path in self._passing)

    def succeeded(self, path: RelPath) -> None:
        """The path was read or applied. If it was tried because it had failed, all are that failed for that reason."""
        kind = self.probes.succeeded(path)
        if kind is not None:
            for other, state in self.table.states(Phase.FAILED):
                if state.problem is not None and state.problem.kind is kind:
                    state.attempts = 0
                    self.retries.set(other, self.now)

    def pace(self, path: RelPath, changed_at: float) -> bool:
        """Whether the file at ``path`` has to wait because it was sent a short time ago; then it is tried again later.

        ``changed_at``: when the change was first noticed.
        """
        record = self.source.tree.record(path)
        due = None if record is None else self.pacing.wait_until(path, size_of(record), self.now)
        if due is None:
            return False
        state = self.table.to(path, Phase.PACED)
        if state.paced_since is None:
            state.paced_since = changed_at
        self.retries.set(path, due)
        return True

    def resume(self, path: RelPath) -> None:
        """Compare a failed or paced path again, if it need not wait longer."""
        phase = self.table.phase(path)
        if phase is Phase.FAILED or (phase is Phase.PACED and not self.pace(path, self.now)):
            self.retries.discard(path)
            self.table.to(path, Phase.DIRTY)

    def rewritten(self, path: RelPath, changed_at: float, problem: Problem, cost: Cost) -> None:
        """The file was rewritten while it was read. It is a problem only if that happens again and again."""
        tries = self.pacing.given_up(path, cost, self.now)
        if not self.pace(path, changed_at):
            self.table.to(path, Phase.DIRTY)
        elif tries >= SHOWN_TRIES:
            self.table.to(path, Phase.PACED).problem = problem._replace(path=path)
        self.emit(LookAt((path,), retry=False))

    def unreadable(self, path: RelPath, planned: Record | None, problem: Problem) -> None:
        """The file at ``path`` could not be read: have it looked at, and try again later if it is still there.

        The problem may be that of a directory above. It is none where the source is known to have changed since.
        """
        vanished = problem.kind is ProblemKind.VANISHED or self.source.tree.record(path) != planned
        if vanished:
            self.table.to(path, Phase.IDLE)
        else:
            self.fail(problem._replace(path=path))
        # A path that vanished is compared even where the look finds nothing new: what was found while the path was
        # busy was not compared yet.
        self.emit(LookAt(tuple(dict.fromkeys((problem.path, path))), retry=vanished))

    def is_removing(self, path: RelPath) -> bool:
        """Whether what the replica has at ``path`` is to be removed, or is held."""
        return self.table.phase(path) in REMOVING

    def removing(self) -> list[RelPath]:
        """The paths whose removal waits."""
        return [path for phase in sorted(REMOVING) for path in self.table.paths(phase)]
