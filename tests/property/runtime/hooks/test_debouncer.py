"""A hook under any sequence of states, with runs that take any time and fail at any time."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.debouncer import Debouncer, Run
from dirsync.tree.path import RelPath

DEBOUNCE = 1.0
STATES = [b"a", b"b", b"c", b"d"]
states = st.sampled_from(STATES)
waits = st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0, 3.0, 100.0])
steps = st.lists(st.tuples(waits, states), max_size=60)
runs = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 2.0, 40.0]), st.booleans()), max_size=40)


@dataclass
class World:
    """A hook and its runs; when ``runs`` are used up, each takes no time and succeeds."""

    hook: Debouncer
    runs: list[tuple[float, bool]]
    now: float = 0.0
    state: bytes | None = None
    running: Run | None = None
    ends_at: float = 0.0
    succeeds: bool = True
    started: list[tuple[float, bytes]] = field(default_factory=list)
    told: bytes | None = None
    told_paths: set[RelPath] = field(default_factory=set)
    """Changed, and told by a run that succeeded."""

    def pass_until(self, end: float) -> None:
        """Start and end runs exactly when they are due."""
        while True:
            due = self.hook.due
            event = self.ends_at if self.running is not None else due
            if event is None or max(event, self.now) > end:
                break
            self.now = max(self.now, event)
            if self.running is not None:
                self._end()
            else:
                self._start()
        self.now = max(self.now, end)

    def _start(self) -> None:
        self.running = self.hook.start()
        self.started.append((self.now, self.running.state))
        duration, self.succeeds = self.runs.pop(0) if self.runs else (0.0, True)
        self.ends_at = self.now + duration
        assert self.hook.due is None
        assert self.state == self.running.state

    def _end(self) -> None:
        run, self.running = self.running, None
        assert run is not None
        self.hook.finish(self.now, succeeded=self.succeeds)
        if self.succeeds:
            self.told = run.state
            self.told_paths |= set(run.changes.paths)


@given(steps=steps, runs=runs)
def test_the_last_state_is_always_delivered(steps: list[tuple[float, bytes]], runs: list[tuple[float, bool]]) -> None:
    """In the end the hook knows the newest state and every path that led to it; it is never run twice at once."""
    world = World(Debouncer(DEBOUNCE, b"a"), runs)
    changed = set()
    for number, (wait, state) in enumerate([(0.0, b"a"), *steps]):
        world.pass_until(world.now + wait)
        if state != world.state:
            path = RelPath(b"%d" % number)
            changed.add(path)
            world.hook.ahead.add([path])
        world.state = state
        world.hook.reached(state, world.now)
    world.pass_until(world.now + 100_000.0)

    assert world.hook.is_delivered
    assert (world.told or b"a") == (world.state or b"a")
    assert world.told_paths <= changed


@given(steps=steps)
def test_few_runs(steps: list[tuple[float, bytes]]) -> None:
    """However many states there are, two runs that succeed are at least a debounce apart."""
    world = World(Debouncer(DEBOUNCE), [])
    for wait, state in steps:
        world.pass_until(world.now + wait)
        world.state = state
        world.hook.reached(state, world.now)
    world.pass_until(world.now + 100.0)

    times = [time for time, _ in world.started]
    assert all(later - earlier >= DEBOUNCE - 1e-9 for earlier, later in pairwise(times))


@given(steps=st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 0.99]), states), min_size=1, max_size=60))
def test_no_state_waits_for_long(steps: list[tuple[float, bytes]]) -> None:
    """Where the state never rests, the hook is run all the same."""
    world = World(Debouncer(DEBOUNCE), [])
    waiting_since: float | None = None
    for wait, state in steps:
        world.pass_until(world.now + wait)
        world.state = state
        world.hook.reached(state, world.now)
        if world.hook.is_delivered:
            waiting_since = None
        elif waiting_since is None or (world.started and world.started[-1][0] >= waiting_since):
            waiting_since = world.now
        assert waiting_since is None or world.now - waiting_since <= LIMITS.hook_debounces * DEBOUNCE
