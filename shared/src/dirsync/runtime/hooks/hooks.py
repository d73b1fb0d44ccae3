"""The hooks of a service, as what syncs sees them: it tells what changed and which state was reached, and goes on."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dirsync.clock import monotonic
from dirsync.tree.plan import Operation, changed_paths

if TYPE_CHECKING:
    from dirsync.runtime.hooks.thread import HookThread


class Feed:
    """What one namespace tells the hooks. Thread-safe, and waits for no hook."""

    def __init__(self, namespace: str, threads: Sequence["HookThread"]) -> None:
        self._namespace = namespace
        self._threads = threads

    def applied(self, operations: Iterable[Operation]) -> None:
        """The replica was changed by these operations."""
        if not self._threads:
            return
        paths = [path for operation in operations for path in changed_paths(operation)]
        for thread in self._threads:
            thread.add(self._namespace, paths)

    def reached(self, state: Callable[[], bytes]) -> None:
        """What was applied so far led to a state; ``state`` returns its root digest, or a later one."""
        for thread in self._threads:
            thread.reached(self._namespace, state)


class Hooks:
    """All hooks of a service."""

    def __init__(self, threads: Sequence["HookThread"] = ()) -> None:
        self._threads = threads

    def feed(self, namespace: str) -> Feed:
        """Where this namespace tells what happens."""
        return Feed(namespace, self._threads)

    def stop(self, seconds: float) -> None:
        """Have every hook told the last state, within so many seconds; the main thread only."""
        until = monotonic() + seconds
        for thread in self._threads:
            thread.end(seconds)
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))


NO_HOOKS = Hooks()
SILENT = NO_HOOKS.feed("")
"""Tells nobody."""
