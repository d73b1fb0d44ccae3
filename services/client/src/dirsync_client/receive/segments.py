"""Where the bytes of a new version come from: the old version has some of them, the rest is asked for. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from dirsync.wire.content import ByteRange


class Segment(NamedTuple):
    """Consecutive bytes of the new version."""

    offset: int
    length: int
    at: int | None
    """Where the old version has them; ``None``: it does not."""


def covering(found: dict[int, tuple[int, int]], size: int) -> list[Segment]:
    """Segments for all of a file of ``size`` bytes.

    ``found`` has lengths, and offsets in the old version, by offsets in the new one; they may overlap.
    """
    segments: list[Segment] = []
    at = 0
    for start in sorted(found):
        length, old = found[start]
        end = min(start + length, size)
        if end <= at:
            continue
        if start > at:
            segments.append(Segment(at, start - at, None))
            at = start
        segments.append(Segment(at, end - at, old + at - start))
        at = end
    if at < size:
        segments.append(Segment(at, size - at, None))
    return segments


def from_offset(segments: Sequence[Segment], offset: int) -> list[Segment]:
    """What is left of segments when everything before ``offset`` is there."""
    left: list[Segment] = []
    for start, length, at in segments:
        there = min(length, max(0, offset - start))
        if there < length:
            left.append(Segment(start + there, length - there, None if at is None else at + there))
    return left


def missing(segments: Sequence[Segment]) -> list[ByteRange]:
    """What the old version does not have."""
    return [ByteRange(segment.offset, segment.length) for segment in segments if segment.at is None]
