"""Deciding when deletes are probably a mistake and need a person's approval.

An unmounted disk, a wrong directory and a faulty cleanup all look like a source whose user removed files. So all
operations that remove are judged as a whole before any is sent. What is held is a value (:class:`Hold`) whose id is
computed from its paths: approving it releases exactly that list, and any other list is judged again. No hold is stored
here: it is computed from every plan, and is gone when the plan no longer gives a reason.

Rules, the most serious first; a hold names the most serious one:

- The root of the source vanished, is no directory any more, or is another directory: everything waits.
- The source is empty and had at least two entries: everything waits.
- First sync into a replica of which the source does not know most entries: everything waits, including overwrites.
- A file system is no longer mounted below the source's root: what was below it waits, and so do the directories that
  cannot be removed before it.
- More than a share or a number of entries would be deleted, counting those deleted within the window that no addition
  made up for: all of it waits.

:class:`History` does not know what was acknowledged before this process started, except the tree's size.
"""

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from dirsync.tree.directory import Directory
from dirsync.tree.path import RelPath, abbreviate, ancestors, is_within
from dirsync.tree.plan import Delete, Operation
from dirsync.tree.tree import Tree

_EMPTIED_FROM: Final = 2
"""A source that had fewer entries than this may become empty without approval."""
_SLICES: Final = 60
"""The number of slices of the window; a slice leaves the window as a whole."""
_SHOWN_PATHS: Final = 3


class Guard(StrEnum):
    """Why operations are held; also a label of ``dirsync_guard_holds_total``."""

    ROOT_CHANGED = "root_changed"
    ROOT_EMPTIED = "root_emptied"
    FOREIGN = "foreign"
    MOUNT_CHANGED = "mount_changed"
    DELETE_COUNT = "delete_count"
    DELETE_PERCENT = "delete_percent"


class GuardPolicy(NamedTuple):
    """How much may be deleted without approval."""

    max_delete_percent: int = 50
    """Share of the largest tree within the window; 100 switches it off."""
    max_delete_count: int = 10_000
    """Entries."""
    min_entries: int = 10
    """Fewer deletes than this are never held for their share."""
    window_seconds: float = 60.0


DEFAULT_POLICY: Final = GuardPolicy()


class Facts(NamedTuple):
    """What is known about the source when a plan is judged."""

    entries: int
    """Entries below the source's root now."""
    root_intact: bool = True
    """Whether the root of the source is still the same directory: same kind, device and inode."""
    mounts_lost: Collection[RelPath] = ()
    foreign: bool = False
    """Whether this is the first sync, into a replica for which :func:`is_foreign` holds."""
    deletes_under_way: int = 0
    """Deletes that were released and are not acknowledged: they count as those within the window do."""


class Hold(NamedTuple):
    """Operations that wait for approval; ``message`` is for people."""

    id: str
    guard: Guard
    operations: tuple[Operation, ...]
    message: str


class Verdict(NamedTuple):
    """What may be sent now, in the given order, and what may not."""

    released: list[Operation]
    hold: Hold | None


@dataclass(slots=True)
class _Slice:
    start: float
    largest: int
    last: int
    deletes: int


class History:
    """What was acknowledged recently: the largest tree, and how many deletes.

    Times are seconds of one monotonic clock. Memory is bounded: the window is kept in slices.
    """

    def __init__(self, now: float, entries: int, window_seconds: float = DEFAULT_POLICY.window_seconds) -> None:
        self._window = window_seconds
        self._in_force = entries
        """Entries of the last tree that was acknowledged before the oldest slice."""
        self._slices: deque[_Slice] = deque()
        self.restart(now, entries)

    def acknowledged(self, now: float, entries: int, deletes: int = 0) -> None:
        """Note that the replica has ``entries`` now, after ``deletes`` more deletes that needed no approval."""
        self._expire(now)
        if not self._slices or now - self._slices[-1].start >= self._window / _SLICES:
            self._slices.append(_Slice(now, entries, entries, 0))
        current = self._slices[-1]
        current.largest = max(current.largest, entries)
        current.last = entries
        current.deletes += deletes

    def restart(self, now: float, entries: int) -> None:
        """Note that approved deletes were acknowledged: what was before no longer counts."""
        self._slices.clear()
        self._in_force = entries
        self.acknowledged(now, entries)

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

    def _expire(self, now: float) -> None:
        kept_from = now - self._window - self._window / _SLICES
        while self._slices and self._slices[0].start < kept_from:
            self._in_force = self._slices.popleft().last


def judge(
    steps: Sequence[Operation],
    facts: Facts,
    history: History,
    *,
    now: float,
    policy: GuardPolicy = DEFAULT_POLICY,
    approved: Collection[str] = (),
) -> Verdict:
    """Decide which of ``steps`` may be sent.

    ``steps`` are a plan's deletes (:attr:`dirsync.tree.plan.Plan.deletes`) and, if ``facts.foreign``, before them the
    operations that overwrite something. ``approved`` are ids of holds.
    """
    missing = history.missing(now) + facts.deletes_under_way
    case = _Case(steps, facts, history.largest(now), missing, policy, approved)
    waiting, guard = _waiting(case)
    if guard is None or (name := hold_id(waiting)) in approved:
        return Verdict(list(steps), None)
    held = {step.path for step in waiting}
    hold = Hold(name, guard, tuple(waiting), _message(name, _reason(guard, waiting, case), waiting))
    return Verdict([step for step in steps if step.path not in held], hold)


