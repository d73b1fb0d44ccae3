"""A thread that works off a queue, and whose life is watched."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from dirsync_client.lifecycle.activity import Activities

Job = TypeVar("Job")


class QueueThread(Generic[Job]):
    """Made by what the thread works for, which starts it when it is complete itself."""

    def __init__(self, name: str, doing: str, activities: Activities, serve: Callable[[], None]) -> None:
        """Make the thread.

        Args:
            name: of the thread.
            doing: what it does, in words for people.
            activities: where it is watched.
            serve: takes from :attr:`jobs` until it gets ``None``, or until :attr:`stopped` is set.
        """
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.stopped = threading.Event()
        self.activity = activities.add(doing)
        self._activities = activities
        self._serve = serve
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the job at hand."""
        self.activity.thread = None  # it may end now
        self.stopped.set()
        self.jobs.put(None)
        self._thread.join()
        self._activities.remove(self.activity)

    def _run(self) -> None:
        self.activity.follow()
        self._serve()
