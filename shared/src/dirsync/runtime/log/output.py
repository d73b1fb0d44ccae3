"""Where the lines of the log go.

Whoever reads our stderr may stop reading: a container engine that hangs, a supervisor that keeps the pipe and forgets
it, a terminal that was stopped. A write then waits for ever, in whichever thread logs. So a service writes its log in a
thread of its own (:meth:`Output.detach`). Lines wait for it in memory, up to a bound. For a reader that is merely slow,
who logs beyond the bound waits. Once a reader has taken nothing for a while, nobody waits any more: what does not fit
is dropped, and counted in a line as soon as somebody reads again.

At the end of the process all that was logged is written, for as long as somebody reads.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

from dirsync.limits import LIMITS, Limits

_PIECE_BYTES = 4096
"""What a pipe takes in one piece, so that the lines of other processes do not come between."""


def _say_nothing(_dropped: int) -> str:
    return ""


class Output:
    """The logger behind structlog's own: it writes whole lines, never raises and, once detached, never waits long."""

    def __init__(self, dropped_line: Callable[[int], str] = _say_nothing, limits: Limits = LIMITS) -> None:
        """``dropped_line`` makes the line that says how many lines were dropped."""
        self.stream: TextIO | None = None
        """None for whatever stderr is at the time."""
        self.dropped = 0
        """Lines that nobody read, in all."""
        self._dropped_line = dropped_line
        self._limits = limits
        # Reentrant: a finalizer may log in the middle of what its own thread logs.
        self._writing = threading.RLock()
        self._changed = threading.Condition(threading.RLock())
        self._descriptor: int | None = None
        self._waiting: deque[bytes] = deque()
        self._unwritten = 0
        """Bytes that wait or are being written."""
        self._taken = 0
        """Bytes that were read off us, in all."""
        self._stalled = False
        """Whether nobody reads, as far as we know."""
        self._untold = 0
        """Lines that were dropped and not told yet."""

    def msg(self, line: str) -> None:
        """Write a line."""
        self.write(f"{line}\n")

    debug = info = warning = error = critical = msg

    def write(self, text: str) -> None:
        """Write whole lines; where nothing can be written, the work goes on without a log."""
        if self._descriptor is None or self.stream is not None:
            self._write_to_stream(text)
            return
        content = text.encode(errors="backslashreplace")
        with self._changed:
            if self._has_room(len(content)) or self._wait_for_room(len(content)):
                self._waiting.append(content)
                self._unwritten += len(content)
                self._changed.notify_all()
            else:
                self.dropped += text.count("\n")
                self._untold += text.count("\n")

    def detach(self, descriptor: int) -> None:
        """Write to ``descriptor`` in a thread from now on; where the system has no thread left, it goes on as before.

        The descriptor is used past the buffers of any stream: their locks, held while nobody reads, would keep the
        interpreter from ending.
        """
        self._descriptor = descriptor
        try:
            threading.Thread(target=self._run, name="dirsync-log", daemon=True).start()
        except RuntimeError:
            self._descriptor = None

    def drain(self) -> None:
        """Return when all that was logged is written, or nobody reads: at the end of the process."""
        with self._changed:
            while (self._unwritten or self._untold) and not self._stalled:
                self._stalled = not self._progresses()

    def _has_room(self, size: int) -> bool:
        return not self._unwritten or self._unwritten + size <= self._limits.log_backlog_bytes

    def _wait_for_room(self, size: int) -> bool:
        """Wait for as long as somebody reads."""
        while not (self._stalled or self._has_room(size)):
            self._stalled = not self._progresses()
        return self._has_room(size)

    def _progresses(self) -> bool:
        """Whether anything is read within the time that a reader is given."""
        before = self._taken
        return self._changed.wait_for(lambda: self._taken != before, self._limits.log_stall_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                content = self._waiting.popleft()
            self._write_pieces(content)
            self._settle(len(content))
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        """What was dropped came after what waited: it is told once that is written."""
        with self._changed:
            if self._waiting or not self._untold:
                return
            count = self._untold
        self._write_pieces(self._dropped_line(count).encode())
        with self._changed:
            self._untold -= count
        self._settle(0)

    def _write_pieces(self, content: bytes) -> None:
        """Write all of it; where that fails for another reason than a slow reader, it is lost."""
        assert self._descriptor is not None
        rest = memoryview(content)
        try:
            while rest:
                count = os.write(self._descriptor, rest[:_PIECE_BYTES])
                rest = rest[count:]
                self._note_taken(count)
        except BlockingIOError:
            # Whoever gave us the pipe has set it so. There is room again in a moment, or nobody reads.
            if self._wait_until_writable():
                self._write_pieces(bytes(rest))
        except OSError:
            return

    def _wait_until_writable(self) -> bool:
        import select  # noqa: PLC0415 - for one rare case

        assert self._descriptor is not None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        try:
            return bool(poll.poll())
        except OSError:
            return False

    def _note_taken(self, size: int) -> None:
        """Somebody reads."""
        with self._changed:
            self._taken += size
            self._stalled = False
            self._changed.notify_all()

    def _settle(self, size: int) -> None:
        """So many bytes wait no longer: they are written or lost."""
        with self._changed:
            self._unwritten -= size
            self._taken += 1
            self._changed.notify_all()

    def _write_to_stream(self, text: str) -> None:
        stream = self.stream or sys.stderr
        try:
            with self._writing:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return
