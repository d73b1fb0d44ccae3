"""Where a file has data and where holes.

Only ``SEEK_DATA`` of lseek(2) is asked. The next data is found at once; ``SEEK_HOLE`` may look at every page or extent
up to the end of the file, each time. So holes are found where a step through the data ends in one, which leaves less
than a step of zeros written out for each run of data, and files that hold all their bytes are not asked at all.

The result is a hint: the file may be written meanwhile. Who reads by it checks afterwards that the file did not change,
as for what is read in any other way.

RACE: a file system that reports a hole where data was just written makes us take zeros for the data, as it does to cp
and tar. OpenZFS before 2.2.2 could.
"""

import errno
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from dirsync.limits import KIB

_STEP: Final = 64 * KIB
"""How far data of a file with holes is taken for data unseen, in bytes."""
_SMALLEST: Final = 64 * KIB
"""A smaller file is read as it is, in bytes."""
_BLOCK: Final = 512
"""The unit of ``st_blocks``, in bytes, whatever the file system's own is."""


class Extent(NamedTuple):
    """A range of a file, in bytes, ``end`` excluded: data, or a hole, which reads as zeros."""

    start: int
    end: int
    is_hole: bool


def extents(descriptor: int, start: int, end: int) -> Iterator[Extent]:
    """What an open regular file has between two offsets within it, in order. The descriptor's position moves."""
    status = os.fstat(descriptor)
    if start < end and status.st_blocks * _BLOCK >= status.st_size:
        yield Extent(start, end, is_hole=False)
        return
    while start < end:
        data = min(_next_data(descriptor, start, end), end)
        if start < data:
            yield Extent(start, data, is_hole=True)
        start = min(data + _STEP, end)
        if data < start:
            yield Extent(data, start, is_hole=False)


class Holes:
    """The holes of one open file, for reading it without them. The descriptor stays where it is.

    What was found is kept, so an object is good for one reading, front to back.
    """

    __slots__ = ("_descriptor", "_end", "_found", "_start")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        """``status`` is that of the file when it was opened."""
        self._descriptor = descriptor
        sparse = status.st_size >= _SMALLEST and status.st_blocks * _BLOCK < status.st_size
        self._end = status.st_size if sparse else 0
        self._start = self._found = 0
        """There is a hole between these offsets."""

    @property
    def are_possible(self) -> bool:
        """Whether the file has fewer blocks than bytes."""
        return self._end > 0

    def cover(self, start: int, end: int) -> bool:
        """Whether all between two offsets, in bytes, is a hole; false where that is unknown."""
        if not start < end <= self._end:
            return False
        if not self._start <= start <= self._found:
            self._start = self._found = start
        if self._found < end:
            position = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            self._found = min(_next_data(self._descriptor, start, self._end), self._end)
            os.lseek(self._descriptor, position, os.SEEK_SET)
        return end <= self._found


@lru_cache(maxsize=8)
def zeros(length: int) -> bytes:
    """What a hole of this length reads as, in bytes; the same object each time."""
    return bytes(length)


def _next_data(descriptor: int, start: int, end: int) -> int:
    """Where data is from ``start`` on; ``end`` where there is only a hole up to the end of the file."""
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError as error:
        # ENXIO: no data any more. Anything else: the file system cannot tell, so everything is data.
        return end if error.errno == errno.ENXIO else start
