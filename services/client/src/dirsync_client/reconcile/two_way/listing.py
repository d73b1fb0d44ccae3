"""When the replica is listed again because others change it, and no report says enough of what.

At once, unless it was listed a moment ago: others may change it all the time, and between two listings what is to be
sent goes out. Each such report is followed by a listing that begins after it.

What is listed while somebody writes may be of several moments. If it has none of the digests that the server named
last, it is listed again a little later, until that is so or nothing changes any more. What was decided meanwhile is
safe, because each operation says what it replaces.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dirsync_client.reconcile.context import Context

PAUSE_SECONDS: Final = 0.02
"""Between two listings, at least."""


class Listing:
    """The next listing."""

    def __init__(self, context: "Context") -> None:
        self.due: float | None = None
        """When the replica is to be listed, by the monotonic clock."""
        self._context = context
        self._listed_at: float | None = None
        self._listed = b""
        """The digest of what was listed last."""

    def reset(self) -> None:
        """A new session begins; the replica was just listed."""
        self.due = self._listed_at = None
        self._listed = b""

    def changed(self) -> None:
        """Others changed the replica."""
        now = self._context.now
        self.due = now if self._listed_at is None else max(now, self._listed_at + PAUSE_SECONDS)

    def done(self, *, is_of_a_moment: bool) -> None:
        """The replica was listed. ``is_of_a_moment``: the server has named the digest of what was listed."""
        self._listed_at = self._context.now
        before, self._listed = self._listed, self._context.replica.digest()
        if self.due is None and not is_of_a_moment and self._listed != before:
            self.due = self._listed_at + PAUSE_SECONDS

    def take_due(self) -> bool:
        """Whether the replica is to be listed now; true once."""
        if self.due is None or self.due > self._context.now:
            return False
        self.due = None
        return True
