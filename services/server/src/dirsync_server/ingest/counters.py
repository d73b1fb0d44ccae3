"""What the server counts of the operations that it was asked for.

Two identities hold at any time: logical = literal + saved by delta, dedup and rename; literal = payload received +
saved by compression, where a run of zeros counts as a literal that compression saved.
"""

from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.replica_state import MoveTotals
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.metrics.tally import Tally
from dirsync.tree.entry import Kind, size_of
from dirsync.tree.outcome import Failure
from dirsync.tree.plan import (
    OPERATION_NAMES,
    BuildDirectory,
    CopyContent,
    MakeDirectory,
    Move,
    PutFile,
    SetMetadata,
)


class IngestCounters:
    """Counts settled steps."""

    def __init__(self, metrics: Metrics) -> None:
        self._changes = metrics.family("dirsync_changes_applied_total")
        self._files = metrics.family("dirsync_files_transferred_total")
        self._saved = metrics.family("dirsync_saved_bytes_total")
        self._literal = metrics.counter("dirsync_literal_bytes_total")
        self._resumed = metrics.counter("dirsync_resumed_bytes_total")
        self._logical = metrics.counter("dirsync_logical_bytes_total")
        self._tally = Tally()

    def settled(self, step: Step, failure: Failure | None, moved: MoveTotals | None) -> None:
        """A step was applied, or not; ``moved`` is what it brought to its place, if it is a move. See :meth:`flush`."""
        name = OPERATION_NAMES.get(type(step.operation))
        if name is not None:
            self._tally.note(self._changes[name, "applied" if failure is None else failure.outcome.name.lower()])
        if failure is not None:
            return
        match step.operation:
            case PutFile(entry=entry):
                self._put(step, entry.size)
            case BuildDirectory():
                self._built(step, step.operation)
            case CopyContent(entry=entry):
                self._elsewhere("dedup", 1, entry.size)
            case Move() if moved is not None:
                self._elsewhere("rename", moved.files, moved.bytes)
            case SetMetadata(entry=entry) if entry.kind is Kind.FILE:
                self._tally.note(self._files[("metadata",)])
            case _:
                pass

    def flush(self) -> None:
        """Add what was settled since the last time to the metrics."""
        self._tally.flush()

    def _put(self, step: Step, size: int) -> None:
        self._tally.note(self._files["delta" if step.is_delta else "whole",])
        self._tally.note(self._logical, size)
        self._tally.note(self._literal, step.literal)
        self._tally.note(self._resumed, step.continued)
        if step.saved:
            self._tally.note(self._saved["compression",], step.saved)
        if size > step.literal:
            self._tally.note(self._saved["delta",], size - step.literal)

    def _built(self, step: Step, operation: BuildDirectory) -> None:
        """A directory came with files in it, all of them whole."""
        sizes = [size_of(record) for _, record in operation.below if record[0] == Kind.FILE]
        self._tally.note(self._changes[OPERATION_NAMES[PutFile], "applied"], len(sizes))
        self._tally.note(self._changes[OPERATION_NAMES[MakeDirectory], "applied"], len(operation.below) - len(sizes))
        self._tally.note(self._files["whole",], len(sizes))
        self._tally.note(self._logical, sum(sizes))
        self._tally.note(self._literal, step.literal)
        if step.saved:
            self._tally.note(self._saved["compression",], step.saved)

    def _elsewhere(self, reason: str, files: int, size: int) -> None:
        """Content of which nothing had to come: the replica had it elsewhere."""
        self._tally.note(self._files[reason,], files)
        self._tally.note(self._logical, size)
        self._tally.note(self._saved[reason,], size)
