"""A new directory whose sections are coming in: what is in it is checked, and made in staging as it arrives.

It is applied whole or not at all. Whatever is wrong with one entry fails the directory, and the client then makes it
step by step, so that only what is wrong is refused.
"""

import hashlib

from dirsync.endpoint.apply.outcomes import Mismatch
from dirsync.endpoint.apply.steps import BuiltTree, Step
from dirsync.endpoint.quota import check_entry
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError, InvalidMessage, LimitExceeded
from dirsync.fs.write.build.publish import TreePublisher
from dirsync.fs.write.build.staged_tree import StagedTree
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, join
from dirsync.tree.plan import Below, BuildDirectory
from dirsync.wire.compression import shares
from dirsync.wire.push.sections import DirectorySection, NewDirectory, SectionEntry
from dirsync_server.ingest.budget import SpaceBudget
from dirsync_server.ingest.copy import ContentCopier


class DirectoryBuild:
    """One directory, from its first section to its last."""

    def __init__(self, number: int, begin: NewDirectory, replica: Replica, trees: TreePublisher) -> None:
        self.number = number
        self.error: DirsyncError | None = None
        """Why it cannot be applied; what still comes of it is not looked at any more."""
        self.arrived = 0
        """Bytes of the files that are staged."""
        self._begin = begin
        self._replica = replica
        self._numbers: dict[int, tuple[RelPath, int]] = {0: (begin.path, 0)}
        """The directories, and how deep they are, by their numbers."""
        self._path_bytes = 0
        self._count = 0
        self._saved = 0
        self._tree: StagedTree | None = None
        try:
            self._tree = trees.begin(begin.path)
        except DirsyncError as error:
            self.error = error

    @property
    def announced(self) -> int:
        """Bytes that it is known to have: what has arrived."""
        return self.arrived

    @property
    def below(self) -> list[Below]:
        """What is in it so far."""
        return self._tree.below if self._tree is not None else []

    def add(self, section: DirectorySection, space: SpaceBudget, copier: ContentCopier) -> int:
        """Make what a section brings; returns how many bytes were hashed.

        Raises:
            InvalidMessage: no correct client sends it; the stream is over.
            LimitExceeded: more than a directory may have that is built at once.
        """
        entries = section.entries
        paths = self._paths(entries)
        sizes = [len(entry.content) for entry in entries if entry.content is not None]
        if self.arrived + sum(sizes) > LIMITS.max_built_bytes:
            raise _too_much("max_built_bytes", LIMITS.max_built_bytes, "bytes")
        if self._tree is None:
            return 0
        try:
            check_entry(self._replica.policy.quota, len(self._replica.state.tree) + self._count, self._begin.path)
            space.admit_files(self._begin.path, sizes)
            for path, entry in zip(paths, entries, strict=True):
                self._make(self._tree, path, entry, copier)
        except DirsyncError as error:
            self._fail(error)
            return 0
        size = sum(sizes)
        self.arrived += size
        self._saved += sum(shares(section.saved, sizes)) if section.saved else 0
        return size

    def end(self) -> Step:
        """Everything has come; returns the step. See :attr:`error`."""
        path, mode = self._begin
        tree, identity = self._tree, None
        if tree is not None:
            try:
                identity = tree.finish(mode)
            except DirsyncError as error:
                self._fail(error)
        if tree is None or identity is None:
            return Step(self.number, BuildDirectory(path, None, mode, ()))
        operation = BuildDirectory(path, None, mode, tree.below)
        built = BuiltTree(tree, identity)
        return Step(self.number, operation, literal=self.arrived, saved=self._saved, tree=built)

    def discard(self) -> None:
        """Drop what is staged."""
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.discard()

    def _fail(self, error: DirsyncError) -> None:
        self.error = error
        self.arrived = 0
        self.discard()

    def _paths(self, entries: list[SectionEntry]) -> list[RelPath]:
        """Where the entries will be; takes note of the directories among them."""
        paths: list[RelPath] = []
        for entry in entries:
            self._count += 1
            if entry.parent not in self._numbers:
                msg = "a section has an entry in a directory that did not come before it"
                raise InvalidMessage(msg, reason="INVALID_SECTION")
            parent, depth = self._numbers[entry.parent]
            path = join(parent, entry.name)
            if len(path) > LIMITS.max_path_bytes:
                msg = f"a path of {len(path)} bytes; at most {LIMITS.max_path_bytes} are accepted"
                raise InvalidMessage(msg, reason="INVALID_PATH")
            self._path_bytes += len(path)
            if self._path_bytes > LIMITS.max_built_path_bytes:
                raise _too_much("max_built_path_bytes", LIMITS.max_built_path_bytes, "bytes of paths")
            if entry.content is None:
                if depth >= LIMITS.max_built_depth:
                    raise _too_much("max_built_depth", LIMITS.max_built_depth, "directories in one another")
                self._numbers[self._count] = path, depth + 1
            paths.append(path)
        if self._count > LIMITS.max_built_entries:
            raise _too_much("max_built_entries", LIMITS.max_built_entries, "entries")
        return paths

    @staticmethod
    def _make(tree: StagedTree, path: RelPath, entry: SectionEntry, copier: ContentCopier) -> None:
        content = entry.content
        if content is None:
            tree.make_directory(path, entry.mode)
            return
        if hashlib.sha256(content).digest() != entry.digest:
            raise Mismatch(path)
        tree.make_file(path, entry.head, entry.mode, entry.mtime_ns, content)
        if content:
            copier.remember(entry.digest, tree.staged_name(path))


def _too_much(limit: str, allowed: int, what: str) -> LimitExceeded:
    return LimitExceeded(limit, f"at most {allowed} {what} may come in one directory")
