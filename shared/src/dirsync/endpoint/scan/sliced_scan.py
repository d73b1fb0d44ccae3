"""A scan of the whole source in slices, so that a change is never kept waiting by it."""

from collections.abc import Iterator

from dirsync.clock import Monotonic
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath


class SlicedScan:
    """A scan under way."""

    def __init__(self, steps: Iterator[list[RelPath]], *, both_sides: bool, started: float) -> None:
        """``both_sides``: when it is done, the server is to look at its files as well."""
        self.steps = steps
        self.both_sides = both_sides
        self.started = started
        self.again = False
        """Events were lost meanwhile: what was looked at already has to be looked at again."""
        self.is_last = False
        """It began after the client was told to end."""
        self.cost = 0.0
        """Seconds spent in it, but for those in which the source did not answer."""
        self.found = 0
        """Paths that turned out to be different."""

    def advance(self, now: Monotonic, seconds: float) -> tuple[list[RelPath], bool]:
        """Go on for about ``seconds``; gives the paths that turned out to be different, and whether that was all."""
        start = now()
        changed: list[RelPath] = []
        for step in self.steps:
            changed += step
            if now() - start >= seconds:
                break
        else:
            self._account(now() - start, seconds, len(changed))
            return changed, True
        self._account(now() - start, seconds, len(changed))
        return changed, False

    def _account(self, cost: float, slice_seconds: float, found: int) -> None:
        # A source that did not answer for a while is no reason to look less often when it answers again.
        self.cost += cost if cost < LIMITS.stall_min_seconds else slice_seconds
        self.found += found
