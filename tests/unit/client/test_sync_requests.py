"""SyncNow: answered when what was there is settled, and not before; quiet is not needed."""

from typing import TYPE_CHECKING, cast

import pytest

from dirsync_client.sync_requests import SyncRequests

if TYPE_CHECKING:
    from dirsync_client.reconcile.view import View


class Sync:
    """Requests, and a view that says what a test wants it to say."""

    def __init__(self) -> None:
        self.is_rescanning = False
        self.oldest_change: float | None = None
        self.requests = SyncRequests()
        self.answered = 0
        self.requests.add(self._answer)

    def advance(self, now: float) -> int:
        """Go on; returns how many were answered by now."""
        self.requests.advance(cast("View", self), now)
        return self.answered

    def _answer(self) -> None:
        self.answered += 1


def test_scan_before_the_request() -> None:
    """A scan that began before the request says nothing about what was there at the request."""
    sync = Sync()
    sync.requests.scan_finished()

    assert 0 == sync.advance(1.0)
    sync.requests.scan_started()
    assert 0 == sync.advance(2.0)
    sync.requests.scan_finished()
    assert 1 == sync.advance(3.0)
    assert 1 == sync.advance(4.0)


def test_replica_is_looked_at() -> None:
    """The server's answer is waited for."""
    sync = Sync()
    sync.requests.scan_started()
    sync.requests.scan_finished()
    sync.is_rescanning = True

    assert 0 == sync.advance(1.0)
    sync.is_rescanning = False
    assert 1 == sync.advance(2.0)


@pytest.mark.parametrize("oldest, answered", [(None, 1), (4.0, 0), (5.0, 0), (5.1, 1)])
def test_what_was_there(oldest: float | None, answered: int) -> None:
    """Only what was noticed by the end of the looks is waited for."""
    sync = Sync()
    sync.requests.scan_started()
    sync.requests.scan_finished()
    sync.oldest_change = 3.0

    assert 0 == sync.advance(5.0)
    sync.oldest_change = oldest
    assert answered == sync.advance(6.0)
