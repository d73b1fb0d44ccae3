"""What left a tree, by its identity: a bounded memory, whose oldest entries are forgotten first."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from dirsync.tree.directory import Directory, directories
from dirsync.tree.entry import FileIdentity, Record, identity_of
from dirsync.tree.path import RelPath


class DepartedFile(NamedTuple):
    """A file that is not at ``path`` any more."""

    path: RelPath
    record: Record


class DepartedDirectory(NamedTuple):
    """A directory that is not at ``path`` any more."""

    path: RelPath
    directory: Directory
    part: bool
    """It left inside a directory that is remembered as a whole."""


class Departures:
    """Files and directories that left, and at which path the files were found since. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        """``limit``: the most entries that are remembered."""
        self._limit = limit
        self._held = 0
        self._files: OrderedDict[FileIdentity, DepartedFile] = OrderedDict()
        self._directories: OrderedDict[FileIdentity, DepartedDirectory] = OrderedDict()
        self._new_paths: dict[RelPath, RelPath] = {}
        """Where files were found, by the path that they left."""
        self._proved: set[FileIdentity] = set()
        """Files that were found, and are certainly the ones that left."""

    @property
    def has_files(self) -> bool:
        """Whether any file is remembered."""
        return bool(self._files)

    def file(self, identity: FileIdentity) -> DepartedFile | None:
        """The file of this identity."""
        return self._files.get(identity)

    def directory(self, identity: FileIdentity) -> DepartedDirectory | None:
        """The directory of this identity."""
        return self._directories.get(identity)

    def new_path(self, path: RelPath) -> RelPath | None:
        """Where the file that left ``path`` was found."""
        return self._new_paths.get(path)

    def is_proved(self, identity: FileIdentity) -> bool:
        """Whether the file was found, and is certainly the one that left."""
        return identity in self._proved

    def add_file(self, identity: FileIdentity, path: RelPath, record: Record) -> None:
        """Remember a file that left ``path``."""
        self._held += identity not in self._files
        self._files[identity] = DepartedFile(path, record)
        self._proved.discard(identity)

    def add_directory(self, path: RelPath, top: Directory) -> None:
        """Remember a directory that left ``path``, and each one in it."""
        for at, directory in directories(top, path):
            identity = identity_of(directory.record)
            self.drop_directory(identity)
            departed = DepartedDirectory(at, directory, part=directory is not top)
            self._directories[identity] = departed
            self._held += _weight(departed)

    def trim(self) -> None:
        """Forget the oldest entries beyond the limit."""
        while self._held > self._limit and (self._files or self._directories):
            if self._files:
                self.forget_file(next(iter(self._files)))
            else:
                self.forget_directory(next(iter(self._directories.values())))

    def found_file(self, identity: FileIdentity, path: RelPath, *, proved: bool) -> None:
        """The file is at ``path`` now; ``proved``: it is certainly the one that left."""
        self._new_paths[self._files[identity].path] = path
        if proved:
            self._proved.add(identity)

    def forget_file(self, identity: FileIdentity) -> None:
        """Forget the file of this identity."""
        found = self._files.pop(identity, None)
        self._proved.discard(identity)
        if found is not None:
            self._held -= 1
            self._new_paths.pop(found.path, None)

    def forget_directory(self, departed: DepartedDirectory) -> None:
        """Forget a directory and those inside it, which moved along with it."""
        for _, directory in directories(departed.directory, departed.path):
            self.drop_directory(identity_of(directory.record))

    def drop_directory(self, identity: FileIdentity) -> None:
        """Forget this directory and nothing that was in it, which may be elsewhere."""
        gone = self._directories.pop(identity, None)
        if gone is not None:
            self._held -= _weight(gone)

    def rebase_files(self, rebase: Callable[[RelPath], RelPath]) -> None:
        """The paths that files left have other names at the replica now."""
        for identity, (path, record) in self._files.items():
            self._files[identity] = DepartedFile(rebase(path), record)


def _weight(departed: DepartedDirectory) -> int:
    """How many entries it keeps in memory; one that left inside another is kept by that one."""
    return 1 if departed.part else 1 + departed.directory.entries
