"""How long no new removal has come."""

from dirsync.limits import LIMITS


class SettleTimer:
    """Says when removals have settled: no more of them came for a while, or they have come for too long."""

    def __init__(self, settle: float) -> None:
        """``settle``: seconds without a new removal."""
        self._settle = settle
        self._longest = settle * LIMITS.delete_settle_stretch
        self._count = 0
        self._first = 0.0
        self.due: float | None = None

    def reset(self) -> None:
        """None waits any more."""
        self._count = 0
        self.due = None

    def note(self, now: float, count: int) -> None:
        """So many wait. More than before means that new ones came, and the quiet time starts again."""
        if count <= self._count:
            return
        if self._count == 0:
            self._first = now
        self._count = count
        self.due = min(now + self._settle, self._first + self._longest)

    def is_due(self, now: float) -> bool:
        """Whether no removal has come for long enough, or they have come for too long."""
        return self.due is not None and now >= self.due
