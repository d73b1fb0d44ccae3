"""A committer that tells the replica's observer, and who watches the replica, what each commit has changed."""

from collections.abc import Callable, Sequence

from dirsync.endpoint.apply.commit import Committer, Results
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.replica import Replica
from dirsync.tree.plan import changed_paths
from dirsync.wire.push.messages import Unsupported


class ObservedCommitter(Committer):
    """Commits as its base, and says what was applied."""

    def __init__(self, replica: Replica, fence: Callable[[], None], session_id: bytes = b"") -> None:
        """As for :class:`~dirsync.endpoint.apply.commit.Committer`; ``session_id`` says whose commits these are."""
        super().__init__(replica, fence)
        self._observed = replica
        self._session_id = session_id

    def commit(self, steps: Sequence[Step]) -> Results:
        """As for the base; raises the same."""
        try:
            results = super().commit(steps)
        except BaseException:
            self._observed.changes.lose()  # some of it may be in the tree
            raise
        applied = [step.operation for step in steps if step.number not in results.failures]
        operations = [operation for operation in applied if not isinstance(operation, Unsupported)]
        replica = self._observed
        if replica.changes.subscribers:
            paths = [path for operation in operations for path in changed_paths(operation)]
            replica.changes.publish(paths, self._session_id)
        replica.observer.committed(replica.namespace, operations, replica.root_digest)
        return results
