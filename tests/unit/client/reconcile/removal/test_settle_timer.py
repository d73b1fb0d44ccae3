"""How long removals wait for more of their kind."""

import pytest

from dirsync_client.reconcile.removal.settle_timer import SettleTimer


@pytest.fixture
def timer() -> SettleTimer:
    """Removals settle for 10 s, and 100 s at most."""
    return SettleTimer(10.0)


def test_quiet(timer: SettleTimer) -> None:
    """Removals are due when no new one came for the settle time."""
    timer.note(0.0, 1)
    timer.note(6.0, 2)

    assert not timer.is_due(15.0)
    assert timer.due == 16.0
    assert timer.is_due(16.0)


def test_same_or_fewer(timer: SettleTimer) -> None:
    """The same removals again, or fewer of them, are no news."""
    timer.note(0.0, 2)
    timer.note(6.0, 2)
    timer.note(7.0, 1)

    assert timer.is_due(10.0)


def test_no_starvation(timer: SettleTimer) -> None:
    """Removals that keep coming are judged after ten settle times."""
    now, count = 0.0, 1
    timer.note(now, count)
    while not timer.is_due(now) and now < 1000.0:
        now, count = now + 5.0, count + 1
        timer.note(now, count)

    assert 100.0 == now


def test_none(timer: SettleTimer) -> None:
    """Nothing is due when nothing waits, also when something did."""
    timer.note(0.0, 1)
    timer.reset()

    assert not timer.is_due(99.0)
    assert timer.due is None


def test_after_a_judgement(timer: SettleTimer) -> None:
    """Removals that come after a judgement wait for a time of their own."""
    timer.note(0.0, 1)
    due = timer.is_due(10.0)
    timer.reset()
    timer.note(20.0, 2)

    assert due
    assert not timer.is_due(29.0)
    assert timer.is_due(30.0)


def test_asked_late(timer: SettleTimer) -> None:
    """A time that has passed before anyone asked still counts."""
    timer.note(0.0, 1)

    assert timer.is_due(50.0)
