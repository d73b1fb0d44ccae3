"""When a hook is run, and for which state."""

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.debouncer import Debouncer
from dirsync.tree.path import RelPath

A, B, C = b"a", b"b", b"c"
ONE, TWO = RelPath(b"one"), RelPath(b"two")


def told(known: bytes | None = None, *, debounce: float = 1.0) -> Debouncer:
    """A debouncer whose hook knows this state."""
    return Debouncer(debounce, known)


def test_waits_for_quiet() -> None:
    """A run is due when no newer state has come for the time of the debounce."""
    hook = told()
    hook.reached(A, 10.0)
    hook.reached(B, 10.5)
    hook.reached(C, 10.9)

    assert 11.9 == hook.due
    assert C == hook.start().state


def test_does_not_wait_for_ever() -> None:
    """Where the state never rests, a run is due after ten debounces."""
    hook = told()
    for number in range(1000):
        hook.reached(b"%d" % number, 10.0 + number * 0.1)

    assert 20.0 == hook.due


def test_the_same_state_is_no_change() -> None:
    """A state that is told again does not put a run off."""
    hook = told()
    hook.reached(A, 10.0)
    hook.reached(A, 10.9)

    assert 11.0 == hook.due


def test_nothing_to_run_for() -> None:
    """What the hook knows is not told again, also after a restart."""
    hook = told(A)
    hook.reached(A, 10.0)

    assert hook.due is None
    assert hook.is_delivered


def test_there_and_back() -> None:
    """A state that is what the hook knows again before a run needs none, and what changed is forgotten."""
    hook = told(A)
    hook.reached(A, 9.0)
    hook.ahead.add([ONE])
    hook.reached(B, 10.0)
    hook.reached(A, 10.5)
    hook.ahead.add([TWO])
    hook.reached(C, 11.0)

    run = hook.start()
    assert (C, (TWO,), False) == (run.state, run.changes.paths, run.changes.truncated)


def test_there_and_back_during_a_run() -> None:
    """A run that was begun for another state may have done something, so the former state is told again."""
    hook = told(A)
    hook.reached(B, 10.0)
    hook.start()
    hook.reached(A, 11.5)
    hook.finish(12.0, succeeded=True)

    assert 12.5 == hook.due
    assert A == hook.start().state


def test_one_run_at_a_time() -> None:
    """While a run is under way none is due; a state that comes meanwhile is run for after it."""
    hook = told()
    hook.reached(A, 10.0)
    hook.start()
    hook.reached(B, 20.0)

    during = hook.due
    hook.finish(30.0, succeeded=True)

    assert (None, 21.0) == (during, hook.due)
    assert B == hook.start().state


def test_pauses_grow() -> None:
    """A run that fails is tried again after pauses that double up to the longest one."""
    hook = told()
    hook.reached(A, 0.0)
    pauses = []
    for _ in range(9):
        hook.start()
        pauses.append(hook.finish(100.0, succeeded=False))

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] == pauses
    assert 160.0 == hook.due


def test_the_newest_state_wins() -> None:
    """After a failure the newest state is tried, and not before the pause is over."""
    hook = told()
    hook.ahead.add([ONE])
    hook.reached(A, 0.0)
    hook.start()
    hook.finish(10.0, succeeded=False)
    hook.ahead.add([TWO])
    hook.reached(B, 10.0)

    assert 11.0 == hook.due
    run = hook.start()
    assert (B, (ONE, TWO)) == (run.state, run.changes.paths)


def test_success_ends_the_pauses() -> None:
    """After a success the next state waits for its debounce alone."""
    hook = told()
    hook.reached(A, 0.0)
    hook.start()
    hook.finish(10.0, succeeded=False)
    hook.start()

    assert hook.finish(11.0, succeeded=True) is None
    hook.reached(B, 20.0)
    assert 21.0 == hook.due


def test_changes_belong_to_their_state() -> None:
    """What changes after a state was reached is told with the next one."""
    hook = told(A)
    hook.reached(A, 0.0)
    hook.ahead.add([ONE])
    hook.reached(B, 10.0)
    hook.ahead.add([TWO])

    assert (ONE,) == hook.start().changes.paths
    hook.finish(12.0, succeeded=True)
    hook.reached(C, 13.0)
    assert (TWO,) == hook.start().changes.paths


def test_the_first_run_of_a_process() -> None:
    """What was changed before is not known, and that is said."""
    hook = told()
    hook.reached(A, 0.0)

    assert hook.start().changes.truncated


def test_the_end() -> None:
    """When the process is to end, what the hook does not know is due at once, whatever it waited for."""
    hook = told(debounce=1000.0)
    hook.reached(A, 10.0)
    hook.start()
    hook.finish(20.0, succeeded=False)
    hook.end()

    due = hook.due
    assert due is not None
    assert due <= 20.0


def test_bounded() -> None:
    """Paths beyond the bound are dropped, and that is said; after a success they count from nothing again."""
    hook = told(A)
    hook.reached(A, 0.0)
    hook.ahead.add(RelPath(b"%d" % number) for number in range(LIMITS.max_hook_paths + 1))
    hook.reached(B, 1.0)

    changes = hook.start().changes
    assert (LIMITS.max_hook_paths, True) == (len(changes.paths), changes.truncated)
    hook.finish(2.0, succeeded=True)
    hook.ahead.add([ONE])
    hook.reached(C, 3.0)
    assert not hook.start().changes.truncated


def test_long_paths_are_bounded() -> None:
    """So are their bytes."""
    hook = told(A)
    hook.ahead.add(RelPath(b"%d/" % number + b"x" * 100_000) for number in range(20))
    hook.reached(B, 1.0)

    changes = hook.start().changes
    assert changes.truncated
    assert sum(map(len, changes.paths)) <= LIMITS.max_hook_path_bytes
