"""Pauses between attempts."""

import pytest

from dirsync.limits import LIMITS
from dirsync_client.session.backoff import Backoff


def test_ceilings_double() -> None:
    """Each pause may be twice as long as the one before, up to the maximum."""
    backoff = Backoff(1.0, 5.0, draw=lambda: 1.0)

    assert [1.0, 2.0, 4.0, 5.0, 5.0] == [backoff.next() for _ in range(5)]


def test_reset() -> None:
    """After a success the pauses begin again."""
    backoff = Backoff(1.0, 60.0, draw=lambda: 1.0)
    for _ in range(4):
        backoff.next()

    backoff.reset()

    assert backoff.ceiling == 1.0
    assert backoff.next() == 1.0


@pytest.mark.case("C15")
def test_no_herd() -> None:
    """Fifty clients that lose their server at one instant never come back together: each tenth gets its share."""
    clients = [Backoff() for _ in range(50)]
    for client in clients:
        for _ in range(12):
            client.next()
    returns = [client.next() / LIMITS.backoff_max_seconds for client in clients]

    assert len(set(returns)) == 50
    assert max(sum(tenth / 10 <= when < (tenth + 1) / 10 for when in returns) for tenth in range(10)) < 25
    assert all(0 <= when < 1 for when in returns)
