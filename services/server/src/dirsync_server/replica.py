"""A replica: the tree, the files that it describes, and the index that remembers both.

The lock guards the tree, the index and every act on the files; whoever reads the tree or changes anything holds it. The
records say what the *source* declared, beside the fingerprint that proves the file untouched since, so a replica with
fixed modes or coarse timestamps compares equal all the same.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.errors import DirsyncError, NotFound, StorageError, Unavailable
from dirsync.fs.durable import Fsync
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import file_record
from dirsync.fs.hashing import Digester, resolve, unknown_files
from dirsync.fs.index import Index
from dirsync.fs.locate import locate
from dirsync.fs.modes import ModePolicy
from dirsync.fs.observe import renew
from dirsync.fs.root import Root, RootState
from dirsync.fs.rules import ScanRules
from dirsync.fs.scan import DirectoryScan
from dirsync.fs.staging import Staging
from dirsync.fs.walk import scan_steps
from dirsync.limits import LIMITS
from dirsync.runtime.metrics import Counter
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, unpack
from dirsync.tree.ignore import IgnoreRules
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT, RelPath, components, escape, join
from dirsync.tree.problem import Problem
from dirsync.tree.tree import Attributes, Tree
from dirsync_server.quota import Quota, Usage

Looked = Callable[[DirectoryScan], None]
"""Told what each listing of a directory found."""

LOOK_AGAIN_SECONDS = 5.0
"""A replica that takes longer to be looked at is not looked at for each new session."""
_OPTIONS = "options"
_REPLICA_ID = "replica_id"
_GENERATION = "generation"


class ReplicaPolicy(NamedTuple):
    """How a replica is kept."""

    quota: Quota
    fsync: Fsync = Fsync.BATCH
    modes: ModePolicy = ModePolicy()

    @property
    def preserves_mode(self) -> bool:
        """Whether permission bits of the source are kept."""
        return self.modes == ModePolicy.preserve()


class Replica:
    """One namespace's replica."""

    def __init__(self, namespace: str, root: Root, staging: Staging, index: Index, policy: ReplicaPolicy) -> None:
        """Takes over ``root`` (locked), ``staging`` and ``index``; :meth:`scan` has to come before any use."""
        self.namespace = namespace
        self.root = root
        self.staging = staging
        self.index = index
        self.policy = policy
        self.location = locate(root)
        self.lock = threading.RLock()
        self.options = _load_options(index)
        self.tree = Tree(self.options.attributes)
        self._bytes: int | None = 0
        """Sum of the sizes of all files; ``None`` after a look that found changes: counted when somebody asks."""
        self.problems: dict[RelPath, Problem] = {}
        self.repaired = Counter()
        self.looked: Looked = lambda _step: None
        """Entries that were found to be other than the tree said."""
        self.last_commit: float | None = None
        self.suspect = False
        """What is on disk may not be what the tree says: it has to be looked at before anything is acknowledged."""
        self._ignore = IgnoreRules(self.options.ignore_rules)
        self._ready = False
        self._stopping = threading.Event()
        self._now: Monotonic = monotonic
        self._looked = 0.0
        self._look_cost = 0.0
        self.id = _load_or_make_id(index)
        self.generation = int(index.get_meta(_GENERATION) or b"0")

    @classmethod
    def open(cls, namespace: str, path: Path, state_dir: Path, policy: ReplicaPolicy) -> "Replica":
        """Open the replica at ``path``; the directory is made when missing.

        Raises:
            UsageError: the directory cannot be used, or another process uses it.
        """
        path.mkdir(parents=True, exist_ok=True)
        root = Root.open(path)
        root.lock()
        index = Index.open(state_dir, f"{namespace}.sqlite")
        return cls(namespace, root, Staging.open(root), index, policy)

    # Reading.

    @property
    def ready(self) -> bool:
        """Whether the tree is known."""
        return self._ready

    def require_ready(self) -> None:
        """Raise Unavailable while the replica is being read."""
        if not self._ready:
            msg = "the replica is being read; try again soon"
            raise Unavailable(msg, reason="SCANNING")

    def children(self, path: RelPath) -> list[tuple[bytes, Entry]]:
        """Names and entries in a directory, in byte order.

        Raises:
            NotFound: there is no such directory.
        """
        with self.lock:
            self.require_ready()
            if self.tree.directory(path) is None:
                msg = f"the replica has no directory {escape(path)!r}"
                raise NotFound(msg, reason="PATH_NOT_FOUND")
            return list(self.tree.children(path))

    def walk(self, path: RelPath, *, recursive: bool) -> Iterable[tuple[RelPath, Entry]]:
        """Entries below a directory, parents before children; consistent for each directory, not across them."""
        stack = [(path, iter(self.children(path)))]
        while stack:
            parent, children = stack[-1]
            child = next(children, None)
            if child is None:
                stack.pop()
                continue
            name, entry = child
            child_path = join(parent, name)
            yield child_path, entry
            if recursive and entry.is_directory:
                try:
                    stack.append((child_path, iter(self.children(child_path))))
                except NotFound:
                    continue

    @property
    def bytes(self) -> int:
        """Sum of the sizes of all files."""
        with self.lock:
            if self._bytes is None:
                self._bytes = sum(unpack(record).size for _, record in self.tree.walk())
            return self._bytes

    def usage(self) -> Usage:
        """What the replica holds."""
        return Usage(self.bytes, self.root.free_bytes())

    def ignores(self, path: RelPath) -> bool:
        """Whether ``path`` or something above it is ignored in this session."""
        if not self._ignore.lines:
            return False
        names = components(path)
        upper = (RelPath(b"/".join(names[:depth])) for depth in range(1, len(names)))
        return any(self._ignore.matches(p, True) for p in upper) or self._ignore.matches(path, False)

    # Looking at the files.

    def scan(self) -> None:
        """Learn what the replica holds: the index first, then the files that it does not prove; may take long.

        Raises:
            Unavailable: :meth:`close` was called meanwhile.
        """
        started = self._now()
        tree = Tree(self.options.attributes)
        self.index.load(tree)
        problems: dict[RelPath, Problem] = {}
        changed: list[RelPath] = []
        with self.root.clone() as root:
            for step in scan_steps(root, tree, self.scan_rules(self._ignore)):
                self.looked(step)
                problems.update((problem.path, problem) for problem in step.problems)
                changed += step.changed
                if self._stopping.is_set():
                    return
            unknown = list(unknown_files(tree))
            unread = resolve(root, tree, unknown, cancelled=self._stopping.is_set)
            problems.update((problem.path, problem) for problem in unread)
        with self.lock:
            self.tree, self.problems = tree, problems
            self._bytes = None
            for path in dict.fromkeys((*changed, *unknown)):
                self._store(path)
            self._ready = True
        self._have_looked(started)

    def agree(self, asked: TreeOptions) -> TreeOptions:
        """Take over a session's options as far as the policy allows; gives what holds from now on. Holds the lock."""
        mode = asked.attributes.mode and self.policy.preserves_mode
        options = asked._replace(attributes=Attributes(mode, asked.attributes.mtime))
        if options == self.options:
            return options
        if options.attributes != self.options.attributes:
            self.tree = self.tree.copy(options.attributes)
        rules_changed = options.ignore_rules != self.options.ignore_rules
        self.options = options
        self._ignore = IgnoreRules(options.ignore_rules)
        _store_options(self.index, options)
        if rules_changed:
            self.rescan(keep_directories=False)
        return options

    def rescan(self, starts: Sequence[RelPath] = (ROOT,), *, deep: bool = True, keep_directories: bool = True) -> int:
        """Look at the files again and repair what the tree said wrongly; gives how many entries that were.

        ``keep_directories`` as in :meth:`scan_rules`.
        The lock is held for a directory at a time, and not while files are read.
        """
        self.require_root()
        started = self._now()
        changed: list[RelPath] = []
        with self.root.clone() as root:
            rules = self.scan_rules(self._ignore, keep_directories=keep_directories)
            steps = scan_steps(root, self.tree, rules, starts, deep=deep)
            while True:
                with self.lock:
                    step = next(steps, None)
                    if step is None:
                        break
                    self.looked(step)
                    self._note(step.path, step.problems)
                    for path in step.changed:
                        self._store(path)
                changed += step.changed
            self._read_unknown(root, changed)
        if changed:
            with self.lock:
                self._bytes = None
                self.repaired.inc(len(changed))
        if deep and ROOT in starts:
            self.suspect = False
            self._have_looked(started)
        return len(changed)

    def look_again(self) -> None:
        """Before a session compares: look at the files again, unless that was just done or would take long.

        Whoever edited the replica by hand is found now instead of at the next periodic look.
        """
        due = self._looked + self._look_cost * LIMITS.rescan_cost_stretch
        if self._look_cost <= LOOK_AGAIN_SECONDS and self._now() >= due:
            self.rescan()

    def commit_done(self) -> None:
        """A commit ended: the time counts from now."""
        self.last_commit = self._now()

    def next_generation(self) -> int:
        """A new fencing number; holds the lock."""
        self.generation += 1
        self.index.set_meta(_GENERATION, str(self.generation).encode())
        return self.generation

    def close(self) -> None:
        """Write the index and let go of everything."""
        self._stopping.set()
        with self.lock:
            self._ready = False
            self.index.close()
            self.staging.close()
            self.root.close()

    def require_root(self) -> None:
        """Raise StorageError where the root's name leads elsewhere: what we hold open is nobody's replica any more."""
        if self.root.state() is not RootState.SAME:
            msg = f"the replica's directory is gone or was replaced; restart the server of {self.namespace!r}"
            raise StorageError(msg, reason="ROOT_CHANGED")

    def trouble(self) -> str:
        """Why the replica cannot be written at present; empty if it can."""
        if self.root.state() is not RootState.SAME:
            return f"the directory of {self.namespace!r} is gone or was replaced"
        if self.root.free_bytes() < self.policy.quota.min_free_bytes:
            return f"the disk of {self.namespace!r} is full: less than MIN_FREE_BYTES is left"
        return ""

    def scan_rules(self, ignore: IgnoreRules, *, keep_directories: bool = True) -> ScanRules:
        """What a look at the files lists under these ignore rules.

        Directories that the tree has stay in it without content that counts (``keep_directories``): the source has
        them. Not so if the tree was made under other rules: then what was ignored may be why it has them.
        """
        return ScanRules(
            ignores=ignore.matches if ignore.lines else None,
            reserved=self.staging.reserved_names,
            keep_known_directories=keep_directories,
        )

    def _have_looked(self, started: float) -> None:
        self._looked = self._now()
        self._look_cost = self._looked - started

    def _read_unknown(self, root: Root, paths: Iterable[RelPath]) -> None:
        digester = Digester(root, cancelled=self._stopping.is_set)
        for path in paths:
            with self.lock:
                known = self.tree.record(path)
            if known is None or known[0] != Kind.FILE or unpack(known).digest != UNKNOWN:
                continue
            try:
                digest, status, looked_at_ns = digester.digest(path)
            except PathFailure as failure:
                self.problems[path] = failure.problem()
                continue
            with self.lock:
                if self.tree.record(path) is known:
                    self.tree.put(path, renew(known, file_record(status, looked_at_ns, digest)))
                    self._store(path)

    def _note(self, directory: RelPath, problems: Iterable[Problem]) -> None:
        for path in [p for p in self.problems if p == directory or p.rpartition(b"/")[0] == directory]:
            del self.problems[path]
        self.problems.update((problem.path, problem) for problem in problems)

    def _store(self, path: RelPath) -> None:
        record = self.tree.record(path)
        if record is None:
            self.index.remove(path)
        else:
            self.index.put(path, record)

    def put(self, path: RelPath, record: Record) -> None:
        """Something was published at ``path``; holds the lock."""
        if self._bytes is not None:
            self._bytes += unpack(record).size - self.size_of(path)
        self.tree.put(path, record)
        self.index.put(path, record)

    def remove(self, path: RelPath) -> None:
        """What was at ``path``, no directory with content, is gone; holds the lock."""
        if self._bytes is not None:
            self._bytes -= self.size_of(path)
        self.tree.remove(path)
        self.index.remove(path)

    def size_of(self, path: RelPath) -> int:
        """Bytes of the file at ``path``; 0 if there is none."""
        record = self.tree.record(path)
        return 0 if record is None else unpack(record).size

    def entry(self, path: RelPath) -> Entry | None:
        """What is at ``path``; a directory without its digest."""
        record = self.tree.record(path)
        return None if record is None else unpack(record)


def _load_options(index: Index) -> TreeOptions:
    """The options of the last session, so that a restart needs no scan of its own for them."""
    try:
        kept = json.loads(index.get_meta(_OPTIONS) or b"{}")
        rules = tuple(bytes.fromhex(rule) for rule in kept["ignore"])
        options = TreeOptions(Attributes(bool(kept["mode"]), bool(kept["mtime"])), rules)
        IgnoreRules(rules)
    except (ValueError, KeyError, TypeError, DirsyncError):
        return TreeOptions()
    return options


def _store_options(index: Index, options: TreeOptions) -> None:
    attributes = options.attributes
    kept = {"mode": attributes.mode, "mtime": attributes.mtime, "ignore": [rule.hex() for rule in options.ignore_rules]}
    index.set_meta(_OPTIONS, json.dumps(kept).encode())


def _load_or_make_id(index: Index) -> str:
    kept = index.get_meta(_REPLICA_ID)
    if kept is not None and kept.isalnum():
        return kept.decode()
    made = uuid.uuid4().hex
    index.set_meta(_REPLICA_ID, made.encode())
    return made
