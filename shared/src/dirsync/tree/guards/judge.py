"""Deciding when deletes are probably a mistake and need a person's approval.

An unmounted disk, a wrong directory and a faulty cleanup all look like a source whose user removed files. So all
operations that remove are judged as a whole before any is sent. What is held is a value (:class:`Hold`) whose id is
computed from its paths: approving it releases exactly that list, and any other list is judged again. No hold is stored
here: it is computed from every plan, and is gone when the plan no longer gives a reason.

Rules, the most serious first; a hold names the most serious one:

- The root of the source vanished, is no directory any more, or is another directory that does not have most of the
  replica's names: everything waits. One that has them was removed and made again, as build tools do.
- The source is empty and had at least two entries: everything waits.
- First sync into a replica of which the source does not know most entries: everything waits, including overwrites.
- A file system was mounted over a directory of the source, or is no longer mounted there: what the source had below it
  waits, and so do the directories that cannot be removed before it.
- More than a share or a number of entries would be deleted, counting those deleted within the window. What came in
  their place is subtracted (:mod:`~dirsync.tree.guards.history`). All of it waits, but for what came after something
  was held and goes again.

An approved list stays approved for its own paths while others come and go (:class:`Approval`).
"""

import sys
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from dirsync.tree.directory import Directory
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import (
    BY_NUMBER,
    DEFAULT_POLICY,
    GRAVITY,
    Approval,
    Facts,
    Guard,
    GuardPolicy,
    Hold,
    Verdict,
    hold_id,
)
from dirsync.tree.path import RelPath, abbreviate, ancestors, is_within
from dirsync.tree.plan import Delete, Operation
from dirsync.tree.tree import Tree

_EMPTIED_FROM: Final = 2
"""A source that had fewer entries than this may become empty without approval."""
_SHOWN_PATHS: Final = 3


def judge(
    steps: Sequence[Operation],
    facts: Facts,
    history: History,
    *,
    now: float,
    policy: GuardPolicy = DEFAULT_POLICY,
    approved: Collection[str] = (),
    approvals: Sequence[Approval] = (),
) -> Verdict:
    """Decide which of ``steps`` may be sent.

    ``steps`` are a plan's deletes (:attr:`dirsync.tree.plan.Plan.deletes`) and, if ``facts.foreign``, before them the
    operations that overwrite something. ``approved`` are ids of holds: each releases exactly the list that has it.
    ``approvals`` are lists whose paths are known: each releases its paths, whatever waits besides.
    """
    whole = _Case(steps, facts, history, history.largest(now), now, policy, approved)
    case = whole._replace(steps=_not_approved(whole, approvals)) if approvals else whole
    waiting, guard = _waiting(case)
    if guard is None:
        return Verdict(list(steps), None)
    held = {step.path for step in waiting}
    if len(held) < len(steps):
        held |= _above(held, (step for step in steps if step.path not in held))
        waiting = [step for step in steps if step.path in held]
    name = hold_id(waiting)
    if name in approved:
        return Verdict(list(steps), None)
    lacking = _excess(waiting, case) if guard in BY_NUMBER else 0
    reason = _reason(guard, waiting, case)
    hold = Hold(name, guard, tuple(waiting), _message(name, reason, waiting), lacking, reason)
    return Verdict([step for step in steps if step.path not in held], hold)


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
    history: History
    largest: int
    """Entries of the largest tree within the window."""
    now: float
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
    below = _below_changed_mounts(steps, case.facts.mounts_changed)
    others = [step for step in steps if step.path not in below] if below else steps
    exceeded = _exceeded(others, case)
    if exceeded is not None and hold_id(others) not in case.approved:
        passing = _transient(others, case)
        waiting = [step for step in steps if step.path not in passing] if passing else steps
        return waiting, Guard.MOUNT_CHANGED if below else exceeded
    if below:
        return [step for step in steps if step.path in below], Guard.MOUNT_CHANGED
    return (), None


