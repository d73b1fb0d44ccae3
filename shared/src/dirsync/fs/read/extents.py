"""Where a file has data and where holes.

Only ``SEEK_DATA`` of lseek(2) is asked. The next data is found at once; ``SEEK_HOLE`` may look at every page or extent
up to the end of the file, each time. So holes are found where a step through the data ends in one, which leaves less
than a step of zeros written out for each run of data, and files that hold all their bytes are not asked at all.

The result is a hint: the file may be written meanwhile.
"""

import errno
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from dirsync.limits import KIB

_STEP: Final = 64 * KIB
"""How far data of a file with holes is taken for data unseen, in bytes."""
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


def _next_data(descriptor: int, start: int, end: int) -> int:
    """Where data is from ``start`` on; ``end`` where there is only a hole up to the end of the file."""
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError as error:
        # ENXIO: no data any more. Anything else: the file system cannot tell, so everything is data.
        return end if error.errno == errno.ENXIO else start
