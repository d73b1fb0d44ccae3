"""Tickets between the engine, which plans them, and the push stream, which sends them.

Small operations go before frames of large files, so that a small change never waits behind more than one frame; but
after each batch a frame has its turn, so that a storm of small changes does not starve a large file.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.plan import PutFile
from dirsync_client.reconcile.ticket import Ticket

MAX_UNSETTLED = 8192
"""Tickets that may be on their way; the engine plans no further until some are settled."""
COMMIT_OPERATIONS = 1024
"""Operations after which a commit is asked for even while more are waiting."""
COMMIT_BYTES = 64 * 1024 * 1024
"""Content bytes after which a commit is asked for even while more are waiting."""
_TICKET_BYTES = 120
"""What an operation without content takes in a message, beside its path."""


class Turn(Enum):
    """What the push stream does next."""

    BATCH = "batch"
    FRAME = "frame"
    COMMIT = "commit"
    STOP = "stop"


class Work(NamedTuple):
    """The next thing to do; ``tickets`` are those of a batch, ``rescan`` is a commit's."""

    turn: Turn
    tickets: tuple[Ticket, ...] = ()
    rescan: bool = False


class Outbox:
    """Thread-safe. The engine adds; one sender takes; the receiver reports commits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._small: deque[Ticket] = deque()
        self._large: deque[Ticket] = deque()
        self._open_files = 0
        self._unsettled = 0
        self._uncommitted = 0
        self._uncommitted_bytes = 0
        self._commits = 0
        self._rescan = False
        self._stopped = False
        self._frame_due = False

    @property
    def room(self) -> int:
        """How many tickets may be added at present."""
        return MAX_UNSETTLED - self._unsettled

    def add(self, ticket: Ticket) -> None:
        """Send this."""
        operation = ticket.operation
        large = isinstance(operation, PutFile) and operation.entry.size > LIMITS.inline_file_bytes
        with self._changed:
            (self._large if large else self._small).append(ticket)
            self._unsettled += 1
            self._changed.notify_all()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What is added while this lasts goes together: nothing of it is committed before the rest was sent."""
        with self._changed:
            yield

    def rescan(self) -> None:
        """Have the next commit look at all files of the replica."""
        with self._changed:
            self._rescan = True
            self._changed.notify_all()

    @property
    def rescanning(self) -> bool:
        """Whether the replica is still to be looked at, or the answer has not come yet."""
        return self._rescan or self._commits > 0

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self) -> Work:
        """Wait for the next thing to do."""
        with self._changed:
            while True:
                work = self._next()
                if work is not None:
                    return work
                self._changed.wait()

    def take_large(self) -> Ticket | None:
        """The next large file to open, if one is waiting."""
        with self._changed:
            if not self._large:
                return None
            self._open_files += 1
            return self._large.popleft()

    def grown(self, ticket: Ticket) -> None:
        """A file of a batch turned out to be large: it travels in frames instead."""
        with self._changed:
            self._large.append(ticket)

    def sent(self, operations: int, size: int) -> None:
        """So many operations with so many content bytes were sent and wait for a commit."""
        with self._changed:
            self._uncommitted += operations
            self._uncommitted_bytes += size

    def closed_file(self) -> None:
        """A large file has ended or was given up."""
        with self._changed:
            self._open_files -= 1

    def settled(self, tickets: int, *, requested: bool) -> None:
        """A commit came back, or tickets were dropped (``requested`` is then false)."""
        with self._changed:
            self._unsettled -= tickets
            if requested:
                self._commits -= 1
            self._changed.notify_all()

    def _next(self) -> Work | None:
        if self._stopped:
            return Work(Turn.STOP)
        full = self._uncommitted >= COMMIT_OPERATIONS or self._uncommitted_bytes >= COMMIT_BYTES
        if full and not self._commits:
            return self._commit()
        frames = self._open_files > 0 or bool(self._large)
        if frames and (self._frame_due or not self._small):
            if not self._small and self._uncommitted and not self._commits:
                return self._commit()
            self._frame_due = False
            return Work(Turn.FRAME)
        if self._small:
            self._frame_due = True
            return Work(Turn.BATCH, tuple(self._batch()))
        if (self._uncommitted or self._rescan) and not self._commits:
            return self._commit()
        return None

    def _commit(self) -> Work:
        rescan, self._rescan = self._rescan, False
        self._uncommitted = self._uncommitted_bytes = 0
        self._commits += 1
        return Work(Turn.COMMIT, rescan=rescan)

    def _batch(self) -> list[Ticket]:
        batch: list[Ticket] = []
        size = 0
        while self._small and size < LIMITS.batch_bytes:
            ticket = self._small.popleft()
            operation = ticket.operation
            size += _TICKET_BYTES + len(operation.path)
            if isinstance(operation, PutFile):
                size += operation.entry.size
            batch.append(ticket)
        return batch
