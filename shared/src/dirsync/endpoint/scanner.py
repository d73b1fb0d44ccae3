"""Looking at a replica's files, so that the tree says what is there.

The replica is documented to have one writer, us; whoever else edits it is found here, and the tree follows. The lock is
held for a directory at a time, and never while a file is read.
"""

import threading
from collections.abc import Callable, Iterable, Sequence

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.content_index import Contents
from dirsync.endpoint.replica_state import Holdings
from dirsync.endpoint.session_options import Agreement
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import file_record
from dirsync.fs.read.hashing import Digester, resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.observe import renew
from dirsync.fs.scan.walk import scan_steps
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.metrics import NO_COUNTER, Counter
from dirsync.tree.entry import UNKNOWN, Kind, fingerprint_of, pack, unpack
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.problem import Problem
from dirsync.tree.tree import Tree

Looked = Callable[[DirectoryScan], None]
"""Told what each listing of a directory found."""

LOOK_AGAIN_SECONDS = 5.0
"""A replica that takes longer to be looked at is not looked at for each new session."""


class Look:
    """Looks at the files of one replica. From any thread."""

    def __init__(self, root: Root, holdings: Holdings, agreement: Agreement, require_root: Callable[[], None]) -> None:
        """``require_root`` raises unless ``root`` is still what its name leads to; it is asked before each look."""
        self._root = root
        self._holdings = holdings
        self._agreement = agreement
        self._require_root = require_root
        self.problems: dict[RelPath, Problem] = {}
        self.found: Counter = NO_COUNTER
        """Entries that were found to be other than the tree said."""
        self.hashed: Counter = NO_COUNTER
        """Bytes of files that were read for their digests."""
        self.looked: Looked = lambda _step: None
        self.suspect = False
        """What is on disk may not be what the tree says: it has to be looked at before anything is acknowledged."""
        self._stopping = threading.Event()
        self._now: Monotonic = monotonic
        self._ended = 0.0
        self._cost = 0.0

    def first(self, tree: Tree) -> None:
        """Learn what the replica holds; may take long.

        ``tree`` is what was remembered: files that it does not prove are read.

        Raises:
            Unavailable: :meth:`stop` was called meanwhile.
        """
        started = self._now()
        problems: dict[RelPath, Problem] = {}
        changed: list[RelPath] = []
        with self._root.clone() as root:
            for step in scan_steps(root, tree, self._agreement.scan_rules()):
                self.looked(step)
                problems.update((problem.path, problem) for problem in step.problems)
                changed += step.changed
                if self._stopping.is_set():
                    return
            unknown = list(unknown_files(tree))
            unread = resolve(root, tree, unknown, hashed=self.hashed.inc, cancelled=self._stopping.is_set)
            problems.update((problem.path, problem) for problem in unread)
        contents = Contents()
        contents.fill(tree)
        with self._holdings.lock:
            self.problems = problems
            self._holdings.learned(tree, contents, dict.fromkeys((*changed, *unknown)))
        self._have_looked(started)

    def rescan(self, starts: Sequence[RelPath] = (ROOT,), *, deep: bool = True, keep_directories: bool = True) -> int:
        """Look at the files again and repair what the tree said wrongly; gives how many entries that were.

        ``deep`` as in :func:`~dirsync.fs.scan.walk.scan_steps`, ``keep_directories`` as in
        :func:`~dirsync.endpoint.session_options.scan_rules`.

        Raises:
            StorageError: the replica's directory is gone or was replaced.
        """
        self._require_root()
        started = self._now()
        changed: list[RelPath] = []
        with self._root.clone() as root:
            rules = self._agreement.scan_rules(keep_directories=keep_directories)
            steps = scan_steps(root, self._holdings.tree, rules, starts, deep=deep)
            rearranged = self._holdings.rearranged
            while True:
                with self._holdings.lock:
                    if rearranged != self._holdings.rearranged:
                        # A commit came between: what was kept open of a directory may be that of another by now.
                        rearranged = self._holdings.rearranged
                        root.forget_all()
                    step = next(steps, None)
                    if step is None:
                        break
                    self.looked(step)
                    self._note(step.path, step.problems)
                    for path in step.changed:
                        self._holdings.looked(path)
                changed += step.changed
            self._read_unknown(root, changed)
        self.found.inc(len(changed))
        if deep and ROOT in starts:
            self.suspect = False
            self._have_looked(started)
        return len(changed)

    def again(self) -> None:
        """Before a session compares: look at the files again, unless that was just done or would take long.

        Whoever edited the replica by hand is found now instead of at the next periodic look.
        """
        due = self._ended + self._cost * LIMITS.rescan_cost_stretch
        if self._cost <= LOOK_AGAIN_SECONDS and self._now() >= due:
            self.rescan()

    def doubt(self, path: RelPath, digest: bytes) -> None:
        """The content at ``path`` does not have this digest, whatever the tree says and proves: read it again."""
        with self._holdings.lock:
            known = self._holdings.tree.record(path)
            if known is None or known[0] != Kind.FILE or unpack(known).digest != digest:
                return
            unread = unpack(known)._replace(digest=UNKNOWN)
            self._holdings.put(path, pack(unread, fingerprint_of(known)))
        self.rescan((split(path)[0],), deep=False)
        with self._root.clone() as root:
            # If nothing showed that it was touched, its medium lost it, or it was edited within a tick of the clock.
            self.found.inc(self._read_unknown(root, (path,)))

    def stop(self) -> None:
        """Let what is under way end."""
        self._stopping.set()

    def _have_looked(self, started: float) -> None:
        self._ended = self._now()
        self._cost = self._ended - started

    def _read_unknown(self, root: Root, paths: Iterable[RelPath]) -> int:
        """Read those files that nobody has read; gives how many were."""
        read = 0
        digester = Digester(root, hashed=self.hashed.inc, cancelled=self._stopping.is_set)
        for path in paths:
            with self._holdings.lock:
                known = self._holdings.tree.record(path)
            if known is None or known[0] != Kind.FILE or unpack(known).digest != UNKNOWN:
                continue
            try:
                digest, status, looked_at_ns = digester.digest(path)
            except PathFailure as failure:
                self.problems[path] = failure.problem()
                continue
            with self._holdings.lock:
                if self._holdings.tree.record(path) is known:
                    self._holdings.put(path, renew(known, file_record(status, looked_at_ns, digest)))
            read += 1
        return read

    def _note(self, directory: RelPath, problems: Iterable[Problem]) -> None:
        for path in [p for p in self.problems if p == directory or p.rpartition(b"/")[0] == directory]:
            del self.problems[path]
        self.problems.update((problem.path, problem) for problem in problems)
