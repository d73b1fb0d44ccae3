"""Where the lines of the log go."""

import sys
import threading
from typing import TextIO


class Output:
    """The logger behind structlog's own: it writes whole lines, and never raises."""

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        """None for whatever stderr is at the time."""
        # Reentrant: a finalizer may log in the middle of what its own thread logs.
        self._lock = threading.RLock()

    def msg(self, line: str) -> None:
        """Write a line."""
        self.write(f"{line}\n")

    debug = info = warning = error = critical = msg

    def write(self, text: str) -> None:
        """Write whole lines; where nothing can be written, the work goes on without a log."""
        stream = self.stream or sys.stderr
        try:
            with self._lock:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return
