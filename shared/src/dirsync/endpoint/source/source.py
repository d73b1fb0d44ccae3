"""The source as the client knows it: the tree, brought up to date by looking, and what could not be looked at.

Only the engine's thread uses it. Files are not read here; a new or changed one has an unknown digest until the push
stream or the hasher has read it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from dirsync.endpoint.source.behind_links import look_behind_links
from dirsync.endpoint.source.ignore_file import read_ignore_rules
from dirsync.endpoint.source.untracked_paths import UntrackedPaths
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import status_identity
from dirsync.fs.index.index import Index
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.hard_links import HardLinks
from dirsync.fs.scan.left_out import LeftOut, why_left_out
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.mount_change import accept_mounts
from dirsync.fs.scan.rules import ScanRules
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.entry import UNKNOWN, FileIdentity, Kind, Record, digest_of, identity_of
from dirsync.tree.ignore.rules import IgnoreRules
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath, is_within, join, split
from dirsync.tree.problem import Problem
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.tree import Tree

_PROBE = 4096
"""Bytes at the start and at the end of a large file by which it is told from others of its size."""


class SourceOptions(NamedTuple):
    """What of the source is mirrored."""

    ignore_file: bytes
    ignore_rules: tuple[bytes, ...] = ()
    symlinks: bool = True
    attributes: Attributes = Attributes()
    own_logs: frozenset[FileIdentity] = frozenset()
    """Files that the client writes its log to: they are not mirrored."""


class RenamedAway(NamedTuple):
    """A file or directory of the source has got a name that is left out."""

    path: RelPath
    """What it was called before: there the replica has it."""
    left_out: LeftOut


def _ignore(_step: DirectoryScan) -> None:
    """The listings are not counted."""


class Source:
    """The source's tree and its problems."""

    def __init__(
        self, root: Root, index: Index, options: SourceOptions, looked: Callable[[DirectoryScan], None] = _ignore
    ) -> None:
        """``looked`` is told what each listing of a directory found."""
        self.root = root
        self._looked = looked
        self.options = options
        self.tree = Tree(options.attributes)
        self.problems: dict[RelPath, Problem] = {}
        self.mounts_changed: set[RelPath] = set()
        self.renames = RenameTracker()
        """What left a path of the source, and where it is now."""
        self._hard_links = HardLinks()
        self.renamed_away: list[RenamedAway] = []
        """What got a name that is left out. For the caller to take."""
        self.untracked = UntrackedPaths()
        self._index = index
        self._reserved: frozenset[bytes] = frozenset()
        self.own_names: frozenset[bytes] = frozenset()
        """Names directly below the root where what comes in is staged."""
        self.ignore = self._read_ignore_rules()
        index.load(self.tree)

    @property
    def identity(self) -> FileIdentity:
        """The root directory's."""
        return self.root.identity

    @property
    def ignore_path(self) -> RelPath:
        """Where the ignore file is."""
        return join(ROOT, self.options.ignore_file)

    @property
    def rules(self) -> ScanRules:
        """What a scan lists at present."""
        return ScanRules(
            ignores=self.ignore.matches if self.ignore.lines else None,
            reserved=self._reserved,
            report_reserved=True,
            own=self.own_names,
            symlinks=self.options.symlinks,
            own_logs=self.options.own_logs,
        )

    def reserve(self, names: frozenset[bytes]) -> list[RelPath]:
        """Leave out the names that the server keeps for itself; gives the paths that this changed."""
        if names == self._reserved:
            return []
        self._reserved = names
        return [path for step in self.scan((ROOT,), deep=False) for path in step]

    def count(self, attributes: Attributes) -> None:
        """Count these attributes, those that the session agreed on, as part of the tree."""
        if attributes != self.tree.attributes:
            self.tree = self.tree.copy(attributes)
            # What is remembered was hashed under the other attributes.
            self.renames = self.renames.restarted()

    def reopen(self) -> bool:
        """Follow the root's name to the directory that has it now; false, and nothing changes, if there is none."""
        try:
            root = Root.open(self.root.path)
        except DirsyncError:
            return False
        root.reads = self.root.reads
        self.root.close()
        self.root = root
        return True

    def refresh_ignore_rules(self) -> bool:
        """Read the ignore file again; true if the rules changed. A new session has to agree on them then."""
        rules = self._read_ignore_rules()
        if rules == self.ignore:
            return False
        self.ignore = rules
        return True

    def scan(self, starts: Iterable[RelPath] = (ROOT,), *, deep: bool = True) -> Iterator[list[RelPath]]:
        """Look at directories, one at a step; yields the paths that turned out to be different."""
        linked: dict[RelPath, bool] = {}
        for step in scan_steps(self.root, self.tree, self.rules, starts, deep=deep, renames=self.renames):
            self._note(step)
            linked |= step.linked
            yield step.changed
        # A name that was visited before the file was changed through another one shows the change now.
        if linked and (outdated := self._hard_links.outdated(self.tree, linked)):
            yield self.look(outdated)

    def look(self, paths: Iterable[RelPath]) -> list[RelPath]:
        """Look at these paths; gives those that turned out to be different. Costs nothing for their siblings.

        Where a file was changed that has several names, the others are looked at, too.
        """
        looked = list(paths)
        before = {identity_of(record): path for path in looked if (record := self.tree.record(path)) is not None}
        todo, linked = looked, dict[RelPath, bool]()
        changed = self._look_beside(looked)
        while todo:
            for path in todo:
                self.solve(path)
            found: dict[RelPath, bool] = {}
            for step in look_at(self.root, self.tree, todo, self.rules, renames=self.renames):
                self._note(step)
                changed += step.changed
                found |= step.linked
            todo = self._hard_links.outdated(self.tree, found) if found else []
            # Each is looked at once; what is changed again meanwhile makes another event.
            todo = [path for path in todo if path not in linked]
            linked |= found
        self._note_renamed_away({who: path for who, path in before.items() if path not in self.tree}, looked)
        return [*changed, *look_behind_links(self, changed)]

    def _look_beside(self, paths: Iterable[RelPath]) -> list[RelPath]:
        """List the directories again in which a path was untracked: only a listing counts what is."""
        changed: list[RelPath] = []
        for directory in self.untracked.directories_of(paths):
            for found in self.scan((directory,), deep=False):
                changed += found
        return changed

    def _note_renamed_away(self, gone: dict[FileIdentity, RelPath], looked: Iterable[RelPath]) -> None:
        """What left the tree because its new name is left out would be removed at the replica without a word."""
        if not gone:
            return
        for path in looked:
            try:
                status = None if path in self.tree else self.root.lstat(path)
            except PathFailure:
                continue
            former = None if status is None else gone.get(status_identity(status))
            left_out = None if former is None else self.why_left_out(path)
            if former is not None and left_out is not None:
                self.renamed_away.append(RenamedAway(former, left_out))

    def why_left_out(self, path: RelPath) -> LeftOut | None:
        """What leaves ``path`` out; ``None`` if it belongs to the tree.

        Raises:
            PathFailure: it cannot be determined what is there.
        """
        return why_left_out(self.root, path, self.rules, self.ignore)

    def leaves_out(self, paths: Iterable[RelPath]) -> bool:
        """Whether all of these paths are left out."""
        try:
            return all(path and self.why_left_out(path) is not None for path in paths)
        except PathFailure:
            return False

    def look_again(self, paths: Iterable[RelPath]) -> list[RelPath]:
        """Look at paths that had a problem, and at all that is below them; gives those that are different."""
        paths = list(paths)
        changed = self.look(paths)
        directories = [path for path in paths if self.tree.directory(path) is not None]
        return changed + [path for step in self.scan(directories) for path in step]

    def remember(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """Files were read, and the tree has these records of them: keep them in the index."""
        self._index.put_all(records)

    def publish(self, path: RelPath, record: Record | None) -> None:
        """We changed what is at ``path`` ourselves: it is known without a look."""
        if record is None:
            self.tree.remove(path)
        else:
            self.tree.put(path, record)
        self._store(path)

    def forget(self, path: RelPath) -> None:
        """What is at ``path`` may not be on the disk: nothing is remembered of it in the index."""
        self._index.remove(path)

    def probe(self, path: RelPath) -> bytes:
        """A few bytes of the file at ``path``, and its size; one that cannot be read looks like no other."""
        try:
            with StableFile(self.root, path) as file:
                size = file.size
                return size.to_bytes(8, "little") + file.read_at(0, _PROBE) + file.read_at(size - _PROBE, _PROBE)
        except (PathFailure, OSError):
            return path

    def solve(self, path: RelPath) -> None:
        """The path has no problem any more."""
        self.problems.pop(path, None)

    def fail(self, problem: Problem) -> None:
        """The path has a problem that reading it showed."""
        self._problem(problem)

    def accept_mounts(self) -> None:
        """Take what is mounted now as what belongs there, and what is not any more as gone."""
        accept_mounts(self.tree, self.mounts_changed)
        for path in self.mounts_changed:
            self._store(path)
        self.mounts_changed.clear()

    def flush(self) -> None:
        """Have the index written."""
        self._index.flush()

    def close(self) -> None:
        """Write the index and close the source."""
        self._index.close()
        self.root.close()

    def look_once(self, paths: Collection[RelPath]) -> list[RelPath]:
        """Look at these paths and at nothing else; gives those that turned out to be different."""
        changed: list[RelPath] = []
        for step in look_at(self.root, self.tree, paths, self.rules, renames=self.renames):
            self._note(step)
            changed += step.changed
        return changed

    def _note(self, step: DirectoryScan) -> None:
        self._looked(step)
        if self.problems:
            for path in [p for p in self.problems if p == step.path or split(p)[0] == step.path]:
                del self.problems[path]
        for problem in step.problems:
            self._problem(problem)
        self.untracked.note(step)
        self.mounts_changed = {p for p in self.mounts_changed if split(p)[0] != step.path} | set(step.mounts_changed)
        for path in step.changed:
            self._store(path)

    def _problem(self, problem: Problem) -> None:
        self.problems[problem.path] = problem

    def _store(self, path: RelPath) -> None:
        record = self.tree.record(path)
        if record is None:
            self._index.remove(path)
            for gone in [p for p in self.problems if p != path and is_within(p, path)]:
                del self.problems[gone]
            self.untracked.forget(path)
        elif record[0] != Kind.FILE or digest_of(record) != UNKNOWN:
            self._index.put(path, record)

    def _read_ignore_rules(self) -> IgnoreRules:
        return read_ignore_rules(self.root, self.ignore_path, self.options.ignore_rules)
