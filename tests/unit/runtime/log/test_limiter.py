"""The limit on messages that repeat."""

import pytest

from dirsync.runtime.log import limiter
from dirsync.runtime.log.limiter import Key, Limiter

KEY: Key = ("warning", "file.problem", "unreadable")
OTHER: Key = ("warning", "file.problem", "storage")


class Clock:
    """Time moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


def test_burst_passes(clock: Clock) -> None:
    """The first few pass, the rest of the interval does not."""
    limit = Limiter(burst=3, interval_seconds=10, clock=clock)

    assert [True, True, True, False, False] == [limit.admit(KEY) for _ in range(5)]


def test_keys_are_apart(clock: Clock) -> None:
    """One kind does not use up another's share."""
    limit = Limiter(burst=1, interval_seconds=10, clock=clock)
    limit.admit(KEY)
    limit.admit(KEY)

    assert limit.admit(OTHER)


def test_swallowed_are_told_once(clock: Clock) -> None:
    """After the interval the count is reported, once, and messages pass again."""
    limit = Limiter(burst=1, interval_seconds=10, clock=clock)
    for _ in range(5):
        limit.admit(KEY)
    assert [] == limit.due()
    clock.now += 10

    assert [(KEY, 4)] == limit.due()
    assert [] == limit.due()
    assert limit.admit(KEY)


def test_quiet_interval_is_forgotten(clock: Clock) -> None:
    """If nothing was suppressed nothing is reported, and a new interval begins by itself."""
    limit = Limiter(burst=1, interval_seconds=10, clock=clock)
    limit.admit(KEY)
    clock.now += 10

    assert limit.admit(KEY)
    assert [] == limit.due(everything=True)


def test_everything_now(clock: Clock) -> None:
    """At the end the counts of running intervals are reported as well."""
    limit = Limiter(burst=1, interval_seconds=10, clock=clock)
    limit.admit(KEY)
    limit.admit(KEY)

    assert [(KEY, 1)] == limit.due(everything=True)


def test_bounded(clock: Clock) -> None:
    """However many kinds there are, the table stays small, and makes room when intervals end."""
    limit = Limiter(burst=1, interval_seconds=10, clock=clock)
    passed = sum(limit.admit(("warning", "e", str(number))) for number in range(10_000))
    assert passed <= limiter.MAX_KEYS + 1
    clock.now += 10
    limit.due()

    assert limit.admit(("warning", "e", "new"))
