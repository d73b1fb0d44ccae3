"""The threads of a gRPC server."""

from concurrent.futures import Future, wait
from threading import Barrier, Event, Thread, current_thread

import pytest

from dirsync.rpc import worker_pool
from dirsync.rpc.worker_pool import WorkerPool

SECONDS = 10


def test_results_and_errors() -> None:
    """A call's result or error is in its future."""
    pool = WorkerPool(2, "test")
    good, bad = pool.submit(divmod, 7, 2), pool.submit(divmod, 7, 0)

    assert (3, 1) == good.result(SECONDS)
    assert isinstance(bad.exception(SECONDS), ZeroDivisionError)
    pool.shutdown()


def test_all_threads_at_once() -> None:
    """As many calls run at once as there may be threads, and a thread that is idle is used again."""
    pool, together = WorkerPool(4, "test"), Barrier(4)
    first = [pool.submit(together.wait, SECONDS) for _ in range(4)]
    wait(first, SECONDS)
    names = {pool.submit(lambda: current_thread().name).result(SECONDS) for _ in range(9)}
    second = [pool.submit(together.wait, SECONDS) for _ in range(4)]

    assert [0, 1, 2, 3] == sorted(future.result(SECONDS) for future in second)
    assert names <= {f"test-{number}" for number in range(4)}
    pool.shutdown()


def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread left, calls wait for those that there are, and submit does not raise."""
    pool, going = WorkerPool(4, "test"), Event()
    blocked = pool.submit(going.wait, SECONDS)
    with monkeypatch.context() as patched:
        patched.setattr(worker_pool, "Thread", NoThread)
        waiting: list[Future[int]] = [pool.submit(int, str(number)) for number in range(3)]
        going.set()

        assert [0, 1, 2] == [future.result(SECONDS) for future in waiting]
    together = Barrier(4)
    later = [pool.submit(together.wait, SECONDS) for _ in range(4)]

    assert blocked.result(SECONDS)
    assert 4 == len({future.result(SECONDS) for future in later})
    pool.shutdown()


def test_shutdown() -> None:
    """What was submitted is called, what comes later is refused."""
    pool = WorkerPool(1, "test")
    before = [pool.submit(int, str(number)) for number in range(5)]
    pool.shutdown()

    assert [0, 1, 2, 3, 4] == [future.result(0) for future in before]
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(int)


class NoThread(Thread):
    """What the standard library does under a pid limit."""

    def start(self) -> None:
        """Fail."""
        msg = "can't start new thread"
        raise RuntimeError(msg)
