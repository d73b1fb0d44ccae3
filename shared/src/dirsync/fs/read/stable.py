"""Reading a file that others may be writing, so that no mixture of two versions is taken for one.

The status is taken before the first byte and again after the last, on the same descriptor; if size, mtime or ctime
moved in between, what was read is thrown away (D01, D02). A file that is replaced by rename while we read is no
trouble: the descriptor keeps the old version, whole.

A write that is under way when we open shows no sign of that: the kernel sets the times first and copies after. So the
first status is followed by a call that has to wait for it (:func:`wait_for_writers_of`): what was under way has ended
then, and what begins later sets new times.

RACE: a write that leaves the size shows no other timestamp if it falls into the same clock tick as the last change that
our first status saw (on kernels before 6.13). The worst is that a mixture is read once: its fingerprint is racy, so the
next scan reads the file again. Writes that lock nothing (by a mapping, past the page cache, over a network) are not
waited for.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Self

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import Changing, TooLarge, reading_failure, shown
from dirsync.fs.fingerprint import is_racy, pack_status
from dirsync.fs.read.extents import Holes, zeros
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from dirsync.fs.read.shared import Version

_SEEK_DATA: Final = getattr(os, "SEEK_DATA", None)


class StableFile:
    """A regular file open for one reading. A context manager that closes it.

    Raises:
        PathFailure: Vanished, Unreadable, or Changing if it is no regular file.
    """

    def __init__(self, root: Root, path: RelPath, now: WallNanoseconds = wall_ns) -> None:
        self.path = path
        self._now = now
        self.looked_at_ns = now()
        """The time for the fingerprint of what is read."""
        self._fd, self.status = root.open_file(path)
        """The status is as of before the first byte."""
        wait_for_writers_of(self._fd)
        self._holes = Holes(self._fd, self.status)
        self._reads = root.reads
        self.version: Version | None = None
        """What is shared with other readers of the same version."""
        self._share()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def size(self) -> int:
        """Bytes that the file had when it was opened."""
        return self.status.st_size

    @property
    def descriptor(self) -> int:
        """For reading at offsets; this object closes it."""
        return self._fd

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; empty at the end."""
        if self.skip_hole(size):
            return zeros(size)
        if self.version is not None:
            offset = os.lseek(self._fd, 0, os.SEEK_CUR)
            piece = self.version.read(offset, size, lambda: self.read_at(offset, size))
            os.lseek(self._fd, offset + len(piece), os.SEEK_SET)
            return piece
        try:
            return os.read(self._fd, size)
        except OSError as error:
            raise reading_failure(self.path, "read", error) from error

    def read_into(self, buffer: memoryview) -> int:
        """Read on into ``buffer`` with one call; returns the number of bytes, 0 at the end."""
        try:
            return os.readv(self._fd, [buffer])
        except OSError as error:
            raise reading_failure(self.path, "read", error) from error

    @property
    def is_sparse(self) -> bool:
        """Whether the file may have holes."""
        return self._holes.are_possible

    def skip_hole(self, size: int) -> bool:
        """Whether the next ``size`` bytes are a hole; then :meth:`read` continues behind them."""
        if not self._holes.are_possible:
            return False
        offset = os.lseek(self._fd, 0, os.SEEK_CUR)
        if not self._holes.cover(offset, offset + size):
            return False
        os.lseek(self._fd, offset + size, os.SEEK_SET)
        return True

    def read_at(self, offset: int, size: int) -> bytes:
        """The ``size`` bytes at ``offset``, fewer at the end; does not change where :meth:`read` continues."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise reading_failure(self.path, "read", error) from error

    def go_to(self, offset: int) -> None:
        """:meth:`read` continues at this offset."""
        os.lseek(self._fd, offset, os.SEEK_SET)

    def frames(self, size: int, start: int = 0) -> Iterator[bytes]:
        """The content up to the size that the file had when it was opened, in pieces of ``size`` bytes.

        ``start`` is where reading continues.

        Each piece but the last is full. A file that shrinks ends early; :meth:`settled` detects that.
        """
        left = self.size - start
        while left > 0:
            frame = self._full(min(size, left))
            if not frame:
                return
            left -= len(frame)
            yield frame

    def frames_at(self, size: int) -> Iterator[bytes]:
        """The same content again, from the beginning; does not change where :meth:`read` continues."""
        offset, holes = 0, Holes(self._fd, self.status)
        while offset < self.size:
            length = min(size, self.size - offset)
            is_hole = holes.cover(offset, offset + length)
            piece = zeros(length) if is_hole else self.read_at(offset, length)
            if not piece:
                return
            offset += len(piece)
            yield piece

    def look(self) -> os.stat_result:
        """The status now."""
        return os.fstat(self._fd)

    def settled(self) -> os.stat_result | None:
        """The status now, or ``None`` if the file changed since it was opened: then what was read is unusable."""
        after = self.look()
        return after if is_same(after, self.status) else None

    def wait_for_writers(self) -> None:
        """Return when no call of write that was under way can still be; reading continues where it was."""
        offset = os.lseek(self._fd, 0, os.SEEK_CUR)
        wait_for_writers_of(self._fd)
        os.lseek(self._fd, offset, os.SEEK_SET)

    def become_steady(self, attempts: int) -> bool:
        """Make the status one that no call of write was in the middle of; before anything is read.

        A file that is the same before and after a wait for its writers was not being written. False if it was another
        each time: its size may be that of half a write.
        """
        for _ in range(attempts):
            looked_at_ns, status = self._now(), self.look()
            if is_same(status, self.status):
                return True
            self.looked_at_ns, self.status = looked_at_ns, status
            wait_for_writers_of(self._fd)
            self._holes = Holes(self._fd, status)
            self._share()
        return False

    def _share(self) -> None:
        """Read what others read of the version that the status is of; it is then as old as their status is."""
        if self._reads is None or not self.status.st_size:
            return
        status, racy = self.status, is_racy(self.status.st_ctime_ns, self.looked_at_ns)
        self.version = self._reads.version(self.path, pack_status(status), self.looked_at_ns, is_racy=racy)
        if racy:
            self.looked_at_ns = min(self.looked_at_ns, self.version.looked_at_ns)

    def _full(self, size: int) -> bytes:
        frame = self.read(size)
        while 0 < len(frame) < size:
            more = self.read(size - len(frame))
            if not more:
                break
            frame += more
        return frame


def read_small(
    root: Root, path: RelPath, limit: int = LIMITS.inline_file_bytes, now: WallNanoseconds = wall_ns
) -> tuple[bytes, os.stat_result]:
    """The whole content of a file of at most ``limit`` bytes, of one version, and the status that goes with it.

    Raises:
        PathFailure: TooLarge; Changing if it changed each time; Vanished; Unreadable.
    """
    for _ in range(LIMITS.stable_read_attempts):
        with StableFile(root, path, now) as file:
            if file.size > limit:
                raise TooLarge(path, f"{shown(path)} is larger than {limit} bytes")
            content = next(file.frames(limit), b"")
            status = file.settled()
            if status is not None and len(content) == status.st_size:
                return content, status
    raise changing(path)


def changing(path: RelPath) -> Changing:
    """The failure of a file that changed each time that it was read."""
    return Changing(path, f"{shown(path)} changed each time while it was read; it is tried again later")


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two statuses of one file show no change of its content."""
    return (
        one.st_size == other.st_size and one.st_mtime_ns == other.st_mtime_ns and one.st_ctime_ns == other.st_ctime_ns
    )


def wait_for_writers_of(descriptor: int) -> None:
    """Return when no call of write that was under way can still be.

    Looking for data takes the lock that ext4, btrfs and tmpfs hold while they write, and moves nothing; XFS lets no
    other process read during a write anyway. Where a file system cannot look, nothing is lost but this.
    """
    if _SEEK_DATA is None:
        return
    try:
        if os.lseek(descriptor, 0, _SEEK_DATA):
            os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        return
