"""When what is looked at: the rules one by one, with the time moved by hand."""

from dataclasses import replace

import pytest

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Due, Schedule
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath

CHANGED, WRITING, DIRECTORY, LOST = HintKind.CHANGED, HintKind.WRITING, HintKind.DIRECTORY, HintKind.LOST
A, B, D = RelPath(b"a"), RelPath(b"b"), RelPath(b"d")
EVERYTHING = Due([], [], everything=True, since=0.0)


@pytest.fixture
def schedule() -> Schedule:
    """A settle time of 1 s, and a rescan every 1000 s; the first rescan is done at 0."""
    schedule = Schedule(1.0, 1000.0)
    schedule.rescan_started()
    schedule.rescan_finished(0.0, 0.0)
    return schedule


def hint(schedule: Schedule, path: RelPath, kind: HintKind, now: float) -> None:
    """Send one hint."""
    schedule.hint(Hint(path, kind), now)


class TestPaths:
    def test_changed(self, schedule: Schedule) -> None:
        """A changed path is due at once, once, and in the order in which the paths came."""
        for path in (B, A, B):
            hint(schedule, path, CHANGED, 5.0)

        assert schedule.next_wakeup(5.0) == 0.0
        assert Due([B, A], [], everything=False, since=5.0) == schedule.due(5.0)
        assert not schedule.due(5.0)

    def test_directory(self, schedule: Schedule) -> None:
        """A directory is due at once, beside the path of the same name."""
        hint(schedule, D, CHANGED, 4.0)
        hint(schedule, D, DIRECTORY, 5.0)

        assert Due([D], [D], everything=False, since=4.0) == schedule.due(5.0)

    def test_writing(self, schedule: Schedule) -> None:
        """A file being written is due after the settle time."""
        hint(schedule, A, WRITING, 5.0)

        assert not schedule.due(5.9)
        assert schedule.next_wakeup(5.75) == 0.25
        assert Due([A], [], everything=False, since=5.0) == schedule.due(6.0)

    def test_pushed_back(self, schedule: Schedule) -> None:
        """Each further write starts the settle time again."""
        hint(schedule, A, WRITING, 5.0)
        hint(schedule, A, WRITING, 5.75)

        assert not schedule.due(6.5)
        assert schedule.due(6.75).paths == [A]

    def test_no_starvation(self, schedule: Schedule) -> None:
        """A file written without end is due twenty settle times after the first write."""
        now = 0.0
        hint(schedule, A, WRITING, now)
        while not schedule.due(now) and now < 100.0:
            now += 0.25
            hint(schedule, A, WRITING, now)

        assert now == 1.0 * LIMITS.settle_stretch

    def test_closed(self, schedule: Schedule) -> None:
        """A close ends the wait; the lag counts from the first write."""
        hint(schedule, A, WRITING, 5.0)
        hint(schedule, A, CHANGED, 5.25)

        assert Due([A], [], everything=False, since=5.0) == schedule.due(5.25)
        assert not schedule.due(99.0)

    def test_opened_again(self, schedule: Schedule) -> None:
        """A closed file that is written again before it is checked waits again, but not for ever."""
        hint(schedule, A, CHANGED, 5.0)
        hint(schedule, A, WRITING, 5.5)

        assert not schedule.due(6.0)
        assert Due([A], [], everything=False, since=5.0) == schedule.due(6.5)

    def test_due_anew(self, schedule: Schedule) -> None:
        """A hint that comes while the path is being looked at makes it due again."""
        hint(schedule, A, CHANGED, 5.0)
        schedule.due(5.0)
        hint(schedule, A, CHANGED, 5.5)

        assert schedule.due(6.0).paths == [A]


class TestEverything:
    def test_lost(self, schedule: Schedule) -> None:
        """Lost events make everything due, and swallow the paths that were."""
        hint(schedule, A, CHANGED, 0.0)
        hint(schedule, D, DIRECTORY, 1.0)
        hint(schedule, ROOT, LOST, 2.0)

        assert EVERYTHING == schedule.due(2.0)
        assert not schedule.due(999.0)

    def test_settling_goes_on(self, schedule: Schedule) -> None:
        """A file being written is looked at in its own time too, since everything may have come too early for it."""
        hint(schedule, A, WRITING, 0.0)
        hint(schedule, ROOT, LOST, 0.0)

        assert schedule.due(0.0).everything
        assert schedule.due(1.0).paths == [A]

    def test_too_many(self) -> None:
        """More dirty paths than the limit become everything, and take no room any more."""
        schedule = Schedule(1.0, 1000.0, limits=replace(LIMITS, max_dirty_paths=3))
        for path, kind in ((b"0", CHANGED), (b"1", WRITING), (b"2", DIRECTORY)):
            hint(schedule, RelPath(path), kind, 0.0)
        assert len(schedule) == 3

        hint(schedule, A, CHANGED, 7.0)

        assert len(schedule) == 0
        assert EVERYTHING == schedule.due(7.0)

    def test_rescan_serves(self, schedule: Schedule) -> None:
        """A rescan that begins for another reason serves the hints that asked for one."""
        hint(schedule, ROOT, LOST, 0.0)
        schedule.rescan_started()

        assert not schedule.due(0.0)

    def test_lost_meanwhile(self, schedule: Schedule) -> None:
        """Events lost during a rescan ask for another one."""
        schedule.rescan_started()
        hint(schedule, ROOT, LOST, 1.0)
        schedule.rescan_finished(2.0, 0.0)

        assert schedule.due(2.0).everything

    def test_half_the_time(self, schedule: Schedule) -> None:
        """However often events get lost, looking at everything rests as long as it worked."""
        schedule.rescan_started()
        schedule.rescan_finished(100.0, 4.0)
        hint(schedule, ROOT, LOST, 101.0)

        assert not schedule.due(103.9)
        assert schedule.next_wakeup(103.0) == 1.0
        assert schedule.due(104.0).everything


class TestRescan:
    def test_first(self) -> None:
        """Before the first rescan nothing is known, so it is due."""
        schedule = Schedule(1.0, 1000.0)

        assert schedule.rescan_due(0.0)
        assert schedule.next_wakeup(0.0) == 0.0

    def test_running(self, schedule: Schedule) -> None:
        """While one runs no other is due, and there is no other wakeup."""
        schedule.rescan_started()

        assert not schedule.rescan_due(1e9)
        assert schedule.next_wakeup(0.0) is None

    @pytest.mark.parametrize("cost,due", [(0.0, 1010.0), (20.0, 1010.0), (30.0, 1510.0)])
    def test_interval(self, schedule: Schedule, cost: float, due: float) -> None:
        """The next one comes after the interval, or after fifty times the cost of the last."""
        schedule.rescan_started()
        schedule.rescan_finished(10.0, cost)

        assert not schedule.rescan_due(due - 1)
        assert schedule.rescan_due(due)
        assert schedule.next_wakeup(10.0) == due - 10.0
