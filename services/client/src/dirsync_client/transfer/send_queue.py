"""Operations between the engine, which decides on them, and the sender.

Small operations go before sections of new directories and frames of large files, so that a small change never waits
behind more than one of those. After each batch or section a frame has its turn, so that many small changes do not keep
a large file waiting.
"""

import threading
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from dirsync.clock import Monotonic
from dirsync.limits import LIMITS
from dirsync.tree.plan import BuildDirectory, CopyContent, Move, PutFile
from dirsync_client.lifecycle.activity import Activity, Part
from dirsync_client.reconcile.commands import Transmit
from dirsync_client.transfer.delta.encoder import Delta

COMMIT_OPERATIONS = 1024
"""Operations after which a commit is asked for even while more are waiting."""
COMMIT_BYTES = 64 * 1024 * 1024
"""Content bytes after which a commit is asked for even while more are waiting."""
_OPERATION_BYTES = 120
"""What an operation without content takes in a message, beside its path."""


class Outgoing(NamedTuple):
    """An operation that is to be sent."""

    transmit: Transmit
    delta: Delta | None = None
    """What the file is made from, if it travels as a delta."""


class SendAction(Enum):
    """What the sender does next."""

    BATCH = "batch"
    FRAME = "frame"
    SECTION = "section"
    COMMIT = "commit"
    STOP = "stop"


class Work(NamedTuple):
    """The next thing to do; ``batch`` are the operations of a batch, the last two are a commit's."""

    action: SendAction
    batch: tuple[Outgoing, ...] = ()
    rescan: bool = False
    drop_uploads: bool = False


