"""What to look at, and when.

Pure: the time is a parameter, in seconds of one monotonic clock, and nothing here waits, reads or starts anything.
The watcher's hints are put in; the engine takes what is due. The rules:

- No hint is lost: each is taken after it was put in, under its own path or with everything.
- No path starves: a file that is written all the time is looked at after at most ``LIMITS.settle_stretch`` settle
  times.
- The size is bounded: more than ``LIMITS.max_dirty_paths`` paths become "everything", which costs one rescan.
- Scans are bounded: the next periodic one waits until ``LIMITS.rescan_cost_stretch`` times the last one's cost has
  passed, and however often events are lost, at most half of the time is spent on looking at everything.

Not thread-safe: only the engine's thread uses it.
"""

import math
from typing import NamedTuple

from dirsync.endpoint.watch.deadlines import Deadlines
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.limits import LIMITS, Limits
from dirsync.tree.path import RelPath


class Due(NamedTuple):
    """What to look at now; false when that is nothing."""

    paths: list[RelPath]
    """Look at each of these paths; in the order of their first hints, each once."""
    directories: list[RelPath]
    """Look at the listing of each of these."""
    everything: bool
    """Look at everything; then the lists are empty."""
    since: float | None
    """When the earliest of these hints came; None when there is nothing."""

    def __bool__(self) -> bool:
        return self.everything or bool(self.paths) or bool(self.directories)


class Schedule:
    """The dirty paths of one source, and the next rescan."""

    def __init__(self, settle: float, rescan_interval: float, *, limits: Limits = LIMITS) -> None:
        """All times in seconds: the settings SETTLE and RESCAN_INTERVAL."""
        self._settle = settle
        self._limits = limits
        self._ready: dict[RelPath, float] = {}
        self._writing: dict[RelPath, float] = {}
        self._directories: dict[RelPath, float] = {}
        self._later: Deadlines[Hint] = Deadlines()
        self._lost = _Lost()
        self._rescan = _Rescan(rescan_interval, limits.rescan_cost_stretch)

    def __len__(self) -> int:
        """How many paths wait to be looked at, now or later."""
        return len(self._ready) + len(self._directories) + len(self._later)

    def hint(self, hint: Hint, now: float) -> None:
        """Note a hint."""
        path, kind = hint
        if kind is HintKind.CHANGED:
            self._changed(path, now)
        elif kind is HintKind.WRITING:
            self._written(path, now)
        elif kind is HintKind.DIRECTORY:
            self._later.discard(hint)
            self._directories.setdefault(path, now)
        else:
            self._lost.note(now, self._rescan.rested(now))
        self._bound(now)

    def due(self, now: float) -> Due:
        """Take what is due. What comes from now on is due anew, even if it is the same path."""
        for path, kind in self._later.take(now):
            if kind is HintKind.DIRECTORY:
                self._directories.setdefault(path, now)
            else:
                self._ready.setdefault(path, self._writing.pop(path, now))
        everything = self._lost.is_due(now)
        since = min([*self._ready.values(), *self._directories.values(), *self._lost.since(now)], default=None)
        paths, directories = ([], []) if everything else (list(self._ready), list(self._directories))
        self._ready.clear()
        self._directories.clear()
        if everything:
            self._lost = _Lost()
        return Due(paths, directories, everything, since)

    @property
    def oldest(self) -> float | None:
        """When the earliest of the hints came that were not taken; None where there is none."""
        times = (*self._ready.values(), *self._writing.values(), *self._directories.values(), *self._lost.noted)
        return min(times, default=None)

    def rescan_due(self, now: float) -> bool:
        """Whether it is time to look at everything whatever events said; so from the start, until the first rescan."""
        return self._rescan.is_due(now)

    def rescan_started(self) -> None:
        """A look at everything begins: hints that asked for one before now are served by it."""
        self._rescan.started()
        self._lost = _Lost()

    def rescan_finished(self, now: float, cost: float) -> None:
        """It ended, well or not, after ``cost`` seconds of work. After a failure give a ``LOST`` hint too."""
        self._rescan.finished(now, cost)

    def next_wakeup(self, now: float) -> float | None:
        """Seconds until something is due, 0 when something is; None when nothing will be without a further hint."""
        if self._ready or self._directories:
            return 0.0
        times = (self._later.earliest(), self._lost.due, self._rescan.due)
        return min((max(0.0, time - now) for time in times if time is not None), default=None)

    def _changed(self, path: RelPath, now: float) -> None:
        self._later.discard(Hint(path, HintKind.CHANGED))
        self._ready.setdefault(path, self._writing.pop(path, now))

    def _written(self, path: RelPath, now: float) -> None:
        first = self._ready.pop(path, None)
        if first is None:
            first = self._writing.get(path, now)
        self._writing[path] = first
        latest = first + self._settle * self._limits.settle_stretch
        self._later.set(Hint(path, HintKind.CHANGED), min(now + self._settle, latest))

    def _bound(self, now: float) -> None:
        if len(self) <= self._limits.max_dirty_paths:
            return
        since = min([*self._ready.values(), *self._writing.values(), *self._directories.values()], default=now)
        self._ready.clear()
        self._writing.clear()
        self._directories.clear()
        self._later.clear()
        self._lost.note(since, self._rescan.rested(now))


class _Lost:
    """Whether everything must be looked at, since when, and when."""

    def __init__(self) -> None:
        self.due: float | None = None
        self._since: float = 0.0

    def note(self, since: float, due: float) -> None:
        self._since = since if self.due is None else min(self._since, since)
        self.due = due if self.due is None else min(self.due, due)

    def is_due(self, now: float) -> bool:
        return self.due is not None and self.due <= now

    @property
    def noted(self) -> list[float]:
        """Since when, whether it is time or not."""
        return [] if self.due is None else [self._since]

    def since(self, now: float) -> list[float]:
        return [self._since] if self.is_due(now) else []


class _Rescan:
    """When everything is looked at for no other reason than the time that passed."""

    def __init__(self, interval: float, stretch: float) -> None:
        self._interval = interval
        self._stretch = stretch
        self._rest_until = 0.0
        self.due: float | None = -math.inf
        """None while one is running."""

    def is_due(self, now: float) -> bool:
        return self.due is not None and self.due <= now

    def started(self) -> None:
        self.due = None

    def finished(self, now: float, cost: float) -> None:
        self._rest_until = now + cost
        self.due = now + max(self._interval, cost * self._stretch)

    def rested(self, now: float) -> float:
        """The earliest time for another look at everything."""
        return max(now, self._rest_until)
