"""Reading the source's content for the push stream: small files whole, large ones frame by frame.

What is sent is what was read in one stable piece: a file that changed meanwhile is given up, never sent torn. The
record that goes with it describes the file as it was read, which may be newer than what was planned.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dirsync.clock import wall_ns
from dirsync.fs.fingerprint import from_stat, is_racy, pack_status
from dirsync.fs.read.stable import StableFile, read_small
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry, Record, file_entry, pack
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from hashlib import _Hash


class Content(NamedTuple):
    """A small file as it was read."""

    entry: Entry
    record: Record
    data: bytes


def read_content(root: Root, path: RelPath) -> Content:
    """A file of at most ``LIMITS.inline_file_bytes``.

    Raises:
        PathFailure: it is gone, no file, unreadable, changing, or larger (``TooLarge``).
    """
    looked_at = wall_ns()
    data, status = read_small(root, path, LIMITS.inline_file_bytes)
    digest = hashlib.sha256(data).digest()
    entry = file_entry(mode=status.st_mode, size=len(data), mtime_ns=status.st_mtime_ns, digest=digest)
    return Content(entry, pack(entry, from_stat(status, looked_at)), data)


_ZEROS = bytes(LIMITS.frame_bytes)
_GLANCE = 64


def is_zeros(frame: bytes) -> bool:
    """Whether a frame of at most ``LIMITS.frame_bytes`` has no byte but zero; costs nothing where it has."""
    return frame[:_GLANCE].count(0) == len(frame[:_GLANCE]) and frame == _ZEROS[: len(frame)]


class LargeFile:
    """A file on its way in frames."""

    def __init__(self, root: Root, path: RelPath) -> None:
        """Open it.

        Raises:
            PathFailure: it is gone, no file, or unreadable.
        """
        self._file = StableFile(root, path)
        status = self._file.status
        self.entry = file_entry(mode=status.st_mode, size=status.st_size, mtime_ns=status.st_mtime_ns)
        self._hash = hashlib.sha256()
        self._read = 0

    @property
    def position(self) -> int:
        """Bytes that were read."""
        return self._read

    @property
    def status(self) -> bytes:
        """The status of the file as it is read; empty if another one would not show each change (it is racy)."""
        status = self._file.status
        return b"" if is_racy(status.st_ctime_ns, self._file.looked_at_ns) else pack_status(status)

    def hash(self) -> "_Hash":
        """SHA-256 of what was read; a copy, to go on from there another time."""
        return self._hash.copy()

    def digest(self) -> bytes:
        """SHA-256 of what was read."""
        return self._hash.digest()

    def go_to(self, offset: int, hashed: "_Hash | None" = None) -> None:
        """Read on from an offset; ``hashed`` is the SHA-256 of what comes before it."""
        self._file.go_to(offset)
        self._read = offset
        self._hash = hashlib.sha256() if hashed is None else hashed.copy()

    def frames(self, size: int = LIMITS.frame_bytes) -> Iterator[bytes]:
        """The content from the position on, in frames of ``size`` bytes; ends early if the file was truncated."""
        for frame in self._file.frames(size, self._read):
            self._read += len(frame)
            self._hash.update(frame)
            yield frame

    def read_to(self, offset: int) -> Iterator[None]:
        """Read up to an offset, part by part; ends early if the file was truncated."""
        while self._read < offset:
            part = self._file.read(min(LIMITS.frame_bytes, offset - self._read))
            if not part:
                return
            self._read += len(part)
            self._hash.update(part)
            yield

    def read_at(self, offset: int, size: int) -> bytes:
        """Content at an offset; does not change the position."""
        return self._file.read_at(offset, size)

    def finish(self) -> Record | None:
        """The record of what was read, with its digest; ``None`` if the file changed meanwhile."""
        status = self._file.settled()
        if status is None or self._read != self.entry.size:
            return None
        self.entry = self.entry._replace(digest=self._hash.digest())
        return pack(self.entry, from_stat(status, self._file.looked_at_ns))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
