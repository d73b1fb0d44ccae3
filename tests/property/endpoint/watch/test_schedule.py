"""The schedule under any sequence of hints: nothing is forgotten, nothing starves, and there is no needless wakeup."""

from dataclasses import replace
from enum import Enum

from hypothesis import given
from hypothesis import strategies as st

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Due, Schedule
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

SETTLE = 1.0
PATHS = [RelPath(name) for name in (b"a", b"b", b"c", b"d", b"e")]


class Act(Enum):
    """What the engine does of its own accord."""

    TAKE = "take"
    RESCAN = "rescan"


acts = st.sampled_from(Act)
hints = st.builds(Hint, st.sampled_from(PATHS), st.sampled_from(HintKind))
waits = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 30.0])
steps = st.lists(st.tuples(waits, st.one_of(hints, acts)), max_size=60)


def schedules(limit: int) -> Schedule:
    """A schedule with little room."""
    return Schedule(SETTLE, 1000.0, limits=replace(LIMITS, max_dirty_paths=limit))


def serves(due: Due, hint: Hint) -> bool:
    """Whether who does what is due looks where the hint pointed."""
    if due.everything:
        return True
    return hint.path in (due.directories if hint.kind is HintKind.DIRECTORY else due.paths)


@given(steps=steps, limit=st.sampled_from([2, 3, 1000]))
def test_every_hint_is_served_in_time(steps: list[tuple[float, Hint | Act]], limit: int) -> None:
    """Whatever happens, each hint is followed by a look at its path, and soon enough.

    Asking exactly when the schedule says is enough.
    """
    schedule = schedules(limit)
    schedule.rescan_started()
    schedule.rescan_finished(0.0, 0.0)
    now = 0.0
    waiting: dict[Hint, float] = {}

    def take() -> None:
        due = schedule.due(now)
        for hint in [hint for hint in waiting if serves(due, hint)]:
            del waiting[hint]

    def pass_until(end: float) -> None:
        nonlocal now
        while (pause := schedule.next_wakeup(now)) is not None and now + pause <= end and waiting:
            now += pause
            take()
            assert not waiting or min(waiting.values()) >= now
        now = max(now, end)

    for wait, step in steps:
        pass_until(now + wait)
        match step:
            case Hint():
                schedule.hint(step, now)
                waiting.setdefault(step, now + LIMITS.settle_stretch * SETTLE + 1e-6)
            case Act.TAKE:
                take()
            case Act.RESCAN:
                schedule.rescan_started()
                schedule.rescan_finished(now, 0.0)
                waiting.clear()
        assert len(schedule) <= limit
    pass_until(now + LIMITS.retry_max_seconds + 1)

    assert not waiting


@given(writes=st.lists(st.floats(0.0, 0.99), min_size=50, max_size=80))
def test_endless_writing(writes: list[float]) -> None:
    """Between two looks at a file that is written all the time there are never more than twenty settle times."""
    schedule = schedules(1000)
    schedule.rescan_started()
    schedule.rescan_finished(0.0, 0.0)
    now = 0.0
    first: float | None = None
    for pause in writes:
        now += pause
        if schedule.due(now):
            first = None
        schedule.hint(Hint(PATHS[0], HintKind.WRITING), now)
        first = now if first is None else first

        assert now - first <= SETTLE * LIMITS.settle_stretch
