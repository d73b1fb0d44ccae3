"""A committer that tells the replica's observer what each commit has changed."""

from collections.abc import Callable, Sequence

from dirsync.endpoint.apply.commit import Committer, Results
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.replica import Replica
from dirsync.wire.push.messages import Unsupported


class ObservedCommitter(Committer):
    """Commits as its base, and says what was applied."""

    def __init__(self, replica: Replica, fence: Callable[[], None]) -> None:
        """As for :class:`~dirsync.endpoint.apply.commit.Committer`."""
        super().__init__(replica, fence)
        self._observed = replica

    def commit(self, steps: Sequence[Step]) -> Results:
        """As for the base; raises the same."""
        results = super().commit(steps)
        applied = [step.operation for step in steps if step.number not in results.failures]
        operations = [operation for operation in applied if not isinstance(operation, Unsupported)]
        replica = self._observed
        replica.observer.committed(replica.namespace, operations, replica.root_digest)
        return results
