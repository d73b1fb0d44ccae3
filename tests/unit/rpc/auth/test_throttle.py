"""How often a network may fail, with time moved by hand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.rpc.auth.throttle import AuthThrottle


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """What time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of a test."""
    return Clock()


def make(clock: Clock, *, networks: int = 10) -> AuthThrottle:
    """Three attempts, one more every ten seconds."""
    return AuthThrottle(burst=3, refill_seconds=10, networks=networks, clock=clock)


@pytest.mark.case("K11")
def test_burst_and_refill(clock: Clock) -> None:
    """As many failures as the burst are allowed, then one for each interval; others have their own."""
    attempts = make(clock)
    spent = [(attempts.exhausted("a"), attempts.failed("a")) for _ in range(3)]
    at_once = attempts.exhausted("a")
    clock.now += 9.9
    too_early = attempts.exhausted("a")
    clock.now += 0.2
    again = attempts.exhausted("a")

    assert [(False, False), (False, False), (False, True)] == spent
    assert (True, True, False) == (at_once, too_early, again)
    assert not attempts.exhausted("b")


@pytest.mark.case("K11")
def test_told_once(clock: Clock) -> None:
    """A guessing network is reported once, until it has all its attempts again; then nothing is remembered."""
    attempts = make(clock)
    told = Counter[bool]()
    for _ in range(50):
        if not attempts.exhausted("a"):
            told[attempts.failed("a")] += 1
        clock.now += 5
    clock.now += 30
    forgotten = not attempts.exhausted("a") and len(attempts) == 0
    later = [attempts.failed("a") for _ in range(3)]

    assert 1 == told[True]
    assert forgotten
    assert [False, False, True] == later


@pytest.mark.case("K11")
def test_bounded_memory(clock: Clock) -> None:
    """Only so many networks are remembered; those that failed last are."""
    attempts = make(clock, networks=4)
    for number in range(100):
        for _ in range(3):
            attempts.failed(str(number))

    assert 4 == len(attempts)
    assert [True] * 4 == [attempts.exhausted(str(number)) for number in range(96, 100)]


@given(st.lists(st.floats(0, 40), max_size=60))
def test_no_faster(pauses: list[float]) -> None:
    """However failures are spaced, those that are looked at are never more than the burst and what came back."""
    clock = Clock()
    attempts = make(clock)
    began, looked = clock.now, 0
    for pause in pauses:
        clock.now += pause
        if not attempts.exhausted("a"):
            looked += 1
            attempts.failed("a")

        assert looked <= 3 + (clock.now - began) / 10 + 1e-6
