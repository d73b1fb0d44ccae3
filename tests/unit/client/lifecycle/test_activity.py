"""What stands still: noticed by what each thread waits for, and since when."""

import threading

import pytest

from dirsync.limits import LIMITS
from dirsync_client.lifecycle.activity import Activities, Part, patience_for

PATIENCE = 4.0
MAX = LIMITS.stall_max_seconds


class Time:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.mark.parametrize(
    "part, seconds, stalled, fatal",
    [
        (Part.SOURCE, PATIENCE, False, False),
        (Part.SOURCE, PATIENCE + 1, True, False),
        # However long a source hangs, a restart would not help.
        (Part.SOURCE, LIMITS.stuck_seconds * 10, True, False),
        (Part.SERVER, PATIENCE + 1, False, False),
        (Part.SERVER, MAX + 1, True, False),
        (Part.CLIENT, MAX, False, False),
        (Part.CLIENT, MAX + 1, True, False),
        (Part.CLIENT, LIMITS.stuck_seconds + 1, True, True),
    ],
)
def test_patience(part: Part, seconds: float, stalled: bool, fatal: bool) -> None:
    """Each part has its own time, and only the client's own work is mended by a restart."""
    time = Time()
    activities = Activities(time)
    activities.add("resting").rest()
    activities.engine.begin(part)
    time.now += seconds
    stall = activities.stall(PATIENCE)

    assert stalled == (stall is not None)
    if stall is not None:
        assert (part, 1000.0, fatal) == (stall.part, stall.since, stall.fatal)
        assert f"{seconds:.0f} s" in stall.reason


def test_going_on() -> None:
    """What begins again goes on, and what rests waits for nothing."""
    time = Time()
    activities = Activities(time)
    for _ in range(10):
        activities.engine.begin(Part.SOURCE)
        time.now += PATIENCE

        assert activities.stall(PATIENCE) is None
    activities.engine.rest()
    time.now += 1e6

    assert activities.stall(PATIENCE) is None


def test_longest() -> None:
    """Of several the one that has taken longest is told."""
    time = Time()
    activities = Activities(time)
    activities.add("reading files to send").begin(Part.SOURCE)
    time.now += 1
    activities.engine.begin(Part.SOURCE)
    time.now += PATIENCE + 1
    stall = activities.stall(PATIENCE)

    assert stall is not None
    assert "reading files to send takes 6 s" in stall.reason


def test_dead_thread() -> None:
    """A thread that died is told, and a restart helps; one that ended as it should is forgotten."""
    activities = Activities()
    activity = activities.add("calling the server")
    thread = threading.Thread(target=activity.follow)
    thread.start()
    thread.join()
    stall = activities.stall(PATIENCE)

    assert stall is not None
    assert stall.fatal
    assert "calling the server has died" in stall.reason
    activities.remove(activity)
    assert activities.stall(PATIENCE) is None


@pytest.mark.parametrize("interval, patience", [(1, 3), (5, 3.75), (20, 15), (60, 30), (3600, 30)])
def test_patience_for(interval: float, patience: float) -> None:
    """A part of the interval, so that with the look itself it is less than two; never much less than machines need."""
    assert patience == patience_for(interval)
