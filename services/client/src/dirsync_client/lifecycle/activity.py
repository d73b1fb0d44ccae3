"""What the client's threads wait for, and since when: by that a source that does not answer is noticed.

Each thread has an :class:`Activity` and says there what it begins. Another thread, which waits for nothing, looks at
all of them (:func:`stall`).
"""

from collections.abc import Iterable
from enum import StrEnum
from threading import Lock, Thread, current_thread
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.limits import LIMITS


class Part(StrEnum):
    """What a thread waits for; also a label of ``dirsync_stalled``."""

    SOURCE = "source"
    """The source's file system."""
    SERVER = "server"
    """The server's answer to a commit."""
    CLIENT = "client"
    """Nothing outside: the client's own work, and its state directory."""


class Stall(NamedTuple):
    """Something does not go on."""

    part: Part
    reason: str
    """In words for people."""
    since: float
    """By the monotonic clock."""
    fatal: bool
    """Only a restart helps."""


class Activity:
    """What one thread does. That thread writes; any thread may read."""

    def __init__(self, name: str, now: Monotonic = monotonic) -> None:
        """``name`` says what is done there, in words for people: "reading files to send"."""
        self.name = name
        self.thread: Thread | None = None
        """Once it has begun: the thread."""
        self._now = now
        self._doing: tuple[Part, float] | None = None

    def begin(self, part: Part) -> None:
        """Something begins that ends soon unless ``part`` keeps it waiting; also: it goes on."""
        self._doing = (part, self._now())

    def rest(self) -> None:
        """Nothing is under way; the thread waits for work."""
        self._doing = None

    def follow(self) -> None:
        """From now on the present thread has to live."""
        self.thread = current_thread()

    @property
    def doing(self) -> tuple[Part, float] | None:
        """What is under way, and since when."""
        return self._doing


class Activities:
    """Those of all threads of a client, or of one target's. Thread-safe."""

    def __init__(self, now: Monotonic = monotonic, engine: Activity | None = None) -> None:
        """``engine``: that of the engine's thread, if it is watched elsewhere."""
        self._now = now
        self._lock = Lock()
        self._activities: list[Activity] = []
        self.engine = self.add("a step of the engine") if engine is None else engine
        """That of the engine's thread."""

    def of_target(self) -> "Activities":
        """Those of the threads of one of several targets, which are watched apart: no other stands still with it."""
        return Activities(self._now, self.engine)

    def add(self, name: str) -> Activity:
        """One more."""
        activity = Activity(name, self._now)
        with self._lock:
            self._activities.append(activity)
        return activity

    def remove(self, activity: Activity) -> None:
        """Its thread ends, as it should."""
        with self._lock:
            if activity in self._activities:
                self._activities.remove(activity)

    def stall(self, patience: float) -> Stall | None:
        """The worst of what does not go on; see :func:`stall`."""
        with self._lock:
            activities = tuple(self._activities)
        return stall(activities, self._now(), patience)


def patience_for(rescan_interval: float) -> float:
    """Seconds after which what a thread waits for counts as standing still.

    The source is looked at once an interval at least, so it is noticed within two intervals.
    """
    share = rescan_interval * LIMITS.stall_interval_share
    return min(max(share, LIMITS.stall_min_seconds), LIMITS.stall_max_seconds)


def stall(activities: Iterable[Activity], now: float, patience: float) -> Stall | None:
    """The worst of what does not go on: a dead thread, then what has taken longest; ``None`` where all goes on.

    Args:
        activities: of all threads.
        now: by the clock of the activities.
        patience: seconds that the source may take to answer.
    """
    worst: Stall | None = None
    for activity in activities:
        if activity.thread is not None and not activity.thread.is_alive():
            return Stall(Part.CLIENT, f"the thread for {activity.name} has died; restart the client", now, fatal=True)
        doing = activity.doing
        if doing is not None and (worst is None or doing[1] < worst.since):
            worst = _judge(activity.name, *doing, now, patience) or worst
    return worst


def _judge(name: str, part: Part, since: float, now: float, patience: float) -> Stall | None:
    seconds = now - since
    if part is Part.SOURCE and seconds > patience:
        return Stall(part, f"the source does not answer: {name} takes {seconds:.0f} s so far", since, fatal=False)
    if part is Part.SERVER and seconds > max(patience, LIMITS.stall_max_seconds):
        return Stall(part, f"the server does not answer: {name} takes {seconds:.0f} s so far", since, fatal=False)
    if part is Part.CLIENT and seconds > max(patience, LIMITS.stall_max_seconds):
        fatal = seconds > LIMITS.stuck_seconds
        return Stall(part, f"the client makes no progress: {name} takes {seconds:.0f} s so far", since, fatal=fatal)
    return None