def _not_approved(case: _Case, approvals: Sequence[Approval]) -> Sequence[Operation]:
    """The steps that no approval covers."""
    gravest = _guard_of_the_whole(case) if case.steps else None
    lost = _below_changed_mounts(case.steps, case.facts.mounts_changed) if gravest is None else set()

    def covers(approval: Approval, path: RelPath) -> bool:
        reason = gravest or (Guard.MOUNT_CHANGED if path in lost else Guard.DELETE_PERCENT)
        return GRAVITY[approval.guard] >= GRAVITY[reason] and path in approval.paths

    return [step for step in case.steps if not any(covers(approval, step.path) for approval in approvals)]


def _transient(steps: Sequence[Operation], case: _Case) -> set[RelPath]:
    """Those that remove what came after something was held, if they are few: they go as if nothing were held."""
    noticed = case.history.pending
    passing = [step for step in steps if (notice := noticed.get(step.path)) is not None and notice.transient]
    return set() if _exceeded(passing, case) is not None else {step.path for step in passing}


def _above(held: Collection[RelPath], others: Iterable[Operation]) -> set[RelPath]:
    """The paths of those of ``others`` that are above something held: a directory goes after what is in it."""
    ordered = sorted(held)

    def has_below(path: RelPath) -> bool:
        prefix = path + b"/"
        at = bisect_left(ordered, prefix)
        return at < len(ordered) and ordered[at].startswith(prefix)

    return {step.path for step in others if has_below(step.path)}


def _guard_of_the_whole(case: _Case) -> Guard | None:
    """Why all steps wait, whatever their number."""
    if not case.facts.root_intact:
        return Guard.ROOT_CHANGED
    if case.facts.entries == 0 and case.largest >= _EMPTIED_FROM:
        return Guard.ROOT_EMPTIED
    return Guard.FOREIGN if case.facts.foreign else None


def _below_changed_mounts(steps: Sequence[Operation], mounts: Collection[RelPath]) -> set[RelPath]:
    """The paths of steps at and below mounts that changed, and of those above that depend on them."""
    if not mounts:
        return set()
    below = {step.path for step in steps if any(is_within(step.path, mount) for mount in mounts)}
    above = {path for lost in below for path in ancestors(lost)}
    return below.union(step.path for step in steps if step.path in above)


def _exceeded(steps: Sequence[Operation], case: _Case) -> Guard | None:
    """The limit that these deletes exceed, together with those within the window."""
    total, policy = _total(steps, case), case.policy
    if total == 0:
        return None
    if total > policy.max_delete_count:
        return Guard.DELETE_COUNT
    return Guard.DELETE_PERCENT if total > _allowed_share(case) else None


def _excess(steps: Sequence[Operation], case: _Case) -> int:
    """By how many these deletes exceed what goes without approval."""
    return max(1, _total(steps, case) - min(case.policy.max_delete_count, _allowed_share(case)))


def _total(steps: Sequence[Operation], case: _Case) -> int:
    """What these deletes and those within the window take away; 0 where something came for each of these."""
    deletes = [step.path for step in steps if isinstance(step, Delete)]
    made_up_for = case.history.made_up_for
    if len(deletes) == made_up_for(deletes):
        return 0
    deletes += case.facts.under_way
    return _lasting(deletes, case) - made_up_for(deletes) + case.history.missing_after(case.now, deletes)


def _lasting(deletes: Sequence[RelPath], case: _Case) -> int:
    """How many of these deletes count each for itself: fleeting ones count by what the tree has lost."""
    return len(deletes) - case.history.fleeting(deletes)


def _allowed_share(case: _Case) -> int:
    policy = case.policy
    if policy.max_delete_percent >= 100:
        return sys.maxsize
    return max(policy.min_entries - 1, policy.max_delete_percent * case.largest // 100)


def _count_deletes(steps: Iterable[Operation]) -> int:
    return sum(isinstance(step, Delete) for step in steps)


def _reason(guard: Guard, waiting: Sequence[Operation], case: _Case) -> str:
    facts, policy = case.facts, case.policy
    amount = f"{_count_deletes(waiting)} of {case.largest} entries would be deleted"
    before = case.history.missing(case.now) + len(facts.under_way)
    lately = f", after {before} in the last {policy.window_seconds:g} s" if before else ""
    replaced = case.history.made_up_for(step.path for step in waiting)
    lately += f", and {replaced} others came in their place" if replaced else ""
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
            mounts = _listed(sorted(facts.mounts_changed))
            return f"{amount}, and what is mounted at {mounts} in the source is not what it was"
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
