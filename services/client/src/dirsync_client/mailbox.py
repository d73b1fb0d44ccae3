"""What other threads tell the engine, and what it sleeps on.

Watcher, push stream, hasher and agent put; the engine takes. Hints are bounded: more than ``LIMITS.max_dirty_paths``
that nobody took become one that says that everything may have changed.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT
from dirsync_client.reconcile.ticket import Settled, StreamEnded, Unsent
from dirsync_client.transfer.hasher import Hashed

Post = Settled | Unsent | StreamEnded | Hashed
"""What comes back from work that the engine gave to others."""


@dataclass(slots=True)
class Mail:
    """What has come in since the last time."""

    posts: list[Post] = field(default_factory=list)
    hints: list[tuple[Hint, float]] = field(default_factory=list)
    """Each with the time when it came, by the monotonic clock."""
    approvals: list[tuple[str, Callable[[int], None]]] = field(default_factory=list)
    """Ids of holds to release, and who is to be told how many operations those were."""
    syncs: list[Callable[[], None]] = field(default_factory=list)
    """Who wants everything to be looked at now, and to be told when that is done."""

    def __bool__(self) -> bool:
        return bool(self.posts or self.hints or self.approvals or self.syncs)


class Inbox:
    """Thread-safe; one thread takes and waits."""

    def __init__(self, now: Monotonic = monotonic) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._mail = Mail()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether the engine is to end."""
        return self._stopping

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._mail

    def hint(self, hint: Hint) -> None:
        """Something may have changed."""
        self.hints([hint])

    def hints(self, batch: Sequence[Hint]) -> None:
        """Something may have changed; the engine takes these together, so that it sees both halves of a rename."""
        with self._changed:
            now = self._now()
            hints = self._mail.hints
            hints.extend((hint, now) for hint in batch)
            if len(hints) > LIMITS.max_dirty_paths:
                hints[:] = [(Hint(ROOT, HintKind.LOST), hints[0][1])]
            self._changed.notify()

    def post(self, post: Post) -> None:
        """Something came back."""
        with self._changed:
            self._mail.posts.append(post)
            self._changed.notify()

    def approve(self, hold_id: str, answer: Callable[[int], None]) -> None:
        """Release a hold; ``answer`` is told how many operations that were, 0 if there is no such hold."""
        with self._changed:
            self._mail.approvals.append((hold_id, answer))
            self._changed.notify()

    def sync(self, answer: Callable[[], None]) -> None:
        """Look at everything now; ``answer`` is called when both sides were compared and nothing is under way."""
        with self._changed:
            self._mail.syncs.append(answer)
            self._changed.notify()

    def stop(self) -> None:
        """End the engine soon."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def take(self) -> Mail:
        """Everything that has come in."""
        with self._changed:
            mail, self._mail = self._mail, Mail()
            return mail

    def forget_posts(self) -> None:
        """A session is over: what its work brought back means nothing any more."""
        with self._changed:
            self._mail.posts.clear()

    def wait(self, seconds: float | None) -> None:
        """Sleep until something comes in, or for so many seconds."""
        with self._changed:
            if not self._mail and not self._stopping:
                self._changed.wait(seconds)
