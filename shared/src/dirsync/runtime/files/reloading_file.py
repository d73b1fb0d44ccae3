"""Values made from files, read again when the files change: certificates, tokens, tenants.

The first reading must succeed. After that a file with bad content leaves the last good value in force, for as long as
it is bad, and writes a log line: rotating a file by writing it must not open a gap. Several files that belong together
(certificate and key) are read as one, so a rotation that is half done counts as bad and is repeated when the rest
comes.

A file that is gone or cannot be read is no step of a rotation, because orchestrators swap links or rename. The owner of
the file decides what holds then. What we show to others (a certificate, our own token) stays. What we check others by
has a fallback: without the file no caller is known to be allowed, so all are refused until it is back.

Readers get an immutable snapshot. Whether the files have changed is checked without a lock; only reading them again
takes one.
"""

import os
import stat
import time
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from dirsync.errors import UsageError
from dirsync.limits import KIB
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger

MAX_FILE_BYTES = 1024 * KIB
"""Largest file that is read, in bytes."""
PIPE_SECONDS = 1.0
"""How long the content of a pipe may take, in seconds."""
_PIPE_PAUSE = 0.01

T = TypeVar("T")
_Stamp = tuple[int, ...]


class Unreadable(UsageError):
    """A file that is not there, or that we may not read."""


class _Snapshot(NamedTuple, Generic[T]):
    """What the files gave when they were last read."""

    stamps: tuple[_Stamp | None, ...]
    value: T
    """The last good value."""
    lost: bool = False
    """Whether a file could not be read."""


class ReloadingFile(Generic[T]):
    """The value made from some files, as they are now. Thread-safe."""

    def __init__(
        self, settings: Sequence[str], paths: Sequence[Path], load: Callable[[], T], *, fallback: T | None = None
    ) -> None:
        """Read the files.

        Args:
            settings: The names that the person knows the files by.
            paths: Where they are.
            load: Reads them.
            fallback: The value for as long as ``load`` raises :class:`Unreadable`; None keeps the last good one.

        Raises:
            UsageError: from ``load``.
        """
        self._settings = ", ".join(settings)
        self._paths = tuple(paths)
        self._load = load
        self._fallback = fallback
        self._reloading = Lock()
        self._snapshot = _Snapshot(self._stamps(), load())

    def get(self) -> T:
        """The value; costs a stat of each file, and another reading while one of them cannot be read."""
        stamps, snapshot = self._stamps(), self._snapshot
        if snapshot.lost or stamps != snapshot.stamps:
            snapshot = self._reload()
        if snapshot.lost and self._fallback is not None:
            return self._fallback
        return snapshot.value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def _reload(self) -> _Snapshot[T]:
        with self._reloading:
            # The stamps come before the reading: a change in between is seen by the next look.
            stamps, before = self._stamps(), self._snapshot
            # What made a file unreadable may pass without a change of the file: too many open files, for example.
            if before.lost or stamps != before.stamps:
                self._snapshot = self._read(stamps, before)
            return self._snapshot

    def _read(self, stamps: tuple[_Stamp | None, ...], before: _Snapshot[T]) -> _Snapshot[T]:
        try:
            value = self._load()
        except Unreadable as error:
            if not before.lost:
                closed = "" if self._fallback is None else "; no caller is accepted until it can be read again"
                self._reject(f"{error}{closed}")
            return _Snapshot(stamps, before.value, lost=True)
        except UsageError as error:
            self._reject(str(error))
            return _Snapshot(stamps, before.value)
        get_logger().info(Event.CONFIG_RELOADED, setting=self._settings)
        return _Snapshot(stamps, value)

    def _reject(self, problem: str) -> None:
        get_logger().error(Event.CONFIG_REJECTED, setting=self._settings, problem=problem, kind=self._settings)

    def _stamps(self) -> tuple[_Stamp | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def read_file(path: Path, setting: str) -> bytes:
    """The content of a small file; its path is not repeated in errors: a person may have put a secret there.

    It may be a pipe into which somebody writes at once, as a shell's ``<(command)`` is. Nothing is waited for longer.

    Raises:
        Unreadable: naming the setting and the user id.
        UsageError: it is too large, or no file that ends.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            content = _read(file, setting)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no possible path"
        msg = f"{setting}: the file cannot be read by uid {os.geteuid()}: {reason}"
        raise Unreadable(msg) from None
    if len(content) > MAX_FILE_BYTES:
        msg = f"{setting}: the file is larger than {MAX_FILE_BYTES} bytes"
        raise UsageError(msg)
    return content


def _open_at_once(path: str, flags: int) -> int:
    """A descriptor, without waiting until somebody writes into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read(file: FileIO, setting: str) -> bytes:
    """The content up to one byte more than is allowed."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
        msg = f"{setting}: it is a device or socket; name a file"
        raise UsageError(msg)
    content, until = b"", time.monotonic() + PIPE_SECONDS
    while len(content) <= MAX_FILE_BYTES:
        more = file.read(MAX_FILE_BYTES + 1 - len(content))
        if more:
            content += more
        elif more is not None and (content or not stat.S_ISFIFO(mode)):
            break
        elif time.monotonic() > until:  # a pipe without content, or without an end
            msg = f"{setting}: it is a pipe into which nobody writes a whole text at once; name a file"
            raise UsageError(msg)
        else:
            time.sleep(_PIPE_PAUSE)
    return content


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file does, links followed (Kubernetes swaps a link); None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
