"""Reads large files whose content may turn out to be what the replica has, beside the engine's own work."""

from collections.abc import Callable

from dirsync.errors import PathError, Unavailable
from dirsync.fs.failure import Growing, PathFailure
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.hashing import Digester
from dirsync.fs.root import Root
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.lifecycle.activity import Activities, Part
from dirsync_client.lifecycle.queue_thread import QueueThread
from dirsync_client.reconcile.events import FileHashed


def hash_file(digester: Digester, path: RelPath) -> Record | Problem | None:
    """The record of a file, with its digest, or why it could not be read; ``None``: it grows.

    Raises:
        Unavailable: the digester was told to stop.
    """
    try:
        digest, status, looked_at_ns = digester.digest(path)
    except Growing:
        return None
    except PathFailure as failure:
        return failure.problem()
    except PathError as error:
        return Problem(path, ProblemKind.UNREADABLE, str(error))
    return file_record(status, looked_at_ns, digest)


class Hasher:
    """One thread with a queue; results are posted in the order in which files were given."""

    def __init__(self, root: Root, post: Callable[[FileHashed], None], activities: Activities) -> None:
        doing = "reading files that the replica may have"
        self._thread = QueueThread[tuple[RelPath, Record | None]]("dirsync-hash", doing, activities, self._run)
        self._root = root.clone()
        self._post = post
        self._digester = Digester(self._root, cancelled=self._goes_on)
        self._thread.start()

    def add(self, path: RelPath, planned: Record | None) -> None:
        """Read this file, whose record is ``planned``."""
        self._thread.jobs.put((path, planned))

    def close(self) -> None:
        """Stop after the file at hand."""
        self._thread.close()
        self._root.close()

    def _goes_on(self) -> bool:
        """Asked between two pieces of a file; whether to stop."""
        self._thread.activity.begin(Part.SOURCE)
        return self._thread.stopped.is_set()

    def _run(self) -> None:
        activity = self._thread.activity
        while (job := self._thread.jobs.get()) is not None:
            path, planned = job
            if self._thread.stopped.is_set():
                return
            activity.begin(Part.SOURCE)
            try:
                found = hash_file(self._digester, path)
            except Unavailable:
                return
            # What is kept open may be another directory by the next file, and keeps a mount busy.
            self._root.forget_all()
            activity.rest()
            self._post(FileHashed(path, planned, found))
