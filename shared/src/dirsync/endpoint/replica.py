"""A replica: one namespace's directory on this server, and all that belongs to it."""

import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from dirsync.clock import monotonic
from dirsync.endpoint.changes.feed import ChangeFeed
from dirsync.endpoint.observer import SILENT, Observer
from dirsync.endpoint.ownership import ALONE, Ownership
from dirsync.endpoint.quota import Quota, Usage
from dirsync.endpoint.replica_state import ReplicaState, Totals
from dirsync.endpoint.scan.scanner import Scanner
from dirsync.endpoint.session_options import SessionOptions
from dirsync.endpoint.uploads.kept_uploads import KeptUploads
from dirsync.endpoint.writer_mutex import WriterMutex
from dirsync.errors import NotFound, OptionsDiffer, StorageError, Unavailable, UsageError
from dirsync.fs.index.index import Index
from dirsync.fs.locate import locate
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.fs.root import Root, RootState
from dirsync.fs.write.durable import Fsync, sync_found
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, FileIdentity
from dirsync.tree.options import Attributes, TreeOptions, difference
from dirsync.tree.path import RelPath, escape, join
from dirsync.tree.tree import Tree

_REPLICA_ID = "replica_id"
_GENERATION = "generation"
_SESSION_BITS = 20
"""Sessions of one owner that are told apart: a million."""
_MOUNTED = "mounted"
"""Whether a file system was mounted at the replica's directory when the server started last."""


class ReplicaPolicy(NamedTuple):
    """How a replica is kept."""

    quota: Quota
    fsync: Fsync = Fsync.BATCH
    modes: ModePolicy = ModePolicy()
    own_logs: frozenset[FileIdentity] = frozenset()
    """Files that the server writes its log to: they belong to no replica."""

    @property
    def preserves_mode(self) -> bool:
        """Whether permission bits of the source are kept."""
        return self.modes == ModePolicy.preserve()


