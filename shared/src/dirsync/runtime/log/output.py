"""Where the lines of the log go.

Whoever reads our stderr may stop reading: a container engine that hangs, a terminal that was stopped with Ctrl-S, a
supervisor that keeps the pipe and forgets it. A write to it then waits for ever, in whichever thread logs. So a service
writes its log in a thread of its own (:meth:`Output.detach`). Lines wait for it in memory, up to a bound. Who logs
beyond that waits for a reader that is merely slow; from one that takes nothing at all for a while nothing is waited
for, and what does not fit is dropped, and counted in a line as soon as somebody reads again.
"""

import os
import sys
from collections import deque
from collections.abc import Callable
from threading import Condition, RLock, Thread
from typing import TextIO

from dirsync.limits import LIMITS, Limits

_PIECE = 4096
"""Characters that are written at once: what a pipe takes in one piece, among the lines of other processes."""


class Output:
    """The logger behind structlog's own: it writes whole lines, never raises and, once detached, never waits long."""

    def __init__(self, told_dropped: Callable[[int], str], limits: Limits = LIMITS) -> None:
        """``told_dropped`` makes the line that says how many lines were dropped."""
        self.stream: TextIO | None = None
        """None for whatever stderr is at the time."""
        self._told_dropped = told_dropped
        self._limits = limits
        # Reentrant: a finalizer may log in the middle of what its own thread logs.
        self._writing = RLock()
        self._changed = Condition(RLock())
        self._waiting: deque[str] = deque()
        self._unwritten = 0
        """Characters that wait or are being written."""
        self._pieces = 0
        """Pieces that were written."""
        self._stalled = False
        """Whether nobody reads, as far as we know."""
        self._dropped = 0
        self._detached = False

    def msg(self, line: str) -> None:
        """Write a line."""
        self.write(f"{line}\n")

    debug = info = warning = error = critical = msg

    def write(self, text: str) -> None:
        """Write whole lines; where nothing can be written, the work goes on without a log."""
        if not self._detached:
            self._write(text)
            return
        with self._changed:
            if not (self._has_room(len(text)) or self._wait_for_room(len(text))):
                self._dropped += text.count("\n")
                return
            self._waiting.append(text)
            self._unwritten += len(text)
            self._changed.notify_all()

    def detach(self) -> None:
        """Write in a thread from now on; where the system has none left, it goes on as before."""
        try:
            Thread(target=self._run, name="dirsync-log", daemon=True).start()
        except RuntimeError:
            return
        self._detached = True

    def drain(self) -> None:
        """Wait until what was logged is written, but not for one who does not read: at the end of the process."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unwritten, self._limits.log_drain_seconds)

    def _has_room(self, length: int) -> bool:
        return not self._unwritten or self._unwritten + length <= self._limits.log_backlog_characters

    def _wait_for_room(self, length: int) -> bool:
        """Wait for as long as somebody reads."""
        while not (self._stalled or self._has_room(length)):
            before = self._pieces
            self._changed.wait_for(lambda before=before: self._pieces != before, self._limits.log_stall_seconds)
            self._stalled = self._pieces == before
        return self._has_room(length)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting or self._dropped))
                piece = ""
                while self._waiting and (not piece or len(piece) + len(self._waiting[0]) <= _PIECE):
                    piece += self._waiting.popleft()
                dropped = 0
                if not self._waiting:  # what was dropped came after what waited
                    dropped, self._dropped = self._dropped, 0
            self._write(piece)
            if dropped:
                self._write(self._told_dropped(dropped))
            with self._changed:
                self._unwritten -= len(piece)
                self._pieces += 1
                self._stalled = False
                self._changed.notify_all()

    def _write(self, text: str) -> None:
        stream = self.stream or sys.stderr
        try:
            if self._detached and self.stream is None and stream is sys.__stderr__:
                # Past the stream's own buffer: its lock, held while nobody reads, would abort the interpreter's exit.
                _write_all(stream.fileno(), text.encode(errors="backslashreplace"))
                return
            with self._writing:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
