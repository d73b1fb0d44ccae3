"""Where a root is: enough to see that two roots on one machine overlap, whatever their names and containers.

A replica that is the source, lies in it or around it would mirror itself without end, or delete what it reads. Names do
not tell (bind mounts, links, containers), but device and inode numbers do, as long as both sides run under one kernel.
"""

from typing import NamedTuple

MAX_DIRECTORIES = 256
"""Directories that a location names at most."""


class Location(NamedTuple):
    """A directory and those above it, nearest first."""

    host: str
    """Which machine the numbers belong to, as long as it runs; empty if unknown."""
    directories: tuple[tuple[int, int], ...]
    """Device and inode of each."""


def overlap(one: Location, other: Location) -> bool:
    """Whether the two directories are one, or one lies in the other."""
    if not one.host or one.host != other.host or not one.directories or not other.directories:
        return False
    return one.directories[0] in other.directories or other.directories[0] in one.directories
