"""Does at the source what the reconciler of a two-way client wants, for one session.

Content is staged by two threads, small files apart from large ones, so that none of these waits for one of those. A
server reads no more than two contents at a time for a session.
Everything is published by the engine's thread, which owns the source.
"""

from collections.abc import Callable, Sequence

from dirsync.endpoint.source.applier import SourceApplier, SourceStep
from dirsync.endpoint.source.source import Source
from dirsync.fs.write.durable import NotDurable
from dirsync.fs.write.kept import kept_files
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.plan import PutFile
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.receive.content import ContentStager
from dirsync_client.receive.partial import drop_all
from dirsync_client.receive.results import Counted, Staged
from dirsync_client.receive.thread import StagingThread
from dirsync_client.reconcile.events import Event, Received, SourceChanged
from dirsync_client.reconcile.two_way.commands import Receive
from dirsync_client.session.link import Link


class ReceiveExecutor:
    """The engine's thread only."""

    def __init__(
        self, source: Source, link: Link, block_size: int, activities: Activities, post: Callable[[Staged], None]
    ) -> None:
        """Open the staging directory, and start the threads.

        Raises:
            UsageError: the source cannot be written.
        """
        source.root.lock()
        staging = Staging.open(source.root)
        source.own_names = staging.reserved_names
        self._applier = SourceApplier(source, staging)

        def make(cancelled: Callable[[], bool]) -> ContentStager:
            opened = link.opened
            stager = ContentStager(
                source.root, staging, opened.session_id, link.content, link.checksums, block_size, cancelled
            )
            stager.attributes = source.tree.attributes
            return stager

        self._staging = staging
        self.keeps_surplus = bool(kept_files(staging))
        """There may be something in the staging directory that nobody needs when both sides are equal."""
        self._small = StagingThread(make, post, activities)
        self._large = StagingThread(make, post, activities)

    def execute(self, commands: Sequence[Receive]) -> list[Event]:
        """Apply what has no content, in order, and have the content of the others staged."""
        direct: list[Receive] = []
        for command in commands:
            step = command.operation
            if not isinstance(step, PutFile):
                direct.append(command)
            elif step.entry.size <= LIMITS.inline_file_bytes:
                self._small.add(command)
            else:
                self._large.add(command)
        return self._apply([(command, None) for command in direct])

    def take(self, results: Sequence[Staged]) -> list[Event]:
        """Publish what was staged."""
        events: list[Event] = []
        ready: list[tuple[Receive, Staged | None]] = []
        for result in results:
            if result.failure is not None:
                self.keeps_surplus = True
                events.append(Received(result.receive, result.failure, result.vanished))
            else:
                ready.append((result.receive, result))
        return events + self._apply(ready)

    def drop_surplus(self) -> None:
        """Both sides are equal: nobody goes on with downloads that were cut. The empty directory goes too."""
        self.keeps_surplus = False
        drop_all(self._staging)

    def close(self) -> None:
        """End the threads, and remove what is staged."""
        self._small.close()
        self._large.close()
        self._applier.close()

    def _apply(self, commands: Sequence[tuple[Receive, Staged | None]]) -> list[Event]:
        if not commands:
            return []
        self.keeps_surplus = True
        steps = [SourceStep(command.operation, staged and staged.staged) for command, staged in commands]
        by_path = {command.path: command for command, _ in commands}
        counted = {command.path: staged.counted for command, staged in commands if staged is not None}
        try:
            applied = self._applier.apply(steps)
        except NotDurable as error:
            failure = Failure(0, Outcome.STORAGE, None, error.reason, str(error))
            return [Received(command, failure) for command, _ in commands]
        events: list[Event] = [SourceChanged(applied.changed)] if applied.changed else []
        for step in applied.done:
            path = step.operation.path
            came = counted.get(path, Counted(0, 0))
            events.append(Received(by_path[path], None, False, *came))
        events += [Received(by_path[step.operation.path], failure) for step, failure in applied.failures]
        return events
