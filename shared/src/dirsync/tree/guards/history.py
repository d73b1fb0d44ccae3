"""What happened lately: how large the tree was, what was deleted, and what came in its place.

A build that empties its directory and fills it with other names is no loss. So an entry that comes makes up for one
that goes, in this order:

- A removal is noticed, and within the window after that something comes at the replica.
- Something came within the window, and then a removal of something older is noticed. What came in the window itself is
  not older: a tree that was just copied is no replacement for its own deleted part.

What made up for a removal and goes again makes up for nothing. If that removal is done, what came for it is as old as
what it removed. Anything else that came within the window and goes again is *fleeting*: its removal counts as if it
were done at once. So versions that follow each other quickly, each in the place of the one before, take nothing away,
however many of them wait to be removed; a tree that was just copied and loses most of itself does.

:class:`History` does not know what was acknowledged before this process started, except the tree's size. What came with
the first comparison of a session is old once that is done (:meth:`History.age`).
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
    fleeting: bool = False
    """They remove what came within the window in no older entry's place. Nothing makes up for them."""


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

    def give_back(self) -> Notice | None:
        """One of what came goes again, and it is not known which: it is a spare one, or what one made up for."""
        if self.spare:
            self.spare -= 1
            return None
        return self.used_for.pop() if self.used_for else None


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
        self._fleeting = 0
        """How many of them remove what is fleeting: so many entries of the replica do not count."""
        self._window = window_seconds
        self._in_force = entries
        """Entries of the last tree that was acknowledged before the oldest slice."""
        self._slices: deque[_Slice] = deque()
        self._notices: deque[Notice] = deque()
        self._latest: dict[tuple[bool, bool], Notice] = {}
        """The notice that takes what is noticed now: of transient and fleeting removals, and of others."""
        self._came: dict[RelPath, tuple[_Slice, Notice | None]] = {}
        """Paths that came within the window: when, and what they made up for at once."""
        self._overfull_until = now
        self.restart(now, entries)

    def acknowledged(self, now: float, entries: int, deletes: int = 0) -> None:
        """Note that the replica has ``entries`` now, after ``deletes`` more deletes that needed no approval.

        ``entries`` is all that the replica has. Of an entry that was replaced and is not deleted yet, and the one that
        came for it, only one counts. What is fleeting and is to be removed does not count.
        """
        self._expire(now)
        entries -= self.replaced + self._fleeting
        current = self._current(now, entries)
        current.largest = max(current.largest, entries)
        current.last = entries
        current.deletes += deletes

    def restart(self, now: float, entries: int) -> None:
        """Note that approved deletes were acknowledged: what was before no longer counts."""
        self._slices.clear()
        self._in_force = entries - self.replaced - self._fleeting
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

    def age(self) -> None:
        """Note that what came so far is old: it was there when this began to be watched."""
        for piece in self._slices:
            piece.spare = 0
            piece.used_for.clear()
            piece.came.clear()
        self._came.clear()

    def noticed(self, now: float, path: RelPath, held_since: float | None = None) -> None:
        """Note that what is at ``path`` is to be removed. It may be known already.

        ``held_since``: when a hold began, if there is one.
        """
        if path in self.pending:
            return
        self._expire(now)
        piece, used = self._came.pop(path, (None, None))
        if piece is None:
            self._use_spare(self._note(now, path))
            return
        recent = held_since is not None and piece.start >= held_since
        if used is None:
            used = piece.give_back()
        if used is not None and not used.made_up:
            self._use_spare(self._note(now, path, transient=recent))
            return
        self._note(now, path, transient=recent, fleeting=True)
        self._fleeting += 1
        if used is None:
            self._current(now).last -= 1
        else:
            self._take_back(used)
            self._use_spare(used)

    def deleted(self, path: RelPath) -> None:
        """Note that the removal at ``path`` is done."""
        notice = self.pending.pop(path, None)
        if notice is not None:
            notice.count -= 1
            self._fleeting -= notice.fleeting
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
        fleeting = sum(notice.count for notice in set(self.pending.values()) if notice.fleeting)
        if self._slices:
            self._slices[-1].last += self._fleeting - fleeting
        self._fleeting = fleeting

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
        return self.missing_after(now, ())

    def missing_after(self, now: float, removals: Iterable[RelPath]) -> int:
        """The same, if of the removals that are not done the fleeting ones among these were done."""
        gone = self.fleeting(removals)
        deletes, largest = self.deletes(now) + gone, self.largest(now)
        last = self._slices[-1].last if self._slices else self._in_force
        return max(0, min(deletes, largest - last - (self._fleeting - gone)))

    def fleeting(self, paths: Iterable[RelPath]) -> int:
        """How many of the removals at ``paths`` are fleeting."""
        return sum((notice := self.pending.get(path)) is not None and notice.fleeting for path in paths)

    def level(self, *, fleeting: bool) -> int:
        """A number that grows by one with each entry that makes up for a removal, and with any if some are fleeting."""
        last = self._slices[-1].last if self._slices else self._in_force
        return self.replaced + (last if fleeting else 0)

    def _current(self, now: float, entries: int | None = None) -> _Slice:
        """The slice of now; if it has to be made, the tree has so many entries, or as many as before."""
        slices = self._slices
        if not slices or now - slices[-1].start >= self._window / _SLICES:
            if entries is None:
                entries = slices[-1].last if slices else self._in_force
            slices.append(_Slice(now, entries, entries))
        return slices[-1]

    def _note(self, now: float, path: RelPath, *, transient: bool = False, fleeting: bool = False) -> Notice:
        kind = transient, fleeting
        latest = self._latest.get(kind)
        if latest is None or now - latest.start >= self._window / _SLICES:
            latest = self._latest[kind] = Notice(now, transient=transient, fleeting=fleeting)
            if not fleeting:
                self._notices.append(latest)
        latest.count += 1
        self.pending[path] = latest
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
