"""Computing the digests of files: SHA-256 over one version of the content.

Large files are hashed in large reads into one buffer, without the interpreter's lock, so threads help. Small files are
handed over in batches, because handing over costs more than hashing. Every thread has its own clone of the root.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.errors import Unavailable
from dirsync.fs.failure import Growing, PathFailure, shown
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.extents import zeros
from dirsync.fs.read.stable import StableFile, changing
from dirsync.fs.root import Root
from dirsync.fs.scan.observe import renew
from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, Record, digest_of, is_known
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.tree import Tree

Hashed = Callable[[int], object]
"""Called for each part that was hashed, with its size in bytes; from several threads."""

Cancelled = Callable[[], bool]
"""Called before each part; true ends the work with :class:`~dirsync.errors.Unavailable`."""


class Digester:
    """Hashes files of one root with one buffer. Belongs to one thread."""

    def __init__(
        self,
        root: Root,
        *,
        hashed: Hashed | None = None,
        cancelled: Cancelled | None = None,
        now: WallNanoseconds = wall_ns,
    ) -> None:
        self._root = root
        self._hashed = hashed
        self._cancelled = cancelled
        self._now = now
        self._buffer = memoryview(bytearray(0))

    def digest(self, path: RelPath) -> tuple[bytes, os.stat_result, int]:
        """SHA-256 of a file, the status that belongs to it, and the time before its status was read (ns).

        What another reader of the same version has found is not looked for again.

        Raises:
            PathFailure: Vanished, Unreadable, Changing if it changed each time, or Growing if it was longer each time.
            Unavailable: cancelled.
        """
        if self._root.reads is None:
            return self._digest(path)
        with StableFile(self._root, path, self._now) as file:
            version = file.version
        return self._digest(path) if version is None else version.once("digest", lambda: self._digest(path))

    def _digest(self, path: RelPath) -> tuple[bytes, os.stat_result, int]:
        first: int | None = None
        size = 0
        for _ in range(LIMITS.stable_read_attempts):
            with StableFile(self._root, path, self._now) as file:
                digest, size = self._read(file)
                status = file.settled()
                if status is not None and size == status.st_size:
                    return digest, status, file.looked_at_ns
                first = file.size if first is None else first
        if first is not None and size > first:
            raise Growing(path, f"{shown(path)} grew each time while it was read; it is tried again later")
        raise changing(path)

    def _read(self, file: StableFile) -> tuple[bytes, int]:
        hasher, size = hashlib.sha256(), 0
        buffer = self._buffer_for(file.size)
        while True:
            if self._cancelled is not None and self._cancelled():
                raise Unavailable("hashing was cancelled")
            if (left := min(file.size - size, len(buffer))) > 0 and file.skip_hole(left):
                hasher.update(zeros(left))
                count = left
            else:
                count = file.read_into(buffer)
                hasher.update(buffer[:count])
            size += count
            if self._hashed is not None:
                self._hashed(count)
            if not count or size > file.size or (size == file.size and count < len(buffer)):
                return hasher.digest(), size

    def _buffer_for(self, size: int) -> memoryview:
        """A buffer of at least one byte more than the file, so that one read finds the end, up to the largest read."""
        wanted = min(size + 1, LIMITS.file_read_bytes)
        if len(self._buffer) < wanted:
            wanted = max(wanted, min(LIMITS.inline_file_bytes, LIMITS.file_read_bytes))
            self._buffer = memoryview(bytearray(wanted))
        return self._buffer


def resolve(
    root: Root,
    tree: Tree,
    paths: Iterable[RelPath],
    *,
    threads: int = 2,
    hashed: Hashed | None = None,
    cancelled: Cancelled | None = None,
    now: WallNanoseconds = wall_ns,
) -> list[Problem]:
    """Compute the digests of the files at ``paths`` in the tree; a path that is not a file of the tree is skipped.

    A file that changed since it was scanned gets the record of what was read. A file that cannot be read, or vanished,
    keeps its record and is returned as a Problem; the next scan finds out more.

    Raises:
        Unavailable: cancelled; what was done by then is in the tree.
    """
    clones = [root.clone() for _ in range(threads)]
    try:
        return _Resolution(tree, paths).run([Digester(c, hashed=hashed, cancelled=cancelled, now=now) for c in clones])
    finally:
        for clone in clones:
            clone.close()


def unknown_files(tree: Tree) -> Iterator[RelPath]:
    """Every file of the tree that has not been read yet."""
    return (path for path, record in tree.files() if not is_known(digest_of(record)))


_Outcome = tuple[RelPath, Record] | Problem | BaseException | None


class _Resolution:
    """Threads that hash, and the caller's thread, which owns the tree."""

    def __init__(self, tree: Tree, paths: Iterable[RelPath]) -> None:
        self._tree = tree
        # Asked here, and not by the threads that hash. RACE: a tree remembers where it was last asked, so looking up in
        # one thread while another puts something makes that land in the wrong directory.
        self._paths = iter([path for path in paths if _is_file(tree.record(path))])
        self._lock = threading.Lock()
        self._outcomes: SimpleQueue[list[_Outcome]] = SimpleQueue()

    def run(self, digesters: list[Digester]) -> list[Problem]:
        workers = [threading.Thread(target=self._work, args=(d,), name="hash", daemon=True) for d in digesters]
        for worker in workers:
            worker.start()
        try:
            return self._collect(len(workers))
        finally:
            for worker in workers:
                worker.join()

    def _collect(self, workers: int) -> list[Problem]:
        problems: list[Problem] = []
        failure: BaseException | None = None
        while workers:
            for outcome in self._outcomes.get():
                match outcome:
                    case None:
                        workers -= 1
                    case Problem():
                        problems.append(outcome)
                    case BaseException():
                        failure = failure or outcome
                    case (path, record):
                        self._tree.put(path, renew(self._tree.record(path), record))
        if failure is not None:
            raise failure
        return problems

    def _work(self, digester: Digester) -> None:
        try:
            while batch := self._take():
                self._outcomes.put([self._digest(digester, path) for path in batch])
        except BaseException as error:  # noqa: BLE001  handed to the caller, who raises it
            self._outcomes.put([error])
        finally:
            self._outcomes.put([None])

    def _take(self) -> list[RelPath]:
        with self._lock:
            return list(islice(self._paths, LIMITS.hash_batch_files))

    def _digest(self, digester: Digester, path: RelPath) -> _Outcome:
        try:
            digest, status, looked_at_ns = digester.digest(path)
        except PathFailure as failure:
            return failure.problem()
        return path, file_record(status, looked_at_ns, digest)


def _is_file(record: Record | None) -> bool:
    return record is not None and record[0] == Kind.FILE
