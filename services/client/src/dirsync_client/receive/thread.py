"""One thread that stages what comes in."""

from collections.abc import Callable

from dirsync.endpoint.apply.outcomes import failed
from dirsync.errors import DirsyncError, RemoteError
from dirsync.fs.write.durable import NotDurable
from dirsync_client.lifecycle.activity import Activities, Part
from dirsync_client.lifecycle.queue_thread import QueueThread
from dirsync_client.receive.content import ContentStager, is_gone
from dirsync_client.receive.results import Staged
from dirsync_client.reconcile.two_way.commands import Receive

_TOO_MANY = "MAX_CONTENT_READS"
_PAUSE_SECONDS = 0.02
_MAX_TRIES = 50
_BATCH = 64
"""Files that are made durable together."""


class StagingThread:
    """Stages files in the order in which they were given."""

    def __init__(
        self,
        make: Callable[[Callable[[], bool]], ContentStager],
        post: Callable[[Staged], None],
        activities: Activities,
    ) -> None:
        """``make`` makes the stager, whose work is cancelled when the function that it is given returns true."""
        self._thread = QueueThread[Receive]("dirsync-stage", "receiving files", activities, self._run)
        self._stager = make(self._thread.stopped.is_set)
        self._post = post
        self._thread.start()

    def add(self, receive: Receive) -> None:
        """Stage this file."""
        self._thread.jobs.put(receive)

    def close(self) -> None:
        """Stop; what is under way is given up."""
        self._thread.close()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            if self._thread.stopped.is_set():
                self._stager.close()

    def _serve(self) -> None:
        is_over = False
        while not is_over:
            batch, is_over = self._next_batch()
            if not batch or self._thread.stopped.is_set():
                return
            self._thread.activity.begin(Part.SERVER)
            results = [self._stage(receive) for receive in batch]
            results = self._made_durable(results)
            self._thread.activity.rest()
            for result in results:
                if not self._thread.stopped.is_set():
                    self._post(result)
                elif result.staged is not None:
                    result.staged.discard()

    def _next_batch(self) -> tuple[list[Receive], bool]:
        """What waits, up to a limit: it is made durable together; and whether nothing comes after it."""
        batch: list[Receive] = []
        receive = self._thread.jobs.get()
        while receive is not None and not self._thread.stopped.is_set():
            batch.append(receive)
            if len(batch) >= _BATCH or self._thread.jobs.empty():
                return batch, False
            receive = self._thread.jobs.get()
        return batch, True

    def _made_durable(self, results: list[Staged]) -> list[Staged]:
        try:
            self._stager.make_durable([result.staged for result in results if result.staged is not None])
        except NotDurable as error:
            lost = set(map(id, error.staged))
            return [self._not_durable(result, error) if id(result.staged) in lost else result for result in results]
        return results

    def _not_durable(self, result: Staged, error: NotDurable) -> Staged:
        assert result.staged is not None
        result.staged.discard()
        return Staged(result.receive, None, failure=failed(0, error, None))

    def _stage(self, receive: Receive) -> Staged:
        result = self._try(receive)
        for _ in range(_MAX_TRIES):
            # The server has not noticed yet that the content before was read to its end.
            if (
                result.failure is None
                or result.failure.reason != _TOO_MANY
                or self._thread.stopped.wait(_PAUSE_SECONDS)
            ):
                break
            result = self._try(receive)
        return result

    def _try(self, receive: Receive) -> Staged:
        try:
            staged, counted = self._stager.stage(receive)
        except DirsyncError as error:
            wrong = isinstance(error, RemoteError)
            return Staged(receive, None, failure=failed(0, error, None), vanished=is_gone(error) or wrong)
        return Staged(receive, staged, counted)
