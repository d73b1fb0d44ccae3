"""How paths travelled lately, for those who ask why. The engine's thread only; bounded, the oldest are forgotten."""

from collections import OrderedDict
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.strategy import Choice, Strategy


class Travel(NamedTuple):
    """How the replica got what it has at a path."""

    choice: Choice
    size: int
    """Of the file, or of all files that were moved, in bytes."""
    literal_bytes: int
    """Content that was sent, before compression."""
    at: float
    """When it was acknowledged, by the monotonic clock."""
    former: RelPath | None = None
    """Where it was before it was moved."""


class Travels:
    """The last one of each path."""

    def __init__(self, limit: int = LIMITS.max_travels) -> None:
        """``limit`` is how many paths are remembered."""
        self._limit = limit
        self._travels: OrderedDict[RelPath, Travel] = OrderedDict()

    def note(self, path: RelPath, travel: Travel) -> None:
        """What is at this path has just travelled."""
        travels = self._travels
        travels.pop(path, None)
        travels[path] = travel
        if len(travels) > self._limit:
            travels.popitem(last=False)

    def last(self, path: RelPath) -> Travel | None:
        """The last travel of what is at a path, alone or in a directory that was moved; ``None``: it is not known."""
        own = self._travels.get(path)
        above = (self._travels.get(at) for at in ancestors(path))
        moves = [found for found in above if found is not None and found.choice.strategy is Strategy.RENAME]
        return max((found for found in (own, *moves) if found is not None), key=lambda found: found.at, default=None)
