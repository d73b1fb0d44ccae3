"""Tells subscribers what changes in one replica.

What a subscriber has not taken is bounded (:mod:`dirsync.endpoint.changes.dirty_paths`), so one that is slow costs
nobody anything. Paths are published after the tree has the change, and a subscriber reads the tree after it has taken
them: what it reads is at least as new as the change.
"""

import threading
from collections.abc import Callable, Collection

from dirsync.endpoint.changes.dirty_paths import Dirty, DirtyPaths
from dirsync.tree.path import RelPath


def _nobody() -> None:
    """Nobody wants to know."""


class Subscription:
    """What changed since it was last taken. Thread-safe."""

    def __init__(self, origin: bytes) -> None:
        """``origin`` names the one who makes the changes that need no telling."""
        self.origin = origin
        self._changed = threading.Condition()
        self._dirty = DirtyPaths()
        self._ended = False

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until something changed; false if nothing did in that time, or the subscription ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._dirty or self._ended, seconds)
            return bool(self._dirty) and not self._ended

    def take(self) -> Dirty:
        """What changed."""
        with self._changed:
            return self._dirty.take()

    def end(self) -> None:
        """Nothing is waited for any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def tell(self, paths: Collection[RelPath] | None, origin: bytes) -> None:
        """These paths changed, or anything (``None``); ``origin`` made the change."""
        with self._changed:
            if paths is None:
                self._dirty.lose()
            elif origin and origin == self.origin:
                self._dirty.note()
            else:
                self._dirty.add(paths)
            self._changed.notify_all()


class ChangeFeed:
    """The changes of one replica. Thread-safe. Without a subscriber nothing costs anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: frozenset[Subscription] = frozenset()
        self.on_subscribed: Callable[[], None] = _nobody
        """Called after each new subscription, without a lock."""

    @property
    def subscribers(self) -> int:
        """How many want to know."""
        return len(self._subscriptions)

    def subscribe(self, origin: bytes) -> Subscription:
        """Be told from now on what others than ``origin`` change; of its own changes only that there were some."""
        subscription = Subscription(origin)
        with self._lock:
            self._subscriptions |= {subscription}
        self.on_subscribed()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be told no longer."""
        with self._lock:
            self._subscriptions -= {subscription}
        subscription.end()

    def publish(self, paths: Collection[RelPath], origin: bytes = b"") -> None:
        """The tree has changed at these paths; ``origin`` did it, or somebody unknown."""
        if not paths:
            return
        for subscription in self._subscriptions:
            subscription.tell(paths, origin)

    def lose(self) -> None:
        """Anything may have changed."""
        for subscription in self._subscriptions:
            subscription.tell(None, b"")
