"""Reads large files whose content may turn out to be what the replica has, beside the engine's own work."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dirsync.errors import Unavailable
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file was read: its record with its digest, or why it could not be; ``None`` if it was seen to differ."""

    path: RelPath
    planned: Record | None
    result: Record | Problem | None


class Hasher:
    """One thread with a queue; results are posted in the order in which files were given."""

    def __init__(self, root: Root, post: Callable[[Hashed], None]) -> None:
        self._root = root.clone()
        self._post = post
        self._queue: queue.SimpleQueue[tuple[RelPath, Record | None] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._digester = Digester(self._root, cancelled=self._stopped.is_set)
        self._thread = threading.Thread(target=self._run, name="dirsync-hash", daemon=True)
        self._thread.start()

    def add(self, path: RelPath, planned: Record | None) -> None:
        """Read this file, whose record is ``planned``."""
        self._queue.put((path, planned))

    def close(self) -> None:
        """Stop after the file at hand."""
        self._stopped.set()
        self._queue.put(None)
        self._thread.join()
        self._root.close()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            path, planned = job
            if self._stopped.is_set():
                return
            self._root.forget_all()
            try:
                self._post(Hashed(path, planned, self._read(path)))
            except Unavailable:
                return

    def _read(self, path: RelPath) -> Record | Problem:
        try:
            digest, status, looked_at_ns = self._digester.digest(path)
        except PathFailure as failure:
            return failure.problem()
        return file_record(status, looked_at_ns, digest)
