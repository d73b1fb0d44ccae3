"""Threads that run the calls of a gRPC server.

The standard library's pool raises in ``submit`` if the system has no thread left for the process (a pid limit of a
container). gRPC calls it in the thread that accepts all calls, which ends then: the server would live, and never answer
again. Here a call waits for one of the threads that there are.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

_Work = tuple["Future[Any]", Callable[[], Any]]


def worker_pool(size: int, name: str) -> ThreadPoolExecutor:
    """A pool as ``grpc.server`` declares it; it calls ``submit`` and ``shutdown`` and nothing else."""
    return cast("ThreadPoolExecutor", WorkerPool(size, name))


class WorkerPool(Executor):
    """At most ``size`` threads, each made when a call finds no other one idle."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._waiting = 0
        """Calls that no thread has taken yet."""
        self._busy = 0
        self._ended = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have the function called in one of the threads.

        Raises:
            RuntimeError: the pool was shut down.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._ended:
                msg = "the pool was shut down"
                raise RuntimeError(msg)
            self._work.put((future, lambda: fn(*args, **kwargs)))
            self._waiting += 1
            while self._waiting > len(self._threads) - self._busy and len(self._threads) < self._size:
                if not self._add_thread():
                    break  # the call waits for a thread that there is, or for the next call that gets one
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - inherited
        """Call nothing more that comes; what was submitted is still called, unless it is cancelled here."""
        with self._lock:
            self._ended = True
            while cancel_futures and not self._work.empty():
                if (work := self._work.get()) is not None:
                    self._waiting -= 1
                    work[0].cancel()
            for _ in self._threads:
                self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _add_thread(self) -> bool:
        """Whether the system had one for us."""
        thread = Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            with self._lock:
                self._waiting -= 1
                self._busy += 1
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - the future has it
                    future.set_exception(error)
            del work, future, call
            with self._lock:
                self._busy -= 1
