"""Does what the reconciler wants of the source: looking, checking, reading a few bytes or a small file."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirsync.endpoint.source.source import Source
from dirsync.fs.read.hashing import Digester
from dirsync.fs.read.openable import is_openable
from dirsync.fs.root import RootState
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    CheckSource,
    HashFile,
    LookAt,
    ProbeFile,
    ProbeSource,
    SourceCommand,
)
from dirsync_client.reconcile.events import Event, FileHashed, FileProbed, SourceChanged, SourceChecked
from dirsync_client.transfer.hasher import hash_file

if TYPE_CHECKING:
    from dirsync_client.targets.source_view import SourceView


class SourceExecutor:
    """Works on the engine's thread. Each command is done before the call returns."""

    def __init__(self, source: Source, view: "Source | SourceView") -> None:
        """``view`` is what the target sees of the source, with what is settled for its replica alone."""
        self._source = source
        self._view = view

    def execute(self, command: SourceCommand | ProbeFile | HashFile) -> Event | None:
        """Do what ``command`` says, and return what came of it."""
        source = self._source
        match command:
            case ProbeFile(path=path):
                return FileProbed(path, source.probe(path))
            case HashFile(path=path, planned=planned):
                return FileHashed(path, planned, self._hash(command))
            case LookAt(paths=paths, retry=retry):
                return SourceChanged(source.look(paths), retried=paths if retry else ())
            case ProbeSource(paths=paths):
                readable = [path for path in paths if is_openable(source.root, path)]
                return SourceChanged(source.look_again(readable), retried=readable)
            case CheckSource():
                return SourceChecked(source.root.state() is RootState.SAME)
            case AcceptMounts():
                self._view.accept_mounts()
        return None

    def remember(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """Files were read: keep their records in the index."""
        self._source.remember(records)

    def _hash(self, command: HashFile) -> Record | Problem | None:
        return hash_file(Digester(self._source.root), command.path)
