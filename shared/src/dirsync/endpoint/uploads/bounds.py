"""Which interrupted uploads a replica keeps. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.limits import LIMITS, Limits

_SECOND_NS = 1_000_000_000


class Kept(NamedTuple):
    """An interrupted upload, as far as its bounds need it."""

    id: bytes
    size: int
    """In bytes."""
    since_ns: int
    """When its stream ended, or its file was last changed; wall clock."""


def surplus(kept: Iterable[Kept], now_ns: int, free_bytes: int, limits: Limits = LIMITS) -> list[bytes]:
    """The ids of those that are dropped: what is too old, then the oldest of what is too much.

    A file whose time lies ahead, because the clock was set back, counts as new.

    Args:
        kept: what is kept now.
        now_ns: the wall clock.
        free_bytes: what the disk has left beside them.
        limits: the bounds in force.
    """
    newest_first = sorted(kept, key=lambda one: one.since_ns, reverse=True)
    room = int((free_bytes + sum(one.size for one in newest_first)) * limits.kept_upload_share)
    dropped: list[bytes] = []
    count = 0
    for one in newest_first:
        too_old = now_ns - one.since_ns > limits.kept_upload_seconds * _SECOND_NS
        if too_old or count == limits.max_kept_uploads or one.size > room:
            dropped.append(one.id)
            continue
        count += 1
        room -= one.size
    return dropped
