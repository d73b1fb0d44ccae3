"""Scans a replica's files, so that the tree says what is there.

The replica is documented to have one writer, us; edits of others are found here, and the tree follows. A scan holds the
writer mutex for one directory at a time, so commits come between, and no lock while it reads the content of files.
Readers wait for none of it: what a directory showed is published at once, when the directory has been read.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.changes.before import Before
from dirsync.endpoint.changes.feed import ChangeFeed
from dirsync.endpoint.observer import Observer
from dirsync.endpoint.replica_state import ReplicaState
from dirsync.endpoint.scan.scan_view import ScanView
from dirsync.endpoint.session_options import SessionOptions
from dirsync.errors import StorageError
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import RACY, file_record, flags_of, status_identity
from dirsync.fs.read.hashing import Digester, resolve, unknown_files
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.look import look_at
from dirsync.fs.scan.observe import renew
from dirsync.fs.scan.walk import scan_steps
from dirsync.limits import LIMITS
from dirsync.tree.entry import (
    UNKNOWN,
    UNLISTED,
    Kind,
    Record,
    digest_of,
    fingerprint_of,
    identity_of,
    is_known,
    pack,
    unpack,
)
from dirsync.tree.path import ROOT, RelPath, split
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree

QUICK_SCAN_SECONDS = 5.0
"""A replica whose scan takes longer is not scanned for each new session."""


class Scanner:
    """Scans the files of one replica. From any thread."""

    def __init__(
        self,
        root: Root,
        state: ReplicaState,
        options: SessionOptions,
        require_root: Callable[[], None],
        observer: Observer,
        changes: ChangeFeed | None = None,
    ) -> None:
        """``require_root`` raises unless ``root`` is still what its name leads to; it is asked before each scan.

        ``changes`` is told the paths where something else is than the tree said.
        """
        self._root = root
        self._state = state
        self._options = options
        self._require_root = require_root
        self._observer = observer
        self._changes = ChangeFeed() if changes is None else changes
        self.needs_rescan = False
        """What is on disk may not be what the tree says: it has to be scanned before anything is acknowledged."""
        self._stopping = threading.Event()
        self._now: Monotonic = monotonic
        self._ended = 0.0
        self._cost = 0.0

    def initial(self, tree: Tree) -> None:
        """Learn what the replica holds; may take long.

        ``tree`` is what was remembered: files that it does not prove are read. No other thread sees it yet.

        Raises:
            Unavailable: :meth:`stop` was called meanwhile.
        """
        started = self._now()
        changed: list[RelPath] = []
        with self._root.clone() as root:
            for step in scan_steps(root, tree, self._options.scan_rules(self._state.owner_access)):
                self._observer.directory_scanned(step)
                changed += step.changed
                if self._stopping.is_set():
                    return
            unknown = list(unknown_files(tree))
            # A file that cannot be read keeps a digest that equals nothing.
            resolve(root, tree, unknown, hashed=self._observer.bytes_hashed, cancelled=self._stopping.is_set)
        with self._state.writer:
            self._state.start_with(tree, dict.fromkeys((*changed, *unknown)))
        self._have_scanned(started)

    def rescan(
        self,
        starts: Sequence[RelPath] = (ROOT,),
        *,
        deep: bool = True,
        keep_directories: bool = True,
        problems: list[Problem] | None = None,
    ) -> list[RelPath]:
        """Scan again and repair what the tree said wrongly; returns what those who watch the replica were told of it.

        ``deep`` as in :func:`~dirsync.fs.scan.walk.scan_steps`, ``keep_directories`` as in
        :meth:`SessionOptions.scan_rules_under`; ``problems`` gets what could not be looked at.

        Raises:
            StorageError: the replica's directory is gone, was replaced or cannot be listed.
        """
        started = self._now()
        rules = self._options.scan_rules(self._state.owner_access, keep_directories=keep_directories)
        before = Before(self._state, self._changes)
        try:
            changed = self._follow(
                lambda root, view: scan_steps(root, view, rules, starts, deep=deep), before, problems
            )
        finally:
            told = before.tell()
        self._observer.differences_found(changed)
        if deep and ROOT in starts:
            self.needs_rescan = False
            self._have_scanned(started)
        return told

    def look(self, paths: Sequence[RelPath], directories: Sequence[RelPath] = ()) -> list[RelPath]:
        """Look at these paths, and list these directories; returns what those who watch the replica were told of it.

        Raises:
            StorageError: as :meth:`rescan`.
        """
        rules = self._options.scan_rules(self._state.owner_access)
        before = Before(self._state, self._changes)
        try:
            if paths:
                self._follow(lambda root, view: look_at(root, view, paths, rules), before)
            if directories:
                self._follow(lambda root, view: scan_steps(root, view, rules, directories, deep=False), before)
        finally:
            told = before.tell()
        return told

    def _follow(
        self,
        begin: Callable[[Root, ScanView], Iterator[DirectoryScan]],
        before: Before,
        problems: list[Problem] | None = None,
    ) -> int:
        """Scan step by step, publish what each shows, and read what is unknown; returns how many entries that were."""
        self._require_root()
        changed: list[RelPath] = []
        again: dict[RelPath, Record] = {}
        with self._root.clone() as root:
            view = ScanView(lambda: self._state.tree)
            steps = begin(root, view)
            layout = self._state.layout_version
            while True:
                with self._state.writer:
                    if layout != self._state.layout_version:
                        # A commit came between: what was kept of a directory may be that of another by now.
                        root.forget_all()
                        view.forget_places()
                    published = self._publish_next(steps, view, before, again)
                    layout = self._state.layout_version
                if not published:
                    break
                for step in published:
                    self._observer.directory_scanned(step)
                    changed += step.changed
                    _require_listed_root(step)
                    if problems is not None:
                        problems += step.problems
            self._read_unknown(root, changed)
            self._read_again(root, again)
        return len(changed)

    def listing_problem(self, path: RelPath) -> Problem | None:
        """List the directory at ``path`` again; why that is not possible, if so."""
        problems: list[Problem] = []
        self.rescan((path,), problems=problems)
        record = self._state.record(path)
        if record is None or digest_of(record) != UNLISTED:
            return None
        return next((problem for problem in problems if problem.kind is ProblemKind.UNREADABLE), None)

    def rescan_if_due(self) -> None:
        """Before a session compares: scan again, unless that was just done or would take long.

        Edits of the replica by hand are found now instead of at the next periodic scan.
        """
        due = self._ended + self._cost * LIMITS.rescan_cost_stretch
        if self._cost <= QUICK_SCAN_SECONDS and self._now() >= due:
            self.rescan()

    def invalidate(self, path: RelPath, digest: bytes) -> None:
        """The content at ``path`` does not have this digest, whatever the tree says and proves: read it again."""
        with self._state.writer:
            known = self._state.record(path)
            if known is None or known[0] != Kind.FILE or unpack(known).digest != digest:
                return
            unread = unpack(known)._replace(digest=UNKNOWN)
            self._state.put(path, pack(unread, fingerprint_of(known)))
        self.rescan((split(path)[0],), deep=False)
        with self._root.clone() as root:
            # If nothing showed that it was touched, its medium lost it, or it was edited within a tick of the clock.
            self._observer.differences_found(self._read_unknown(root, (path,)))
        self._changes.publish((path,))

    def stop(self) -> None:
        """Let what is under way end."""
        self._stopping.set()

    def _have_scanned(self, started: float) -> None:
        self._ended = self._now()
        self._cost = self._ended - started

    def _publish_next(
        self, steps: Iterator[DirectoryScan], view: ScanView, before: Before, again: dict[RelPath, Record]
    ) -> list[DirectoryScan]:
        """Scan one directory and publish what it showed; returns the steps, none at the end.

        Directories that were waiting for a reason to stay in the tree come together. A file that shows no change, but
        whose time proves nothing, stays in the tree as it is until it was read ``again``. Otherwise its content could
        not be found meanwhile.
        """
        published: list[DirectoryScan] = []
        for step in steps:
            published.append(step)
            before.note(step.changed)
            changes = view.take_changes(step.changed)
            doubtful = {path: found for path, found in changes if found is not None and self._is_doubtful(path, found)}
            again |= doubtful
            self._state.found([change for change in changes if change[0] not in doubtful])
            if not view.differs:
                break
        return published

    def _is_doubtful(self, path: RelPath, found: Record) -> bool:
        """Whether the file at ``path`` shows no change, and its time proves nothing."""
        known = self._state.record(path)
        return (
            known is not None
            and found[0] == known[0] == Kind.FILE
            and bool(flags_of(known) & RACY)
            and digest_of(found) == UNKNOWN
            and is_known(digest_of(known))
            and fingerprint_of(found)[1:] == fingerprint_of(known)[1:]
        )

    def _read_again(self, root: Root, doubtful: dict[RelPath, Record]) -> None:
        """Read files of which it is not proved that they are what the tree says."""
        digester = Digester(root, hashed=self._observer.bytes_hashed, cancelled=self._stopping.is_set)
        for path, found in doubtful.items():
            known = self._state.record(path)
            if known is None or fingerprint_of(known)[1:] != fingerprint_of(found)[1:]:
                continue  # something else came to the path
            fresh = found
            with contextlib.suppress(PathFailure):
                digest, status, looked_at_ns = digester.digest(path)
                if status_identity(status) == identity_of(found):
                    fresh = renew(known, file_record(status, looked_at_ns, digest))
            with self._state.writer:
                if self._state.record(path) is known:
                    self._state.put(path, fresh)

    def _read_unknown(self, root: Root, paths: Iterable[RelPath]) -> int:
        """Read those files whose digest is unknown; returns how many were read."""
        read = 0
        digester = Digester(root, hashed=self._observer.bytes_hashed, cancelled=self._stopping.is_set)
        for path in paths:
            known = self._state.record(path)
            if known is None or not _is_unread(known):
                continue
            try:
                digest, status, looked_at_ns = digester.digest(path)
            except PathFailure:
                continue  # its digest equals nothing
            with self._state.writer:
                if self._state.record(path) is known:
                    self._state.put(path, renew(known, file_record(status, looked_at_ns, digest)))
            read += 1
        return read


def _require_listed_root(step: DirectoryScan) -> None:
    """Raise StorageError where the root was not listed: it has no record that could say so."""
    for problem in step.problems:
        if not step.path and problem.kind is ProblemKind.UNREADABLE:
            msg = f"the replica's directory cannot be read: {problem.message}"
            raise StorageError(msg, reason="ROOT_UNREADABLE")


def _is_unread(record: Record) -> bool:
    return record[0] == Kind.FILE and not is_known(digest_of(record))
