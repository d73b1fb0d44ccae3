"""Threads that run when the scheduler lets them: the client's workers.

Each is a loop over a queue, and ends with ``None``. A worker that is let run takes what is in its queue and stops at
the end of it, so that its work happens at a moment of the scheduler's choice and in one piece, save where it waits for
the network.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queue import SimpleQueue

_QUEUES = ("_queue", "_jobs", "jobs")


class Worker:
    """Stands in for ``threading.Thread``; what it would run is the method of an object that has the queue."""

    created: "Callable[[Worker], None]" = staticmethod(lambda _worker: None)
    """Told of each new one."""

    def __init__(self, target: Callable[[], None], **_: object) -> None:
        self._target = target
        holder: Any = getattr(target, "__self__", None)
        self._queue: SimpleQueue[Any] = next(getattr(holder, name) for name in _QUEUES if hasattr(holder, name))
        self._is_running = False
        self._has_ended = False
        Worker.created(self)

    @property
    def has_work(self) -> bool:
        """Whether it would do anything now."""
        return not (self._is_running or self._has_ended or self._queue.empty())

    def start(self) -> None:
        """It waits for its first turn."""

    def run_some(self) -> None:
        """Do what waits."""
        self._queue.put(None)
        self._run()

    def join(self, _timeout: float | None = None) -> None:
        """Let it end: the sentinel is in its queue."""
        if not (self._is_running or self._has_ended):
            self._run()
        self._has_ended = True

    def _run(self) -> None:
        self._is_running = True
        try:
            self._target()
        finally:
            self._is_running = False


class WorkerThreading:
    """Stands in for the ``threading`` module where workers are made."""

    Thread = Worker

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)
