"""Files that are read again when they change: certificates, tokens, tenants.

The first reading must succeed. After that a file that went bad, for whatever reason and however long, leaves the last
good value in force and a log line: rotating a file by writing it must not open a gap. Several files that belong
together (certificate and key) are read as one, so a rotation that is half done counts as bad and is repeated when the
rest comes.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from dirsync.errors import UsageError
from dirsync.limits import KIB
from dirsync.runtime.events import Event
from dirsync.runtime.logging import get_logger

MAX_FILE_BYTES = 1024 * KIB
"""Largest file that is followed, in bytes."""

T = TypeVar("T")


class Followed(Generic[T]):
    """The value made from some files, as of now. Thread-safe."""

    def __init__(self, settings: Sequence[str], paths: Sequence[Path], load: Callable[[], T]) -> None:
        """``settings`` are the names that the person knows the files by.

        Raises:
            UsageError: from ``load``.
        """
        self._settings = ", ".join(settings)
        self._paths = tuple(paths)
        self._load = load
        self._lock = Lock()
        self._stamps = self._look()
        self._value = load()

    def get(self) -> T:
        """The last good value; costs a stat of each file."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._stamps = stamps
                self._reload()
            return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def _reload(self) -> None:
        try:
            self._value = self._load()
        except UsageError as error:
            get_logger().error(Event.CONFIG_REJECTED, setting=self._settings, problem=str(error), kind=self._settings)
        else:
            get_logger().info(Event.CONFIG_RELOADED, setting=self._settings)

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def read_file(path: Path, setting: str) -> bytes:
    """The content of a small file; its path is not repeated in errors, for somebody may have put a secret there.

    Raises:
        UsageError: naming the setting and the user id.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no possible path"
        msg = f"{setting}: the file cannot be read by uid {os.geteuid()}: {reason}"
        raise UsageError(msg) from None
    if len(content) > MAX_FILE_BYTES:
        msg = f"{setting}: the file is larger than {MAX_FILE_BYTES} bytes"
        raise UsageError(msg)
    return content


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does, links followed (Kubernetes swaps a link); None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
