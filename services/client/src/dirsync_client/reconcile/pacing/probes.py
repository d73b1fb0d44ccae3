"""Which failed paths are tried before their pause is over, to see whether the cause is gone. Pure.

A path that fails again and again waits longer each time. Its cause may be gone long before that: space came, or a
permission was given. So a few paths are tried every ``LIMITS.probe_seconds``, and when one of them succeeds, all that
failed for the same kind of reason are tried at once.

- What cannot be read at the source is only opened there, a bounded number of paths each time, one after the other.
- At the server, one operation is tried for each kind of reason: the smallest where it is the disk or a quota, in
  turn otherwise. The pause before it grows with its size, so that what fails all the time sends little. What removes a
  directory is left to its own pauses: what is in the way there is not found out by trying.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, size_of
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.path_states import PathState, PathTable, Phase

SHARED: Final = frozenset({ProblemKind.STORAGE, ProblemKind.LIMIT})
"""The reason is not the path's own: if one goes through, others may."""
_AT_SERVER: Final = SHARED | {ProblemKind.REFUSED}
_SEEN: Final = 256
"""Failed paths among which is chosen: those that have waited longest."""


class Due(NamedTuple):
    """What to try now."""

    at_source: tuple[RelPath, ...] = ()
    """Open these, and try those to sync that can be opened."""
    at_server: tuple[RelPath, ...] = ()
    """Try these to sync."""


class Probes:
    """The probes of one reconciler."""

    def __init__(self) -> None:
        self._due_at = 0.0
        self._turn = 0
        """How many of the source's own problems were tried by now."""
        self._tried: dict[RelPath, ProblemKind] = {}
        """What is tried, and why it failed before."""

    def due(self, table: PathTable, trees: tuple[Tree, Tree], problems: Iterable[Problem], now: float) -> Due:
        """What to try now.

        Args:
            table: the phases of all paths.
            trees: the source's and the replica's.
            problems: those of paths of the source that could not be looked at.
            now: seconds by the monotonic clock.
        """
        if now < self._due_at:
            return Due()
        unreadable = [problem.path for problem in problems if problem.kind is ProblemKind.UNREADABLE]
        if not (unreadable or table.count((Phase.FAILED,))):
            return Due()
        self._due_at = now + LIMITS.probe_seconds
        self._tried = {path: kind for path, kind in self._tried.items() if table.is_busy(path)}
        failed = [(path, state) for path, state in islice(table.states(Phase.FAILED), _SEEN) if state.problem]
        return Due(self._at_source(failed, unreadable), tuple(self._at_server(failed, trees, now)))

    def wake_at(self, table: PathTable, problems: Iterable[Problem]) -> float | None:
        """When to ask again; ``None`` while nothing has failed."""
        kinds = _AT_SERVER | {ProblemKind.UNREADABLE}
        failed = islice(table.states(Phase.FAILED), _SEEN)
        waits = any(state.problem is not None and state.problem.kind in kinds for _, state in failed)
        waits = waits or any(problem.kind is ProblemKind.UNREADABLE for problem in islice(problems, _SEEN))
        return self._due_at if waits else None

    def failed(self, state: PathState, problem: Problem) -> None:
        """A path has failed, perhaps after it was tried."""
        kind = self._tried.pop(problem.path, None)
        state.misled = kind is ProblemKind.UNREADABLE is problem.kind

    def succeeded(self, path: RelPath) -> ProblemKind | None:
        """The path was read or applied: the kind of reason that is gone, if it had failed and was tried."""
        return self._tried.pop(path, None)

    def covers(self, table: PathTable) -> bool:
        """Whether all that is under way are operations that are tried: most likely nothing changes."""
        if not self._tried:
            return False
        phases = [table.phase(path) for path, kind in self._tried.items() if kind in _AT_SERVER]
        tried = sum(phase is Phase.DIRTY or phase is Phase.SENDING for phase in phases)
        return tried == table.count((Phase.DIRTY, Phase.SENDING))

    def _at_source(self, failed: Iterable[tuple[RelPath, PathState]], problems: list[RelPath]) -> tuple[RelPath, ...]:
        own = [path for path, state in failed if _kind(state) is ProblemKind.UNREADABLE and not state.misled]
        first = self._turn % len(problems) if problems else 0
        paths = tuple(islice(chain(own, problems[first:], problems[:first]), LIMITS.probe_paths))
        self._turn = first + max(0, len(paths) - len(own))
        self._tried |= dict.fromkeys(paths, ProblemKind.UNREADABLE)
        return tuple(dict.fromkeys(paths))

    def _at_server(
        self, failed: list[tuple[RelPath, PathState]], trees: tuple[Tree, Tree], now: float
    ) -> Iterator[RelPath]:
        source, replica = trees
        for kind in sorted(_AT_SERVER):
            due: list[tuple[int, RelPath]] = []
            for path, state in failed:
                size = _size(source, path)
                rested = now >= state.failed_at + size / LIMITS.probe_bytes_per_second
                if _kind(state) is kind and rested and replica.directory(path) is None:
                    due.append((size, path))
            if due:
                _, path = min(due) if kind in SHARED else due[0]
                self._tried[path] = kind
                yield path


def _kind(state: PathState) -> ProblemKind | None:
    return state.problem.kind if state.problem is not None else None


def _size(tree: Tree, path: RelPath) -> int:
    """The bytes that trying costs at most."""
    record = tree.record(path)
    return size_of(record) if record is not None and record[0] == Kind.FILE else 0