class SendQueue:
    """Thread-safe. The engine adds; one sender takes; the receiver reports commits."""

    def __init__(self, now: Monotonic, waiting: Activity | None = None) -> None:
        """``waiting`` is told what the receiver waits for: the answer to a commit."""
        self._now = now
        self._waiting = waiting or Activity("waiting for a commit", now)
        self._changed = threading.Condition()
        self._small: deque[Outgoing] = deque()
        self._small_from_others = 0
        """How many of these are made from other paths of the replica."""
        self._large: deque[Outgoing] = deque()
        self._directories: deque[Outgoing] = deque()
        """New directories that are sent as a whole."""
        self._directory_is_open = False
        """One of these has begun, and more sections of it are to be sent."""
        self._open_files = 0
        self._uncommitted = 0
        self._uncommitted_bytes = 0
        self._uncommitted_since = 0.0
        """When the first of the uncommitted operations was sent."""
        self._commits = 0
        self._rescan = False
        self._drop_uploads = False
        self._stopped = False
        self._finishing = False
        self._taking = False
        self._frame_due = False

    def add(self, outgoing: Iterable[Outgoing]) -> None:
        """Send these. They go together: nothing of them is committed before the rest was sent.

        Names that go round in a circle need each other's content: it must not be replaced before all have said so.
        """
        with self._changed:
            for item in outgoing:
                step = item.transmit.operation
                large = isinstance(step, PutFile) and step.entry.size > LIMITS.inline_file_bytes
                if isinstance(step, BuildDirectory):
                    self._directories.append(item)
                else:
                    (self._large if large else self._small).append(item)
                self._small_from_others += isinstance(step, CopyContent | Move)
            self._changed.notify_all()

    def rescan(self) -> None:
        """Have the server scan its replica before the next commit."""
        with self._changed:
            self._rescan = True
            self._changed.notify_all()

    def finish(self) -> None:
        """Begin nothing more: have what was sent committed, and leave the rest."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    @property
    def is_committed(self) -> bool:
        """Whether nothing that was sent waits for its commit."""
        with self._changed:
            return not (self._taking or self._uncommitted or self._commits)

    def drop_uploads(self) -> None:
        """Have the server drop what it has kept of interrupted uploads."""
        with self._changed:
            self._drop_uploads = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self) -> Work:
        """Wait for the next thing to do."""
        with self._changed:
            self._taking = False
            while (work := self._next()) is None:
                self._changed.wait()
            self._taking = work.action in (SendAction.BATCH, SendAction.FRAME, SendAction.SECTION)
            return work

    def poll(self) -> Work | None:
        """The next thing to do, or ``None`` if there is none at present."""
        with self._changed:
            return self._next()

    def take_large(self) -> Outgoing | None:
        """The next large file to open, if one is waiting."""
        with self._changed:
            if not self._large:
                return None
            self._open_files += 1
            return self._large.popleft()

    def take_directory(self) -> Outgoing | None:
        """The next new directory to begin, if one is waiting. It is open until :meth:`closed_directory`."""
        with self._changed:
            if not self._directories:
                return None
            self._directory_is_open = True
            return self._directories.popleft()

    def closed_directory(self) -> None:
        """The last section of a directory was made."""
        with self._changed:
            self._directory_is_open = False

    def requeue_as_large(self, outgoing: Outgoing) -> None:
        """A file of a batch turned out to be large: it travels in frames instead."""
        with self._changed:
            self._large.append(outgoing)

    def sent(self, operations: int, size: int) -> None:
        """So many operations with so many content bytes were sent and wait for a commit."""
        with self._changed:
            if not self._uncommitted:
                self._uncommitted_since = self._now()
            self._uncommitted += operations
            self._uncommitted_bytes += size

    def closed_file(self) -> None:
        """A large file has ended or was given up."""
        with self._changed:
            self._open_files -= 1

    def committed(self) -> None:
        """A commit that was asked for came back."""
        with self._changed:
            self._commits -= 1
            if not self._commits:
                self._waiting.rest()
            self._changed.notify_all()

    def commit_at_once(self) -> Work | None:
        """A commit, if that is what comes next: it can go with what was sent just now."""
        with self._changed:
            return self._commit() if self._next_action() is SendAction.COMMIT else None

    def _next(self) -> Work | None:
        match self._next_action():
            case SendAction.BATCH:
                self._frame_due = True
                return Work(SendAction.BATCH, tuple(self._batch()))
            case SendAction.FRAME:
                self._frame_due = False
                return Work(SendAction.FRAME)
            case SendAction.SECTION:
                self._frame_due = True
                return Work(SendAction.SECTION)
            case SendAction.COMMIT:
                return self._commit()
            case SendAction.STOP:
                return Work(SendAction.STOP)
            case None:
                return None

    def _next_action(self) -> SendAction | None:
        if self._stopped:
            return SendAction.STOP
        may_commit = not self._commits
        if self._finishing:
            return SendAction.COMMIT if self._uncommitted and may_commit else None
        if self._is_commit_due and may_commit:
            return SendAction.COMMIT
        frames = self._open_files > 0 or bool(self._large)
        others = bool(self._small or self._directories) or self._directory_is_open
        if frames and (self._frame_due or not others):
            first_commit = not others and self._uncommitted and may_commit
            return SendAction.COMMIT if first_commit else SendAction.FRAME
        if others:
            return SendAction.BATCH if self._small else SendAction.SECTION
        wanted = self._uncommitted or self._rescan or self._drop_uploads
        return SendAction.COMMIT if wanted and may_commit else None

    @property
    def _is_commit_due(self) -> bool:
        """Whether enough was sent, or long enough ago, to be committed before what is waiting."""
        if self._uncommitted >= COMMIT_OPERATIONS or self._uncommitted_bytes >= COMMIT_BYTES:
            return True
        # What is made from other paths is sent before anything that replaces those is committed.
        if not self._uncommitted or self._small_from_others:
            return False
        return self._now() - self._uncommitted_since >= LIMITS.commit_seconds

    def _commit(self) -> Work:
        rescan, self._rescan = self._rescan, False
        drop_uploads, self._drop_uploads = self._drop_uploads, False
        self._uncommitted = self._uncommitted_bytes = 0
        self._commits += 1
        self._waiting.begin(Part.SERVER)
        return Work(SendAction.COMMIT, rescan=rescan, drop_uploads=drop_uploads)

    def _batch(self) -> list[Outgoing]:
        batch: list[Outgoing] = []
        size = 0
        while self._small and size < LIMITS.batch_bytes:
            outgoing = self._small.popleft()
            step = outgoing.transmit.operation
            self._small_from_others -= isinstance(step, CopyContent | Move)
            size += _OPERATION_BYTES + len(step.path)
            if isinstance(step, PutFile):
                size += step.entry.size
            batch.append(outgoing)
        return batch
