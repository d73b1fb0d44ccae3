"""Reading a file to which others append: its first part, as long as the file was when it was opened, is a version.

A log that is written every few milliseconds never stands still for one reading, so
:class:`~dirsync.fs.read.stable.StableFile` alone would never be satisfied. :class:`GrowingFile` reads the first part
twice. Each byte that was the same in both readings had that value at the moment between them, unless it was changed and
changed back. So if all are the same, that part was the file's content at that moment, whole
(docs/adr/0016-the-first-part-of-a-growing-file.md).

Appending is told from rewriting: every change that is seen between two pieces has to make the file longer. A file that
fails this is given up at the next piece, before the rest of it is read.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Self

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import Changing, shown
from dirsync.fs.fingerprint import RACY, from_stat, is_racy, pack_status
from dirsync.fs.read.content_hash import Checkpoint, ContentHash
from dirsync.fs.read.stable import StableFile, is_same
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, file_entry, pack
from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from hashlib import _Hash

_STEADY_ATTEMPTS: Final = 3
"""How often a length of the file is looked for that is not that of half a write."""


class GrowingFile:
    """A file that is read once, and a second time if it grew meanwhile. A context manager that closes it."""

    def __init__(self, root: Root, path: RelPath, now: WallNanoseconds = wall_ns) -> None:
        """Open it.

        Raises:
            PathFailure: it is gone, no file, or unreadable.
        """
        self._file = StableFile(root, path, now)
        self.is_older = False
        """What was read is a version that the file has left behind: it grew since."""
        self._first_part = self._file.become_steady(_STEADY_ATTEMPTS)
        self._seen = status = self._file.status
        self.entry = file_entry(mode=status.st_mode, size=status.st_size, mtime_ns=status.st_mtime_ns)
        """Of the file as it was opened; its digest is set by :meth:`finish`."""
        self._hash = ContentHash()
        self._read = 0
        self._settled = False
        """The file was seen unchanged after all of it was read."""
        self._again: Iterator[bytes] | None = None
        self._hash_again = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes that were read."""
        return self._read

    @property
    def is_sparse(self) -> bool:
        """Whether the file may have holes."""
        return self._file.is_sparse

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
        self._hash = ContentHash() if hashed is None else ContentHash.continued(hashed, offset)

    def make_checkpoints(self, former: Sequence[Checkpoint] = ()) -> None:
        """Keep checkpoints of what is read from here on, and follow those of an earlier version; at the beginning."""
        self._hash.make_checkpoints(self.read_at, former)

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those of what was read, if it was asked for them."""
        return self._hash.checkpoints

    def frames(self, size: int = LIMITS.frame_bytes) -> Iterator[bytes]:
        """The content from the position up to the length at opening, in frames; ends early if it was truncated.

        Raises:
            PathFailure: Changing if the file was rewritten meanwhile; Unreadable.
        """
        for frame in self._file.frames(size, self._read):
            self._read += len(frame)
            self._hash.update(frame)
            yield frame
            self._require_growth()

    def read_to(self, offset: int) -> Iterator[None]:
        """Read up to an offset, part by part; ends early if the file was truncated.

        Raises:
            PathFailure: as for :meth:`frames`.
        """
        while self._read < offset:
            part = self._file.read(min(LIMITS.frame_bytes, offset - self._read))
            if not part:
                return
            self._read += len(part)
            self._hash.update(part)
            yield
            self._require_growth()

    def read_at(self, offset: int, size: int) -> bytes:
        """Content at an offset; does not change the position."""
        return self._file.read_at(offset, size)

    def prove(self) -> bool:
        """Read the next piece for the second time; true if that is not needed, or done.

        Raises:
            PathFailure: Changing if the file was rewritten meanwhile; Unreadable.
        """
        if self._again is None:
            self._settled = self._file.settled() is not None
            if self._settled or not self._first_part:
                return True
            # Whatever was being written has ended when this returns: the moment between the two readings.
            self._file.wait_for_writers()
            self._again = self._file.frames_at(LIMITS.file_read_bytes)
        piece = next(self._again, None)
        self._require_growth()
        if piece is None:
            return True
        self._hash_again.update(piece)
        return False

    def finish(self) -> Record | None:
        """The record of what was read, with its digest; ``None`` if the file was rewritten. After :meth:`prove`."""
        if self._read != self.entry.size:
            return None
        digest = self._hash.digest()
        self.is_older = not self._settled
        if self.is_older and (self._again is None or self._hash_again.digest() != digest):
            return None
        self.entry = self.entry._replace(digest=digest)
        # The file has moved on, so the fingerprint of what was read proves nothing of what is there.
        flags = int(RACY) if self.is_older else 0
        return pack(self.entry, from_stat(self._file.status, self._file.looked_at_ns, flags))

    def _require_growth(self) -> None:
        status = self._file.look()
        if is_same(status, self._seen):
            return
        if status.st_size <= self._seen.st_size:
            # The kernel sets the times of an append before the size.
            self._file.wait_for_writers()
            status = self._file.look()
        if status.st_size <= self._seen.st_size:
            raise Changing(self._file.path, f"{shown(self._file.path)} was rewritten while it was read")
        self._seen = status
