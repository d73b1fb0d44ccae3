"""Content that several readers want at about the same time: read once, and kept for the others for a bounded time.

A client with several servers reads each file once for each of them. Who comes first reads; the others get the same
bytes, as far as they come soon enough. What is kept is bounded in bytes (``LIMITS.shared_read_bytes``) and in time
(``LIMITS.shared_read_seconds``), and goes as soon as every reader has had it. So a reader that is slow, or never comes,
costs at most that much memory, and delays nobody: it reads for itself. Only the disk is waited for: a reader that wants
what another one is just reading waits for that.

What is shared is a *version*: a path and the status of the file when it was opened. Rules:

- Readers of one version have the same status before their first byte, and each checks it after its last one, as if it
  had read alone. So a file that was changed meanwhile is noticed by each.
- A change within the tick of the first one shows no other status (it is *racy*). So what was opened that early is
  shared with that time, and its fingerprint says that it proves nothing; and who opens the file later, when its status
  proves something, does not share it.
- Whoever learns that a path may have changed calls :meth:`SharedReads.forget` before anybody is told to read it again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dirsync.clock import Monotonic, monotonic
from dirsync.limits import LIMITS

if TYPE_CHECKING:
    from dirsync.tree.path import RelPath

T = TypeVar("T")

_MAX_VERSIONS = 4096
"""Versions that are remembered; the oldest are forgotten first."""


class _Kept(NamedTuple):
    """Something that was read."""

    value: Any
    size: int
    """In bytes."""
    until: float


class Version:
    """One version of a file, for as long as it is shared."""

    __slots__ = ("_reads", "_serial", "is_racy", "looked_at_ns", "status")

    def __init__(self, reads: "SharedReads", serial: int, status: bytes, looked_at_ns: int, *, is_racy: bool) -> None:
        self._reads = reads
        self._serial = serial
        self.status = status
        self.looked_at_ns = looked_at_ns
        """When the first reader looked at it."""
        self.is_racy = is_racy
        """It was so young then that its status proves nothing."""

    def read(self, offset: int, size: int, read: Callable[[], bytes]) -> bytes:
        """The bytes at ``offset``: those that another reader got, or what ``read`` returns.

        Raises:
            Exception: what ``read`` raises.
        """
        return self._reads.once((self._serial, offset, size), read, len)

    def whole(self, read: Callable[[], bytes | None]) -> bytes | None:
        """All of a small file: what another reader got, or what ``read`` returns, ``None`` if it cannot be used.

        Raises:
            Exception: what ``read`` raises.
        """
        return self._reads.once((self._serial, "content", 0), read, lambda found: len(found or b""))

    def once(self, what: str, find: Callable[[], T]) -> T:
        """What another reader found out about all of the file, or what ``find`` returns.

        Raises:
            Exception: what ``find`` raises.
        """
        return self._reads.once((self._serial, what, 0), find, lambda _found: 0)


class SharedReads:
    """What the readers of one source share. Thread-safe."""

    def __init__(
        self,
        readers: int,
        limit: int = LIMITS.shared_read_bytes,
        seconds: float = LIMITS.shared_read_seconds,
        now: Monotonic = monotonic,
    ) -> None:
        """Keep what was read for ``readers`` in all, at most ``limit`` bytes, each for at most so many seconds."""
        self._others = readers - 1
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._changed = threading.Condition()
        self._versions: OrderedDict[RelPath, Version] = OrderedDict()
        self._serial = 0
        self._kept: OrderedDict[tuple[int, int | str, int], _Kept] = OrderedDict()
        """By version, offset and size, the oldest first."""
        self._left: dict[tuple[int, int | str, int], int] = {}
        """How many readers have not had it."""
        self._reading: set[tuple[int, int | str, int]] = set()
        """What somebody is reading now."""
        self.kept_bytes = 0
        """How much is kept."""

    def version(self, path: "RelPath", status: bytes, looked_at_ns: int, *, is_racy: bool) -> Version:
        """The version of a file that was just opened.

        Args:
            path: where it is.
            status: before its first byte.
            looked_at_ns: when that was read.
            is_racy: the status proves nothing yet.
        """
        with self._changed:
            known = self._versions.get(path)
            if known is not None and known.status == status and (is_racy or not known.is_racy):
                return known
            self._serial += 1
            version = Version(self, self._serial, status, looked_at_ns, is_racy=is_racy)
            self._versions.pop(path, None)
            self._versions[path] = version
            if len(self._versions) > _MAX_VERSIONS:
                self._versions.popitem(last=False)
            return version

    def forget(self, paths: "Iterable[RelPath]") -> None:
        """These may have changed: who opens them from now on shares nothing that was read before."""
        with self._changed:
            for path in paths:
                self._versions.pop(path, None)

    def forget_all(self) -> None:
        """Anything may have changed."""
        with self._changed:
            self._versions.clear()

    def once(self, key: tuple[int, int | str, int], find: Callable[[], T], size_of: Callable[[T], int]) -> T:
        """What is kept under a key, or what ``find`` returns, which is kept then."""
        with self._changed:
            while key in self._reading:
                self._changed.wait()
            self._expire()
            kept = self._kept.get(key)
            if kept is not None:
                self._take(key)
                found: T = kept.value
                return found
            self._reading.add(key)
        try:
            found = find()
        except BaseException:
            with self._changed:
                self._read(key)
            raise
        with self._changed:
            self._keep(key, _Kept(found, size_of(found), self._now() + self._seconds))
            self._read(key)
        return found

    def _read(self, key: tuple[int, int | str, int]) -> None:
        self._reading.discard(key)
        self._changed.notify_all()

    def _take(self, key: tuple[int, int | str, int]) -> None:
        self._left[key] -= 1
        if not self._left[key]:
            self._drop(key)

    def _keep(self, key: tuple[int, int | str, int], kept: _Kept) -> None:
        if self._others < 1 or kept.size > self._limit:
            return
        self._kept[key] = kept
        self._left[key] = self._others
        self.kept_bytes += kept.size
        while self.kept_bytes > self._limit:
            self._drop(next(iter(self._kept)))

    def _expire(self) -> None:
        now = self._now()
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.until > now:
                return
            self._drop(key)

    def _drop(self, key: tuple[int, int | str, int]) -> None:
        self.kept_bytes -= self._kept.pop(key).size
        del self._left[key]
