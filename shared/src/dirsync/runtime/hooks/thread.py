"""The thread of one hook: it waits for states, runs the hook for the newest, and says how that went.

What reaches a state only puts it into a table, so a hook that hangs or fails holds nobody up. One hook runs at most
once at a time, whatever the number of namespaces: the one that has been due for the longest has its turn.
"""

from collections.abc import Callable, Iterable
from functools import partial
from threading import Condition, Thread
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.limits import LIMITS
from dirsync.runtime.hooks.debouncer import Debouncer, Run
from dirsync.runtime.hooks.delivered import Delivered
from dirsync.runtime.hooks.message import Place
from dirsync.runtime.hooks.outcome import Action, Outcome, Result
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.process.lifecycle import join
from dirsync.tree.path import RelPath


class HookOptions(NamedTuple):
    """One hook."""

    name: str
    """``command`` or ``webhook``."""
    target: str
    """What is called, as it was set."""
    timeout: float
    """Of one run, in seconds."""
    debounce: float
    """In seconds."""


class HookThread:
    """One hook, for all namespaces of a service. Thread-safe."""

    def __init__(
        self,
        options: HookOptions,
        action: Action,
        places: Iterable[Place],
        delivered: Delivered,
        metrics: Metrics,
        now: Monotonic = monotonic,
    ) -> None:
        """It starts when there is the first state."""
        self._options = options
        self._action = action
        self._delivered = delivered
        self._metrics = metrics
        self._now = now
        self._log = get_logger()
        self._changed = Condition()
        self._places = {place.key: place for place in places}
        self._debouncers = {
            name: Debouncer(options.debounce, delivered.get(options.name, options.target, name))
            for name in self._places
        }
        self._end_at: float | None = None
        self._thread: Thread | None = None

    def add(self, namespace: str, paths: Iterable[RelPath]) -> None:
        """These paths have changed; which state that leads to is told later."""
        with self._changed:
            self._debouncers[namespace].ahead.add(paths)

    def reached(self, namespace: str, state: Callable[[], bytes]) -> None:
        """A state was reached. It is asked for in here, so that of several callers the last one has the newest."""
        with self._changed:
            debouncer = self._debouncers[namespace]
            debouncer.reached(state(), self._now())
            if self._thread is None and not debouncer.is_delivered:
                self._thread = Thread(target=self._work, name=f"dirsync-{self._options.name}", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self, seconds: float) -> None:
        """Run at once for states that the hook does not know; nothing goes on after this time. Call :meth:`join`."""
        with self._changed:
            # A command that has to be ended needs some of it.
            self._end_at = self._now() + max(seconds / 2, seconds - LIMITS.hook_end_seconds)
            for debouncer in self._debouncers.values():
                debouncer.end()
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end, and say which namespaces have a state that the hook does not know."""
        if self._thread is not None:
            join(self._thread, seconds)
        with self._changed:
            for namespace, debouncer in self._debouncers.items():
                if not debouncer.is_delivered and debouncer.newest is not None:
                    self._log.warning(
                        Event.HOOK_UNDELIVERED,
                        hook=self._options.name,
                        **self._about(namespace),
                        root_digest=debouncer.newest.hex(),
                    )

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            namespace, run = taken
            options = self._options
            self._delivered.set(options.name, options.target, namespace, None)
            started = self._now()
            outcome = self._action.run(self._places[namespace], run, partial(self._expired, started))
            succeeded = outcome.result is Result.SUCCEEDED
            if succeeded:
                self._delivered.set(options.name, options.target, namespace, run.state)
            with self._changed:
                pause = self._debouncers[namespace].finish(self._now(), succeeded=succeeded)
            self._tell(namespace, run, outcome, self._now() - started, pause)

    def _next(self) -> tuple[str, Run] | None:
        """Wait for the next run; ``None`` at the end."""
        with self._changed:
            while True:
                now = self._now()
                due, namespace = min(
                    ((due, name) for name, one in self._debouncers.items() if (due := one.due) is not None),
                    default=(None, ""),
                )
                if self._end_at is not None and (due is None or max(due, now) >= self._end_at):
                    return None
                if due is not None and due <= now:
                    return namespace, self._debouncers[namespace].start()
                self._changed.wait(None if due is None else due - now)

    def _about(self, key: str) -> dict[str, str]:
        """What an event says of a place."""
        place = self._places[key]
        return {"namespace": place.namespace, **({"target": place.target} if place.target else {})}

    def _expired(self, started: float) -> bool:
        now = self._now()
        return now >= started + self._options.timeout or (self._end_at is not None and now >= self._end_at)

    def _tell(self, namespace: str, run: Run, outcome: Outcome, seconds: float, pause: float | None) -> None:
        name = self._options.name
        self._metrics.inc("dirsync_hook_runs_total", hook=name, outcome=outcome.result.value)
        fields: dict[str, object] = {
            "hook": name,
            **self._about(namespace),
            "root_digest": run.state.hex(),
            "paths": len(run.changes.paths),
            "truncated": run.changes.truncated,
            "duration_ms": round(seconds * 1000, 1),
        }
        if pause is None:
            self._log.info(Event.HOOK_SUCCEEDED, **fields)
            return
        self._log.warning(
            Event.HOOK_FAILED, **fields, kind=outcome.result.value, problem=outcome.problem, retry_s=pause
        )
