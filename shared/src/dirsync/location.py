"""The location of a root, by which two roots on one machine can be seen to overlap.

A replica that is the source, inside it or around it would mirror itself without end, or delete what it reads. Names
cannot show that (bind mounts, links, containers); device and inode numbers can, if both sides run under one kernel.
"""

from typing import NamedTuple

MAX_DIRECTORIES = 256
"""The most directories in a location."""


class Location(NamedTuple):
    """A directory and those above it, nearest first."""

    host: str
    """The machine that the numbers belong to, until it restarts; empty if unknown."""
    directories: tuple[tuple[int, int], ...]
    """Device and inode of each."""


def overlap(one: Location, other: Location) -> bool:
    """Whether the two directories are one, or one lies in the other."""
    if not one.host or one.host != other.host or not one.directories or not other.directories:
        return False
    return one.directories[0] in other.directories or other.directories[0] in one.directories
