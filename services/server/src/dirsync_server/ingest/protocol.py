"""Which message of a push stream may come when: the whole protocol of the stream as a pure state machine.

::

    START --open--> READY --batch, begin, data, end, abort, section, commit--> READY

A refused message closes the machine for good. Numbers of operations and files grow along the stream; data, end and
abort name a file that has begun and not ended. Sections name the one directory that is being built.
"""

import enum

from dirsync.errors import LimitExceeded, OutOfTurn
from dirsync.limits import LIMITS
from dirsync.wire.push.messages import (
    Batch,
    Commit,
    DirectorySection,
    FileAbort,
    FileBegin,
    FileData,
    FileDelta,
    FileEnd,
    Open,
    PushMessage,
    WithCommit,
)


class Phase(enum.Enum):
    """Where a push stream is."""

    START = "start"
    READY = "ready"
    CLOSED = "closed"


class PushState:
    """The state of one push stream."""

    def __init__(self) -> None:
        self.phase = Phase.START
        self.last_number = 0
        """The highest number of an operation or file so far."""
        self.open_files: set[int] = set()
        self.building: int | None = None
        """The directory that is being built."""

    def receive(self, message: PushMessage) -> None:
        """Accept a message.

        Raises:
            OutOfTurn: it may not come now.
            LimitExceeded: one large file too many at once.
        """
        try:
            self._receive(message)
        except Exception:
            self.phase = Phase.CLOSED
            raise

    def close(self) -> None:
        """Nothing is accepted any more."""
        self.phase = Phase.CLOSED

    def _receive(self, message: PushMessage) -> None:
        if self.phase is Phase.CLOSED:
            msg = "the push stream is over"
            raise OutOfTurn(msg)
        if isinstance(message, Open) is not (self.phase is Phase.START):
            msg = "a push stream starts with its session, and names it once"
            raise OutOfTurn(msg)
        match message:
            case Open():
                self.phase = Phase.READY
            case Batch(items=items):
                for item in items:
                    self._number(item.number)
            case FileBegin(number=number):
                self._begin(number)
            case FileData(number=number) | FileDelta(number=number):
                self._opened(number)
            case FileEnd(number=number) | FileAbort(number=number):
                self._opened(number)
                self.open_files.discard(number)
            case WithCommit(message=before):
                self._receive(before)
            case DirectorySection():
                self._section(message)
            case Commit():
                pass

    def _number(self, number: int) -> None:
        if number <= self.last_number:
            msg = f"operation {number} came after operation {self.last_number}; numbers must grow"
            raise OutOfTurn(msg)
        self.last_number = number

    def _begin(self, number: int) -> None:
        if len(self.open_files) >= LIMITS.max_open_files:
            msg = f"at most {LIMITS.max_open_files} files may be open on a stream"
            raise LimitExceeded("max_open_files", msg)
        self._number(number)
        self.open_files.add(number)

    def _section(self, section: DirectorySection) -> None:
        if section.begin is not None:
            if self.building is not None:
                msg = f"directory {section.number} begins before directory {self.building} is complete"
                raise OutOfTurn(msg)
            self._number(section.number)
            self.building = section.number
        elif section.number != self.building:
            msg = f"directory {section.number} has not begun, or is complete already"
            raise OutOfTurn(msg)
        if section.last:
            self.building = None

    def _opened(self, number: int) -> None:
        if number not in self.open_files:
            msg = f"file {number} has not begun, or has ended already"
            raise OutOfTurn(msg)
