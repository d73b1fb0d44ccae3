"""Which new directories are sent as a whole, with the small files and the directories in them.

One operation instead of one for each file: nothing is visible of the directory before all of it is, and neither side
handles each file by itself. What does not belong in it (large files, links, what failed before, content that the
replica has) is left out. It is found when the directory is there and compared again, and goes its ordinary way.

Rules:

- While a directory is built, nothing below it is dispatched. It is compared again when it is settled.
- A directory that the server did not take as a whole is made step by step. If that was for want of space or permission,
  so are all others of the session: otherwise each would be sent twice.
- After a connection was lost in the middle of one, the next session builds none: what is sent piece by piece need not
  be sent again from the beginning.
"""

from collections.abc import Iterator

from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory
from dirsync.tree.entry import UNKNOWN, Kind, Record, digest_of, size_of, unpack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath, join
from dirsync.tree.plan import Below, BuildDirectory
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.context import Context
from dirsync_client.reconcile.deletes import Deletes
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.renames import Renames

WHOLE = Choice(Strategy.WHOLE, Reason.SMALL)
"""How the content of the files in it travels."""
_FREE = frozenset({Phase.IDLE, Phase.DIRTY, Phase.COMPARING})
"""Phases of paths at which nothing is under way, and nothing stands against sending what is there."""
_CHANGED = frozenset({Outcome.CHANGED, Outcome.MISMATCH})
"""Outcomes that say nothing about other directories."""
_FILE = int(Kind.FILE)


class Builds:
    """The directories that are sent as a whole in one session."""

    def __init__(self, context: Context, renames: Renames, deletes: Deletes) -> None:
        self._context = context
        self._renames = renames
        self._deletes = deletes
        self._allowed = False
        self._interrupted = False
        """The connection was lost in the middle of one."""
        self._planned: dict[RelPath, BuildDirectory] = {}
        """What was decided in the comparison that is under way, and is not dispatched yet."""

    def reset(self, *, offered: bool) -> None:
        """A new session begins; ``offered``: the server builds directories."""
        self._allowed = offered and not self._interrupted
        self._interrupted = False
        self._planned.clear()

    def disconnected(self) -> None:
        """The session is over."""
        self._interrupted = bool(self._context.table.paths(Phase.BUILDING))
        self._planned.clear()

    @property
    def entries(self) -> int:
        """Entries of the directories that are decided and not settled."""
        return self._context.entries_building + sum(len(step.below) for step in self._planned.values())

    def takes(self, path: RelPath, directory: Directory) -> bool:
        """Whether a directory that the replica does not have goes as a whole, or is on its way so.

        What is in it need not be compared then.
        """
        if self._context.is_building(path):
            return True
        if not self._may_build(path, directory):
            return False
        below = list(self._below(path, directory))
        if sum(record[0] == _FILE for _, record in below) < self._context.options.min_built_files:
            return False
        self._planned[path] = BuildDirectory(path, None, unpack(directory.record).mode, below)
        return True

    def take(self, path: RelPath) -> BuildDirectory | None:
        """The step that makes the directory at ``path`` as a whole, if that was decided."""
        return self._planned.pop(path, None)

    def failed(self, outcome: Outcome) -> None:
        """The server did not take a directory as a whole."""
        if outcome not in _CHANGED:
            self._allowed = False

    def _may_build(self, path: RelPath, directory: Directory) -> bool:
        if not self._allowed or directory.entries < self._context.options.min_built_files:
            return False
        renames = self._context.source.renames
        if renames.moved or self._renames.waiting or self._renames.under_way:
            return False  # something may be moved into it
        state = self._context.table.get(path)
        if state is not None and (state.phase not in _FREE or state.piecewise):
            return False
        return path not in self._context.source.problems and not self._deletes.is_under_held(path)

    def _below(self, path: RelPath, directory: Directory) -> Iterator[Below]:
        """What goes with it, parents before children, within the bounds of what is built at once."""
        context = self._context
        context.content.fill(context.replica)
        entries = size = paths = 0
        stack = [(path, directory, 0)]
        while stack:
            at, current, depth = stack.pop()
            if depth:
                if paths + len(at) > LIMITS.max_built_path_bytes:
                    return
                if entries + 1 + current.entries > LIMITS.max_built_entries or not self._is_free(at):
                    continue
                entries += 1
                paths += len(at)
                yield Below(at, current.record)
            for name, child in current.children.items():
                below = join(at, name)
                if paths + len(below) > LIMITS.max_built_path_bytes:
                    return
                if isinstance(child, Directory):
                    if depth < LIMITS.max_built_depth:
                        stack.append((below, child, depth + 1))
                elif child[0] == _FILE and entries < LIMITS.max_built_entries:
                    more = size_of(child)
                    if size + more <= LIMITS.max_built_bytes and self._takes_file(below, child, more):
                        entries += 1
                        size += more
                        paths += len(below)
                        yield Below(below, child)

    def _takes_file(self, path: RelPath, record: Record, size: int) -> bool:
        context = self._context
        if size > LIMITS.inline_file_bytes or not self._is_free(path) or path in context.pacing:
            return False
        digest = digest_of(record)
        if digest != UNKNOWN and context.content.has(digest):
            return False
        renames = context.source.renames
        return not (renames.knows_files and renames.previous_entry(record) is not None)

    def _is_free(self, path: RelPath) -> bool:
        return self._context.table.phase(path) in _FREE and path not in self._context.source.problems
