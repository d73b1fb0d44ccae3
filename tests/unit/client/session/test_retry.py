"""When a lost session is opened again, and when that is given up."""

import pytest

from dirsync.errors import DirsyncError, SessionSuperseded, Unauthenticated, Unavailable
from dirsync.limits import LIMITS
from dirsync_client.session.retry import ONCE_RETRY_SECONDS, Retry

AWAY = Unavailable("the server does not answer")
REFUSED = Unauthenticated("no valid token")


def lose(retry: Retry, error: DirsyncError, now: float, *, progressed: bool = False) -> float:
    """The pause after one more lost session, which was opened just before."""
    retry.lost(error, now, opened_at=now, progressed=progressed)
    return retry.at - now


def test_pauses_are_bounded() -> None:
    """However long a server is away, it is looked for again within a few seconds of its return."""
    retry = Retry(once=False)

    assert all(lose(retry, AWAY, 100.0 * number) <= LIMITS.reconnect_max_seconds for number in range(50))


def test_refusals_are_rarer() -> None:
    """Who is refused may wait longer: nothing but a person changes that."""
    retry = Retry(once=False)

    assert max(lose(retry, REFUSED, 100.0 * number) for number in range(200)) > LIMITS.reconnect_max_seconds


def test_superseded() -> None:
    """Two clients of one replica do not take it from each other all the time."""
    assert lose(Retry(once=False), SessionSuperseded("another client"), 5.0) == LIMITS.backoff_max_seconds


def test_not_before_its_time() -> None:
    """A session is opened after the pause, or when there is a reason not to wait."""
    retry = Retry(once=False)
    lose(retry, SessionSuperseded("another client"), 5.0)

    assert not retry.is_due(6.0)
    assert retry.is_due(5.0 + LIMITS.backoff_max_seconds)
    retry.at_once()
    assert retry.is_due(6.0)


def test_once_gives_up() -> None:
    """A single sync tries again for a while; what cannot get better it does not try again."""
    retry = Retry(once=True)
    lose(retry, AWAY, 0.0)
    lose(retry, AWAY, ONCE_RETRY_SECONDS)
    with pytest.raises(Unavailable):
        lose(retry, AWAY, ONCE_RETRY_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        lose(Retry(once=True), REFUSED, 0.0)


@pytest.mark.parametrize("advance", ["settled", "staged"])
def test_progress_gives_more_time(advance: str) -> None:
    """A line that is cut every few seconds and gets something across each time is not given up."""
    retry = Retry(once=True)
    for now in range(0, 200, 20):
        lose(retry, AWAY, float(now), progressed=advance == "settled")
        if advance == "staged":
            retry.advanced(float(now))


def test_refused_at_the_end() -> None:
    """A client that ends, and that the server does not want, opens no session; one that cannot reach it goes on."""
    retry = Retry(once=False)
    retry.hurry()
    lose(retry, AWAY, 0.0)
    assert retry.is_due(100.0)
    lose(retry, REFUSED, 0.0)
    assert not retry.is_due(100.0)
