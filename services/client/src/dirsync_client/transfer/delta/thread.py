"""Deltas are prepared in a thread of their own, so that neither the engine nor the sender waits for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dirsync.tree.path import RelPath
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.lifecycle.queue_thread import QueueThread
from dirsync_client.reconcile.commands import CompareFile, EstimateSimilarity
from dirsync_client.reconcile.events import FileHashed, SimilarityEstimated
from dirsync_client.transfer.delta.encoder import Delta
from dirsync_client.transfer.delta.planner import DeltaPlanner
from dirsync_client.transfer.hasher import Hasher

if TYPE_CHECKING:
    from dirsync.delta.signature.built import BuiltSignature

_Job = Callable[[], None]


class DeltaThread:
    """One thread with a queue; answers come in the order in which files were given."""

    def __init__(
        self,
        make_planner: Callable[[Callable[[], bool]], DeltaPlanner],
        hasher: Hasher,
        post: Callable[[FileHashed | SimilarityEstimated], None],
        activities: Activities,
    ) -> None:
        """Start. ``make_planner`` is given what tells that it has to stop; ``hasher`` reads what may be equal."""
        self._thread = QueueThread[_Job]("dirsync-delta", "preparing deltas", activities, self._run)
        self._planner = make_planner(self._thread.stopped.is_set)
        self._hasher = hasher
        self._post = post
        self._warm = False
        self._thread.start()

    def estimate(self, command: EstimateSimilarity) -> None:
        """Estimate which part of a file is in its basis, and prepare the delta."""
        self._thread.jobs.put(lambda: self._estimate(command))

    def compare(self, command: CompareFile) -> None:
        """Find out whether a file has the content of a basis."""
        self._thread.jobs.put(lambda: self._compare(command))

    def take(self, path: RelPath) -> Delta | None:
        """The delta that was prepared for the file at ``path``."""
        return self._planner.take(path)

    def remember(self, digest: bytes, signature: "BuiltSignature") -> None:
        """The replica has content with this digest and signature."""
        self._thread.jobs.put(lambda: self._planner.remember(digest, signature))

    def warm_up(self) -> None:
        """Load what the first delta would have to wait for."""
        if not self._warm:
            self._warm = True
            self._thread.jobs.put(_load)

    def close(self) -> None:
        """Remember what is to be remembered, and stop; files that were not answered are dropped."""
        self._thread.close()
        self._planner.close()

    def _run(self) -> None:
        while (job := self._thread.jobs.get()) is not None:
            job()

    def _estimate(self, command: EstimateSimilarity) -> None:
        if not self._thread.stopped.is_set():
            self._post(self._planner.estimate(command))

    def _compare(self, command: CompareFile) -> None:
        differing = None if self._thread.stopped.is_set() else self._planner.compare(command)
        if differing is not None:
            self._post(differing)
        else:
            self._hasher.add(command.path, command.planned)


def _load() -> None:
    import dirsync.delta.match.matcher  # noqa: F401, PLC0415  # numpy is for those who need it
