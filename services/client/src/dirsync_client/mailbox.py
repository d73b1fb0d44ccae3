"""What other threads tell the engine, and what it sleeps on.

The watcher, the threads of a session and the agent put; the engine takes. Hints are bounded: more than
``LIMITS.max_dirty_paths`` that were not taken become one that says that everything may have changed.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.limits import LIMITS
from dirsync.tree.guards.approvals import Released
from dirsync.tree.path import ROOT, RelPath
from dirsync_client.lifecycle.ending import Deadlines
from dirsync_client.receive.results import ReplicaReported, Staged
from dirsync_client.reconcile.events import FileHashed, Settled, SimilarityEstimated, Unsent
from dirsync_client.report.explain import Explanation
from dirsync_client.session.connector import Answer
from dirsync_client.session.stream_ended import StreamEnded

Result = FileHashed | SimilarityEstimated | Settled | Unsent | StreamEnded | Staged | ReplicaReported | Answer
"""What comes back from work that the engine gave to other threads."""


class Completion(NamedTuple):
    """A result, and the session that it belongs to: one of an earlier session means nothing."""

    session: int
    result: Result
    target: int = 0
    """Which of the targets the session is with, by its place in the list."""


class Approval(NamedTuple):
    """A hold is to be released."""

    hold_id: str
    answer: Callable[[Released], None]
    """Told how many operations those were."""
    target: str = ""
    """The name of a target; empty for all that have this hold."""


class Question(NamedTuple):
    """A path is to be explained."""

    path: RelPath
    answer: Callable[[Explanation], None]
    target: str = ""
    """The name of a target; empty for the first."""


class SyncRequest(NamedTuple):
    """Both sides are to be looked at now."""

    answer: Callable[[], None]
    """Called when that is done."""
    target: str = ""
    """The name of a target; empty for all."""


@dataclass(slots=True)
class Batch:
    """What has come in since the last time."""

    completions: list[Completion] = field(default_factory=list)
    hints: list[tuple[Hint, float]] = field(default_factory=list)
    """Each with the time when it came, by the monotonic clock."""
    approvals: list[Approval] = field(default_factory=list)
    syncs: list[SyncRequest] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.hints or self._others)

    @property
    def only_hints(self) -> bool:
        """Whether there are hints, and nothing else."""
        return bool(self.hints) and not self._others

    def concerns(self, target: int) -> bool:
        """Whether there is anything but what other targets have done."""
        own = any(one.target == target for one in self.completions)
        return own or bool(self.hints or self.approvals or self.syncs or self.questions)

    @property
    def _others(self) -> bool:
        return bool(self.completions or self.approvals or self.syncs or self.questions)


class Mailbox:
    """Thread-safe; one thread takes and waits."""

    def __init__(self, now: Monotonic = monotonic) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._batch = Batch()
        self._end: Deadlines | None = None
        self._taken_end = False

    @property
    def end_by(self) -> Deadlines | None:
        """When the engine is to end; ``None`` while it is not to."""
        return self._end

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._batch

    def is_empty_for(self, target: int) -> bool:
        """Whether nothing waits to be taken that concerns this target: what others have done does not."""
        with self._changed:
            return not self._batch.concerns(target)

    def hint(self, hint: Hint) -> None:
        """Something may have changed."""
        self.hints((hint,))

    def hints(self, batch: Sequence[Hint]) -> None:
        """Several paths may have changed; the engine sees these together, as both halves of a rename must be."""
        with self._changed:
            when = self._now()
            hints = self._batch.hints
            hints.extend((hint, when) for hint in batch)
            if len(hints) > LIMITS.max_dirty_paths:
                hints[:] = [(Hint(ROOT, HintKind.LOST), hints[0][1])]
            self._changed.notify()

    def complete(self, session: int, result: Result, target: int = 0) -> None:
        """Work that the engine gave to another thread has a result."""
        with self._changed:
            completions = self._batch.completions
            if isinstance(result, ReplicaReported) and completions and completions[-1].session == session:
                # Those that nobody took become one. A server may send any number.
                before = completions[-1].result
                if isinstance(before, ReplicaReported):
                    result = result.after(before)
                    completions.pop()
            completions.append(Completion(session, result, target))
            self._changed.notify()

    def approve(self, hold_id: str, answer: Callable[[Released], None], target: str = "") -> None:
        """Release a hold; ``answer`` is told what that does."""
        with self._changed:
            self._batch.approvals.append(Approval(hold_id, answer, target))
            self._changed.notify()

    def explain(self, path: RelPath, answer: Callable[[Explanation], None], target: str = "") -> None:
        """Explain a path; ``answer`` is told."""
        with self._changed:
            self._batch.questions.append(Question(path, answer, target))
            self._changed.notify()

    def sync(self, answer: Callable[[], None], target: str = "") -> None:
        """Scan both sides now; ``answer`` is called when they were compared and nothing is under way."""
        with self._changed:
            self._batch.syncs.append(SyncRequest(answer, target))
            self._changed.notify()

    def end(self, deadlines: Deadlines) -> None:
        """Have the engine end by these times."""
        with self._changed:
            self._end = deadlines
            self._taken_end = False
            self._changed.notify()

    def take(self) -> Batch:
        """Everything that has come in."""
        with self._changed:
            batch, self._batch = self._batch, Batch()
            self._taken_end = self._end is not None
            return batch

    def wait(self, seconds: float | None) -> None:
        """Sleep until something comes in, or for so many seconds."""
        with self._changed:
            if not self._batch and (self._end is None or self._taken_end):
                self._changed.wait(seconds)
