"""Where a file has data and where holes: ``SEEK_DATA`` and ``SEEK_HOLE`` of lseek(2).

Where the file system cannot tell, everything is data. What is found is only a hint: somebody may write meanwhile.
"""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple


class Extent(NamedTuple):
    """A range of a file, in bytes, ``end`` excluded: data, or a hole, which reads as zeros."""

    start: int
    end: int
    is_hole: bool


def extents(descriptor: int, start: int, end: int) -> Iterator[Extent]:
    """The extents of an open file between two offsets within it, in order. The descriptor's position moves."""
    while start < end:
        data = min(_seek(descriptor, start, os.SEEK_DATA, nothing=end), end)
        if start < data:
            yield Extent(start, data, is_hole=True)
        if data < end:
            hole = min(_seek(descriptor, data, os.SEEK_HOLE, nothing=end), end)
            yield Extent(data, hole, is_hole=False)
            data = hole
        start = data


def _seek(descriptor: int, start: int, whence: int, *, nothing: int) -> int:
    """The next data or hole from ``start`` on; ``nothing`` where there is no data up to the end of the file."""
    try:
        return os.lseek(descriptor, start, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return nothing
        return start if whence == os.SEEK_DATA else nothing