def hold_id(steps: Iterable[Operation]) -> str:
    """The id of a hold of ``steps``: 16 hexadecimal digits, computed from their paths."""
    digest = hashlib.sha256()
    for path in sorted(step.path for step in steps):
        digest.update(len(path).to_bytes(4, "big") + path)
    return digest.hexdigest()[:16]


def is_foreign(source: Tree, replica: Tree) -> bool:
    """Whether the source does not know most of the replica's entries (by path and kind)."""
    unknown = 0
    stack: list[tuple[Directory, Directory]] = [(replica.root, source.root)]
    while stack:
        theirs, ours = stack.pop()
        for name, child in theirs.children.items():
            known = ours.children.get(name)
            if isinstance(child, Directory):
                if isinstance(known, Directory):
                    stack.append((child, known))
                else:
                    unknown += 1 + child.entries
            elif not isinstance(known, bytes) or known[:1] != child[:1]:
                unknown += 1
    return unknown * 2 > len(replica)


class _Case(NamedTuple):
    """Everything that one judgement depends on."""

    steps: Sequence[Operation]
    facts: Facts
    largest: int
    """Entries of the largest tree within the window."""
    missing: int
    """Deletes within the window that no addition made up for, and those under way."""
    policy: GuardPolicy
    approved: Collection[str]


def _waiting(case: _Case) -> tuple[Sequence[Operation], Guard | None]:
    """The steps that need approval, and why."""
    steps = case.steps
    if not steps:
        return (), None
    everything = _guard_of_the_whole(case)
    if everything is not None:
        return steps, everything
    below = _below_lost_mounts(steps, case.facts.mounts_lost)
    others = [step for step in steps if step.path not in below] if below else steps
    exceeded = _exceeded(others, case)
    if exceeded is not None and hold_id(others) not in case.approved:
        return steps, Guard.MOUNT_CHANGED if below else exceeded
    if below:
        return [step for step in steps if step.path in below], Guard.MOUNT_CHANGED
    return (), None


def _guard_of_the_whole(case: _Case) -> Guard | None:
    """Why all steps wait, whatever their number."""
    if not case.facts.root_intact:
        return Guard.ROOT_CHANGED
    if case.facts.entries == 0 and case.largest >= _EMPTIED_FROM:
        return Guard.ROOT_EMPTIED
    return Guard.FOREIGN if case.facts.foreign else None


def _below_lost_mounts(steps: Sequence[Operation], mounts: Collection[RelPath]) -> set[RelPath]:
    """The paths of steps at and below lost mounts, and of those above that depend on them."""
    if not mounts:
        return set()
    below = {step.path for step in steps if any(is_within(step.path, mount) for mount in mounts)}
    above = {path for lost in below for path in ancestors(lost)}
    return below.union(step.path for step in steps if step.path in above)


def _exceeded(steps: Sequence[Operation], case: _Case) -> Guard | None:
    """The limit that these deletes exceed, together with those within the window."""
    pending, policy = _count_deletes(steps), case.policy
    total = pending + case.missing
    if pending == 0:
        return None
    if total > policy.max_delete_count:
        return Guard.DELETE_COUNT
    share_counts = policy.max_delete_percent < 100 and total >= policy.min_entries
    if share_counts and total * 100 > policy.max_delete_percent * case.largest:
        return Guard.DELETE_PERCENT
    return None


def _count_deletes(steps: Iterable[Operation]) -> int:
    return sum(isinstance(step, Delete) for step in steps)


def _reason(guard: Guard, waiting: Sequence[Operation], case: _Case) -> str:
    facts, policy = case.facts, case.policy
    amount = f"{_count_deletes(waiting)} of {case.largest} entries would be deleted"
    lately = f", after {case.missing} in the last {policy.window_seconds:g} s" if case.missing else ""
    match guard:
        case Guard.ROOT_CHANGED:
            return f"{amount}, but the source directory is gone or is not the one that it was (unmounted? replaced?)"
        case Guard.ROOT_EMPTIED:
            return f"{amount}, because the source is empty (unmounted?)"
        case Guard.FOREIGN:
            overwritten = len(waiting) - _count_deletes(waiting)
            return (
                f"{amount} and {overwritten} overwritten by the first sync, and the source does not know most of what "
                "the replica has (wrong replica?)"
            )
        case Guard.MOUNT_CHANGED:
            mounts = _listed(sorted(facts.mounts_lost))
            return f"{amount}, and no file system is mounted any more at {mounts} in the source"
        case Guard.DELETE_COUNT:
            return f"{amount}{lately}: more than {policy.max_delete_count}"
        case Guard.DELETE_PERCENT:
            return f"{amount}{lately}: more than {policy.max_delete_percent} %"


def _message(name: str, reason: str, waiting: Sequence[Operation]) -> str:
    paths = _listed(sorted(step.path for step in waiting))
    return f"{reason}. Held: {paths}. If that is what you want: dirsync-client approve {name}"


def _listed(paths: Sequence[RelPath]) -> str:
    shown = ", ".join(abbreviate(path) for path in paths[:_SHOWN_PATHS])
    more = len(paths) - _SHOWN_PATHS
    return f"{shown} and {more} more" if more > 0 else shown
