"""Files that are read again when they change: certificates, tokens, tenants.

The first reading must succeed. After that a file whose content is bad, however long, leaves the last good value in
force and a log line: rotating a file by writing it must not open a gap. Several files that belong together (certificate
and key) are read as one, so a rotation that is half done counts as bad and is repeated when the rest comes.

A file that is gone or cannot be read is no step of a rotation: an orchestrator swaps links or renames. What then
holds is the choice of whoever follows the file. What we show to others (a certificate, our own token) stays as it was.
What we judge others by does not: nobody knows any more who may enter, so nobody does, until the file is back.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from dirsync.errors import UsageError
from dirsync.limits import KIB
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger

MAX_FILE_BYTES = 1024 * KIB
"""Largest file that is followed, in bytes."""

T = TypeVar("T")
_Stamp = tuple[int, ...]


class Unreadable(UsageError):
    """A file that is not there, or that we may not read."""


class Followed(Generic[T]):
    """The value made from some files, as of now. Thread-safe."""

    def __init__(
        self, settings: Sequence[str], paths: Sequence[Path], load: Callable[[], T], *, without: T | None = None
    ) -> None:
        """``settings`` are the names that the person knows the files by.

        ``without`` is the value for as long as ``load`` raises :class:`Unreadable`; with ``None`` the last good one
        stays in force then too.

        Raises:
            UsageError: from ``load``.
        """
        self._settings = ", ".join(settings)
        self._paths = tuple(paths)
        self._load = load
        self._without = without
        self._lock = Lock()
        self._lost = False
        self._stamps: tuple[_Stamp | None, ...] = self._look()
        self._value = load()

    def get(self) -> T:
        """The value; costs a stat of each file, and while one cannot be read another attempt."""
        with self._lock:
            stamps = self._look()
            # What made a file unreadable may pass without a change of the file: too many open files, for example.
            if stamps != self._stamps or self._lost:
                self._stamps = stamps
                self._reload()
            if self._lost and self._without is not None:
                return self._without
            return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def _reload(self) -> None:
        was_lost, self._lost = self._lost, False
        try:
            self._value = self._load()
        except Unreadable as error:
            self._lost = True
            if not was_lost:
                closed = "" if self._without is None else "; nobody is let in until it can be read again"
                self._reject(f"{error}{closed}")
        except UsageError as error:
            self._reject(str(error))
        else:
            get_logger().info(Event.CONFIG_RELOADED, setting=self._settings)

    def _reject(self, problem: str) -> None:
        get_logger().error(Event.CONFIG_REJECTED, setting=self._settings, problem=problem, kind=self._settings)

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def read_file(path: Path, setting: str) -> bytes:
    """The content of a small file; its path is not repeated in errors, for somebody may have put a secret there.

    Raises:
        Unreadable: naming the setting and the user id.
        UsageError: it is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no possible path"
        msg = f"{setting}: the file cannot be read by uid {os.geteuid()}: {reason}"
        raise Unreadable(msg) from None
    if len(content) > MAX_FILE_BYTES:
        msg = f"{setting}: the file is larger than {MAX_FILE_BYTES} bytes"
        raise UsageError(msg)
    return content


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file does, links followed (Kubernetes swaps a link); None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
