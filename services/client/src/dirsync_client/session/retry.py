"""When the next session is opened after one was lost, and when that is given up.

Pure: the time is a parameter, in seconds of one monotonic clock.
"""

from dirsync.errors import AccessError, DirsyncError, SessionSuperseded, Unavailable
from dirsync.limits import LIMITS
from dirsync_client.session.backoff import Backoff

ONCE_RETRY_SECONDS = 30.0
"""How long ``once`` tries again without a commit that the server answers before it gives up."""


class Retry:
    """What is known of the sessions that were lost."""

    def __init__(self, *, once: bool) -> None:
        """``once``: it is given up after a time."""
        self.at = 0.0
        """When the next session may be opened."""
        self.refused = False
        """The client is to end, and the server does not want it any more: no new session is opened."""
        self._once = once
        self._ending = False
        self._backoff = Backoff(maximum=LIMITS.reconnect_max_seconds)
        self._refused_backoff = Backoff()
        self._failing_since: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether a session may be opened now."""
        return now >= self.at and not self.refused

    def at_once(self) -> None:
        """The next session may be opened without a pause."""
        self.at = 0.0

    def hurry(self) -> None:
        """The client is to end: pauses are short again."""
        self._ending = True
        self._backoff.reset()
        self.at = 0.0

    def advanced(self, now: float) -> None:
        """A session that was lost had got something across, though the server settled nothing."""
        self._backoff.reset()
        if self._failing_since is not None:
            self._failing_since = now

    def lost(self, error: DirsyncError, now: float, *, opened_at: float, progressed: bool) -> None:
        """A session is over, or none could be opened.

        Args:
            error: why.
            now: the time.
            opened_at: when its opening began.
            progressed: the server settled something: a session that opens and dies is no progress.

        Raises:
            DirsyncError: ``error``, if this is a single sync that has tried for long enough, or cannot succeed.
        """
        if progressed or now - opened_at > LIMITS.backoff_max_seconds:
            self._backoff.reset()
            self._refused_backoff.reset()
        if progressed or self._failing_since is None:
            self._failing_since = now
        out_of_time = now - self._failing_since > ONCE_RETRY_SECONDS
        if self._once and (out_of_time or not isinstance(error, Unavailable)):
            raise error
        self.refused = self._ending and not isinstance(error, Unavailable)
        superseded = isinstance(error, SessionSuperseded)
        backoff = self._refused_backoff if isinstance(error, AccessError) else self._backoff
        self.at = now + (LIMITS.backoff_max_seconds if superseded else backoff.next())
