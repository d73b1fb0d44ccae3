"""The paces of all files that were sent a short time ago."""

from typing import Final

from dirsync.tree.path import RelPath
from dirsync_client.reconcile.pacing.pace import Cost, Pace

_SWEEP: Final = 256
"""Paces that are kept before those that are over are looked for."""


class Pacing:
    """Bounded by what is sent within ``LIMITS.pace_memory_seconds``, and by the files that are held back."""

    def __init__(self) -> None:
        self._paces: dict[RelPath, Pace] = {}
        self._sweep_at = _SWEEP

    def __contains__(self, path: RelPath) -> bool:
        """Whether the file at ``path`` may have to wait."""
        return path in self._paces

    def __len__(self) -> int:
        return len(self._paces)

    def published(self, path: RelPath, size: int, cost: Cost, now: float) -> None:
        """A version of the file at ``path``, of ``size`` bytes, was acknowledged."""
        self._pace(path, now - cost.seconds).published(size, cost, now)

    def given_up(self, path: RelPath, cost: Cost, now: float) -> int:
        """The file was rewritten while it was read; returns how often in a row by now."""
        pace = self._pace(path, now - cost.seconds)
        pace.given_up(cost, now)
        return pace.torn

    def changed(self, path: RelPath, now: float) -> None:
        """The file was seen to be different."""
        pace = self._paces.get(path)
        if pace is not None:
            pace.changed(now)

    def wait_until(self, path: RelPath, size: int, now: float) -> float | None:
        """When the file at ``path``, which has ``size`` bytes now, may be sent; ``None``: it may be now."""
        pace = self._paces.get(path)
        due = now if pace is None else pace.due(size)
        return due if due > now else None

    def clear(self) -> None:
        """Forget all: each file may be sent once more without a pause."""
        self._paces.clear()

    def _pace(self, path: RelPath, now: float) -> Pace:
        """The pace for a try that began at ``now``."""
        pace = self._paces.get(path)
        if pace is None:
            if len(self._paces) >= self._sweep_at:
                self._paces = {kept: pace for kept, pace in self._paces.items() if not pace.is_over(now)}
                self._sweep_at = max(_SWEEP, 2 * len(self._paces))
            pace = self._paces[path] = Pace()
        elif pace.is_over(now) and not pace.torn:
            pace = self._paces[path] = Pace()
        return pace
