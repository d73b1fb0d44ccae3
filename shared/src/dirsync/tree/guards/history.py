"""What happened lately: how large the tree was, what was deleted, and what came in its place.

A build that empties its directory and fills it with other names is no loss. So an entry that comes makes up for one
that goes, in this order:

- A removal is noticed, and within the window after that something comes at the replica.
- Something came within the window, and then a removal of something older is noticed. What came in the window itself is
  not older: a tree that was just copied is no replacement for its own deleted part.

What made up for a removal and goes again makes up for nothing.

:class:`History` does not know what was acknowledged before this process started, except the tree's size.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

WINDOW_SECONDS: Final = 60.0
_SLICES: Final = 60
"""The number of slices of the window; a slice leaves the window as a whole."""


@dataclass(slots=True, eq=False)
class Notice:
    """Removals that were noticed at about the same time, and are not done."""

    start: float
    count: int = 0
    made_up: int = 0
    """How many entries came in their place."""
    transient: bool = False
    """They remove what came after something was held: it has nothing to do with what is held."""


@dataclass(slots=True, eq=False)
class _Slice:
    start: float
    largest: int
    last: int
    deletes: int = 0
    spare: int = 0
    """Entries that came and make up for no removal yet."""
    used_for: list[Notice] = field(default_factory=list)
    """The removals that entries that were spare make up for."""
    came: list[RelPath] = field(default_factory=list)


class History:
    """What was acknowledged and noticed within the window, and the removals that are not done.

    Times are seconds of one monotonic clock. Memory is bounded: the window is kept in slices, and the paths that came
    are limited, but for those that make up for a removal.
    """

    def __init__(self, now: float, entries: int, window_seconds: float = WINDOW_SECONDS) -> None:
        self.pending: dict[RelPath, Notice] = {}
        """The removals that were noticed and are not done."""
        self.replaced = 0
        """How many of them something came in the place of: so many entries of the replica count twice."""
        self._window = window_seconds
        self._in_force = entries
        """Entries of the last tree that was acknowledged before the oldest slice."""
        self._slices: deque[_Slice] = deque()
        self._notices: deque[Notice] = deque()
        self._latest: dict[bool, Notice] = {}
        """The notice that takes what is noticed now: of transient removals, and of others."""
        self._came: dict[RelPath, tuple[_Slice, Notice | None]] = {}
        """Paths that came within the window: when, and what they made up for at once."""
        self._overfull_until = now
        self.restart(now, entries)

    def acknowledged(self, now: float, entries: int, deletes: int = 0) -> None:
        """Note that the replica has ``entries`` now, after ``deletes`` more deletes that needed no approval.

        ``entries`` is all that the replica has. Of an entry that was replaced and is not deleted yet, and the one that
        came for it, only one counts.
        """
        self._expire(now)
        entries -= self.replaced
        current = self._current(now, entries)
        current.largest = max(current.largest, entries)
        current.last = entries
        current.deletes += deletes

    def restart(self, now: float, entries: int) -> None:
        """Note that approved deletes were acknowledged: what was before no longer counts."""
        self._slices.clear()
        self._in_force = entries - self.replaced
        self.acknowledged(now, entries)

    def came(self, now: float, path: RelPath) -> None:
        """Note that the replica has an entry at ``path`` that it did not have."""
        self._expire(now)
        notice = self._open_notice(now)
        if notice is not None:
            notice.made_up += 1
            self.replaced += 1
        elif now < self._overfull_until:
            return
        elif len(self._came) >= LIMITS.max_recent_entries:
            self._forget_spare(now)
            return
        current = self._current(now)
        current.came.append(path)
        current.spare += notice is None
        self._came[path] = current, notice

    def noticed(self, now: float, path: RelPath, held_since: float | None = None) -> None:
        """Note that what is at ``path`` is to be removed. It may be known already.

        ``held_since``: when a hold began, if there is one.
        """
        if path in self.pending:
            return
        self._expire(now)
        piece, used = self._came.pop(path, (None, None))
        recent = piece is not None and held_since is not None and piece.start >= held_since
        notice = self.pending[path] = self._notice(now, transient=recent)
        notice.count += 1
        if used is not None:
            self._take_back(used)
        elif piece is None:
            self._use_spare(notice)
        elif piece.spare:
            piece.spare -= 1
        elif piece.used_for:
            self._take_back(piece.used_for.pop())

    def deleted(self, path: RelPath) -> None:
        """Note that the removal at ``path`` is done."""
        notice = self.pending.pop(path, None)
        if notice is not None:
            notice.count -= 1
            self._take_back(notice)

    def keep(self, paths: Iterable[RelPath]) -> None:
        """Note that of the removals only these are still to be done."""
        pending = self.pending
        self.pending = {path: notice for path in paths if (notice := pending.get(path)) is not None}
        for notice in {*pending.values(), *self._notices}:
            notice.count = 0
        for notice in self.pending.values():
            notice.count += 1
        for notice in {*pending.values(), *self._notices}:
            notice.made_up = min(notice.made_up, notice.count)
        self.replaced = sum(notice.made_up for notice in set(self.pending.values()))

    def made_up_for(self, paths: Iterable[RelPath]) -> int:
        """How many of the removals at ``paths`` something came in the place of."""
        counts: dict[Notice, int] = {}
        for path in paths:
            notice = self.pending.get(path)
            if notice is not None and notice.made_up:
                counts[notice] = counts.get(notice, 0) + 1
        return sum(min(notice.made_up, count) for notice, count in counts.items())

    def largest(self, now: float) -> int:
        """Entries of the largest tree that was acknowledged within the window."""
        self._expire(now)
        return max([self._in_force, *(piece.largest for piece in self._slices)])

    def deletes(self, now: float) -> int:
        """Deletes within the window."""
        self._expire(now)
        return sum(piece.deletes for piece in self._slices)

    def missing(self, now: float) -> int:
        """Deletes within the window that no addition made up for: a lock file that comes and goes does not count."""
        deletes, largest = self.deletes(now), self.largest(now)
        return min(deletes, largest - (self._slices[-1].last if self._slices else self._in_force))

    def _current(self, now: float, entries: int | None = None) -> _Slice:
        """The slice of now; if it has to be made, the tree has so many entries, or as many as before."""
        slices = self._slices
        if not slices or now - slices[-1].start >= self._window / _SLICES:
            if entries is None:
                entries = slices[-1].last if slices else self._in_force
            slices.append(_Slice(now, entries, entries))
        return slices[-1]

    def _notice(self, now: float, *, transient: bool) -> Notice:
        latest = self._latest.get(transient)
        if latest is None or now - latest.start >= self._window / _SLICES:
            latest = self._latest[transient] = Notice(now, transient=transient)
            self._notices.append(latest)
        return latest

    def _open_notice(self, now: float) -> Notice | None:
        """The oldest removals within the window that not enough came for."""
        notices = self._notices
        while notices and notices[0].start < now - self._window - self._window / _SLICES:
            notices.popleft()
        return next((notice for notice in notices if notice.made_up < notice.count), None)

    def _use_spare(self, notice: Notice) -> None:
        """Let something that came lately, the latest first, make up for a removal of something older.

        The trees in which both were are counted without it.
        """
        for back, piece in enumerate(reversed(self._slices), 1):
            if piece.spare:
                piece.spare -= 1
                piece.used_for.append(notice)
                notice.made_up += 1
                self.replaced += 1
                for later in islice(reversed(self._slices), back):
                    later.largest -= 1
                    later.last -= 1
                return

    def _take_back(self, notice: Notice) -> None:
        if notice.made_up:
            notice.made_up -= 1
            self.replaced -= 1

    def _forget_spare(self, now: float) -> None:
        """More came than is remembered: until that is long ago, nothing can tell what is older."""
        self._overfull_until = now + self._window
        self._came = {path: known for path, known in self._came.items() if known[1] is not None}
        for piece in self._slices:
            piece.spare = 0

    def _expire(self, now: float) -> None:
        kept_from = now - self._window - self._window / _SLICES
        while self._slices and self._slices[0].start < kept_from:
            piece = self._slices.popleft()
            self._in_force = piece.last
            for path in piece.came:
                if self._came.get(path, (None,))[0] is piece:
                    del self._came[path]
