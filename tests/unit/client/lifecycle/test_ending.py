"""The end of a client: how long it sends, how long it waits for commits, and when it may stop early."""

import pytest

from dirsync_client.lifecycle.ending import Deadlines, Ending, Left, Standing

DONE = Standing(looked=True, working=False, committed=True, refused=False)
BUSY = DONE._replace(working=True, committed=False)


def test_deadlines() -> None:
    """Of the grace period the last quarter is kept for commits, and half of that for closing."""
    assert Deadlines(106.0, 107.0) == Deadlines.within(100.0, 8.0)
    assert Deadlines(100.0, 107.0) == Deadlines.within(100.0, 8.0, sends=False)


@pytest.mark.parametrize(
    "standing, now, over, sends",
    [
        (DONE, 0.0, True, True),
        (DONE._replace(looked=False), 0.0, False, True),
        (DONE._replace(working=True), 0.0, False, True),
        # A commit under way belongs to what is still going on.
        (BUSY, 5.9, False, True),
        # From here on only commits are awaited.
        (BUSY, 6.0, False, False),
        (BUSY._replace(committed=True), 6.0, True, False),
        (BUSY, 6.9, False, False),
        (BUSY, 7.0, True, False),
        # A server that refuses is not asked again.
        (BUSY._replace(refused=True), 1.0, False, False),
        (BUSY._replace(refused=True, committed=True), 1.0, True, False),
    ],
)
def test_end(standing: Standing, now: float, over: bool, sends: bool) -> None:
    """What ends it, and what ends the sending."""
    ending = Ending(Deadlines.within(0.0, 8.0))

    assert over == ending.is_over(standing, now)
    assert sends == ending.sends


def test_next_deadline() -> None:
    """It is asked again at the end of sending, and then at the end of waiting."""
    ending = Ending(Deadlines.within(0.0, 8.0))
    ending.is_over(BUSY, 1.0)

    assert 5.0 == ending.wake_in(1.0)
    ending.is_over(BUSY, 6.5)
    assert 0.5 == ending.wake_in(6.5)
    assert 0.0 == ending.wake_in(9.0)


def test_left() -> None:
    """Something is left where paths differ, and where not everything was looked at."""
    assert not Left((), 0, looked=True)
    assert Left((), 0, looked=False)
    assert Left((b"a",), 1, looked=True)