class Replica:
    """One namespace's replica."""

    def __init__(
        self,
        namespace: str,
        root: Root,
        staging: Staging,
        index: Index,
        policy: ReplicaPolicy,
        observer: Observer = SILENT,
        ownership: Ownership | None = None,
    ) -> None:
        """Takes over ``root`` (locked), ``staging`` and ``index``; :meth:`scan` has to come before any use.

        With an ``ownership`` other servers reach the replica too, and it says whether we may write.
        """
        self.namespace = namespace
        self.root = root
        self.staging = staging
        self.policy = policy
        self.location = locate(root)
        self._index = index
        self.observer = observer
        self.session_options = SessionOptions(index, staging.reserved_names, policy.own_logs)
        self.state = ReplicaState(index, self.session_options.options.attributes)
        self.changes = ChangeFeed()
        self.scanner = Scanner(root, self.state, self.session_options, self.require_root, observer, self.changes)
        self.uploads = KeptUploads(staging, root.free_bytes)
        self.hashes = KnownHashes()
        """What is remembered of large contents that were hashed."""
        self.last_commit: float | None = None
        self.not_durable: dict[RelPath, None] = {}
        """Where a commit changed something that it could not make durable: the next one has to, before it ends."""
        self.id = _load_or_make_id(index)
        self._ownership = ownership
        self.generation = int(index.get_meta(_GENERATION) or b"0")
        if ownership is not None:
            # A session of an owner counts more than any of an owner before, even if the index has not heard of that.
            self.generation = max(self.generation, ownership.number << _SESSION_BITS)

    @classmethod
    def open(
        cls,
        namespace: str,
        path: Path,
        state_dir: Path,
        policy: ReplicaPolicy,
        observer: Observer = SILENT,
        ownership: Ownership | None = None,
    ) -> "Replica":
        """Open the replica at ``path``, a directory. An ``ownership`` takes the place of the lock on it.

        Raises:
            UsageError: it cannot be used, or another process uses it; so too for the index, with one of its reasons.
            OSError: it cannot be used either.
        """
        root = Root.open(path)
        root.lock(alone=ownership is None)
        index = Index.open(state_dir, index_name(namespace))
        try:
            _require_volume(root, index, Path(state_dir, index_name(namespace)))
        except UsageError:
            index.close()
            root.close()
            raise
        return cls(namespace, root, Staging.open(root), index, policy, observer, ownership)

    def scan(self) -> None:
        """Learn what the replica holds: the index first, then the files that it does not prove; may take long.

        Raises:
            NotDurable: what is there cannot be made durable.
            Unavailable: :meth:`close` was called meanwhile.
        """
        sync_found(self.root.descriptor, self.policy.fsync)
        tree = Tree(self.options.attributes)
        self._index.load(tree)
        self.scanner.initial(tree)

    def close(self) -> None:
        """Write the index and let go of everything."""
        self.scanner.stop()
        with self.writer:
            self.state.ready = False
            self._index.close()
            self.uploads.close()
            self.staging.close()
            self.root.close()

    # Reading: from any thread, and without waiting for files.

    @property
    def writer(self) -> WriterMutex:
        """Held by the one thread that changes anything, files or state."""
        return self.state.writer

    @property
    def tree(self) -> Tree:
        """What the replica holds. For the holder of the data lock; :attr:`state` answers most questions."""
        return self.state.tree

    def totals(self) -> Totals:
        """The root digest and the sums."""
        return self.state.totals()

    def root_digest(self) -> bytes:
        """The root digest alone."""
        return self.state.totals().root_digest

    @property
    def options(self) -> TreeOptions:
        """What counts as the tree."""
        return self.session_options.options

    @property
    def ready(self) -> bool:
        """Whether the tree is known."""
        return self.state.ready

    def require_ready(self) -> None:
        """Raise Unavailable while the replica is being read."""
        if not self.ready:
            msg = "the replica is being read; try again soon"
            raise Unavailable(msg, reason="SCANNING")

    def children(self, path: RelPath) -> list[tuple[bytes, Entry]]:
        """Names and entries in a directory, in byte order.

        Raises:
            NotFound: there is no such directory.
        """
        with self.state.lock:
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

    def usage(self) -> Usage:
        """What the replica holds."""
        return Usage(self.state.total_bytes, self.root.free_bytes())

    def require_root(self) -> None:
        """Raise StorageError where the root's name leads elsewhere: what we hold open is no replica any more."""
        if self.root.state() is not RootState.SAME:
            msg = f"the replica's directory is gone or was replaced; restart the server of {self.namespace!r}"
            raise StorageError(msg, reason="ROOT_CHANGED")

    def trouble(self) -> str:
        """Why the replica cannot be written at present; empty if it can."""
        if self.root.state() is not RootState.SAME:
            return f"the directory of {self.namespace!r} is gone or was replaced"
        if self.root.is_read_only:
            return f"the file system of {self.namespace!r} is mounted read-only"
        if self.root.free_bytes() < self.policy.quota.min_free_bytes:
            return f"the disk of {self.namespace!r} is full: less than MIN_FREE_BYTES is left"
        return ""

    def set_quota(self, quota: Quota) -> None:
        """From now on these bounds hold."""
        self.policy = self.policy._replace(quota=quota)

    # Sessions. They hold the writer mutex.

    def allowed(self, asked: TreeOptions) -> TreeOptions:
        """A session's options as far as the policy allows them."""
        mode = asked.attributes.mode and self.policy.preserves_mode
        return asked._replace(attributes=Attributes(mode, asked.attributes.mtime))

    def require_options(self, asked: TreeOptions) -> None:
        """Raise OptionsDiffer unless a session that asks for these gets those that hold: others rely on them."""
        different = difference(self.allowed(asked), self.options)
        if different:
            msg = f"other two-way clients of {self.namespace!r} use another setting: {different}; set the same in all"
            raise OptionsDiffer(msg)

    def agree(self, asked: TreeOptions) -> TreeOptions:
        """Take over a session's options as far as the policy allows; returns what holds from now on."""
        options = self.allowed(asked)
        before = self.options
        if options != before:
            self.state.preserve(options.attributes)
            self.session_options.change(options)
            if options.ignore_rules != before.ignore_rules:
                self.scanner.rescan(keep_directories=False)
        return options

    def publishing(self) -> AbstractContextManager[Callable[[], None]]:
        """Surrounds the changes of a commit; yields what is called before each, as :class:`Ownership` says."""
        return ALONE if self._ownership is None else self._ownership.publishing()

    def next_generation(self) -> int:
        """A new fencing number."""
        self.writer.require_held()
        self.generation += 1
        self._index.set_meta(_GENERATION, str(self.generation).encode())
        return self.generation

    def commit_done(self) -> None:
        """A commit ended: the time counts from now."""
        self.last_commit = monotonic()


def index_name(namespace: str) -> str:
    """The file in the state directory that remembers a replica."""
    return f"{namespace}.sqlite"


def _load_or_make_id(index: Index) -> str:
    kept = index.get_meta(_REPLICA_ID)
    if kept is not None and kept.isalnum():
        return kept.decode()
    made = uuid.uuid4().hex
    index.set_meta(_REPLICA_ID, made.encode())
    return made


def _require_volume(root: Root, index: Index, state: Path) -> None:
    """Refuse an empty directory in place of the file system that was mounted there: it is not the replica, emptied.

    Raises:
        UsageError: so it is.
    """
    mounted = root.is_mounted
    if mounted is False and index.get_meta(_MOUNTED) == b"1" and root.is_empty:
        msg = (
            f"{escape(root.path)} is empty: the file system that was mounted there is not any more: mount it again, "
            f"or, to begin with an empty replica, remove {state}"
        )
        raise UsageError(msg, reason="VOLUME_MISSING")
    index.set_meta(_MOUNTED, b"1" if mounted else b"0")
