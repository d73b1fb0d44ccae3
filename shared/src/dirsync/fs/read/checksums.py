"""The checksums of a file's blocks, read at whatever ranges are asked for, of one version of the file."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator

from dirsync.delta.blocks import span
from dirsync.delta.signature.packed import pack_checksums
from dirsync.errors import Unavailable
from dirsync.fs.failure import Changing, reading_failure, shown
from dirsync.fs.read.hashing import Cancelled, Hashed
from dirsync.fs.read.stable import StableFile
from dirsync.limits import LIMITS


def block_checksums(
    file: StableFile,
    block_size: int,
    ranges: Iterable[tuple[int, int]],
    *,
    hashed: Hashed | None = None,
    cancelled: Cancelled | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Runs of checksums: the number of a run's first block, and 36 bytes for each of its blocks.

    ``ranges`` are first blocks and numbers of blocks, all of which the file has. Blocks have ``block_size`` bytes, the
    file's last one may have fewer. A run is given only if the file is still what it was when it was opened.

    Raises:
        PathFailure: Changing if the file changed; Unreadable.
        Unavailable: cancelled.
    """
    reader = _Reader(file, hashed, cancelled)
    at_a_time = LIMITS.file_read_bytes // block_size
    for first, count in ranges:
        if not at_a_time:
            for block in range(first, first + count):
                yield block, reader.large_block(*span(block, 1, block_size, file.size))
            continue
        for start in range(first, first + count, at_a_time):
            blocks = min(at_a_time, first + count - start)
            yield start, pack_checksums(reader.read(*span(start, blocks, block_size, file.size)), block_size)


class _Reader:
    """Reads into one buffer. The next read overwrites the result."""

    def __init__(self, file: StableFile, hashed: Hashed | None, cancelled: Cancelled | None) -> None:
        self._file = file
        self._hashed: Callable[[int], object] = hashed or (lambda _count: None)
        self._cancelled = cancelled or (lambda: False)
        self._buffer = memoryview(bytearray(min(file.size, LIMITS.file_read_bytes)))

    def read(self, offset: int, length: int) -> memoryview:
        """``length`` bytes, at most the buffer's, from ``offset`` on, of the version that was opened."""
        if self._cancelled():
            raise Unavailable("the checksums are not wanted any more")
        filled = 0
        while filled < length:
            try:
                count = os.preadv(self._file.descriptor, [self._buffer[filled:length]], offset + filled)
            except OSError as error:
                raise reading_failure(self._file.path, "read", error) from error
            if not count:
                raise self._changed()
            filled += count
        if self._file.settled() is None:
            raise self._changed()
        self._hashed(length)
        return self._buffer[:length]

    def large_block(self, offset: int, length: int) -> bytes:
        """The checksums of one block that may be larger than the buffer."""
        weak, strong = zlib.adler32(b""), hashlib.sha256()
        for at in range(offset, offset + length, LIMITS.file_read_bytes):
            part = self.read(at, min(LIMITS.file_read_bytes, offset + length - at))
            weak = zlib.adler32(part, weak)
            strong.update(part)
        return weak.to_bytes(4, "little") + strong.digest()

    def _changed(self) -> Changing:
        return Changing(self._file.path, f"{shown(self._file.path)} changed while it was read")
