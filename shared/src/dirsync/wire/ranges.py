"""Ranges of numbered things, bytes or blocks: a first one and a count."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from dirsync.errors import InvalidMessage
from dirsync.wire.entries import MAX_SIZE

Range = TypeVar("Range", bound=tuple[int, int])


def ascending(ranges: Iterable[Range], told: str) -> Iterator[Range]:
    """The ranges, if each has something, and begins where the one before it ends or later.

    ``told``: what a range is, in a message; ``{0}`` is its first number and ``{1}`` its count.

    Raises:
        InvalidMessage: they are not so.
    """
    end = 0
    for each in ranges:
        first, count = each
        if first < end or not count or first + count > MAX_SIZE:
            msg = f"{told.format(first, count)}: ranges are not empty, ascend, and do not overlap"
            raise InvalidMessage(msg, reason="INVALID_RANGE")
        end = first + count
        yield each


def runs(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """First number and end of each run: ranges that touch are one."""
    start = end = 0
    for first, count in ranges:
        if first != end:
            if end > start:
                yield start, end
            start = first
        end = first + count
    if end > start:
        yield start, end
