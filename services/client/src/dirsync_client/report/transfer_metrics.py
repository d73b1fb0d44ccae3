"""What was moved and what was saved: counted for the metrics, summed for ``sync.completed``, told in the log.

Identities, which the tests check: logical = literal + saved by delta, dedup, rename and unchanged; literal = payload
sent + saved by compression.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from threading import Lock

from dirsync.clock import Monotonic, monotonic
from dirsync.runtime.log.events import Event
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.metrics.tally import Tally
from dirsync.tree.entry import Kind, size_of
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.plan import (
    OPERATION_NAMES,
    Below,
    BuildDirectory,
    CopyContent,
    Delete,
    MakeDirectory,
    Move,
    PutFile,
    SetMetadata,
)
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.commands import Sent
from dirsync_client.report.target_log import TargetLog
from dirsync_client.report.travels import Travel, Travels

_MILLISECONDS = 1000
METADATA = Choice(Strategy.METADATA, Reason.SAME_CONTENT)


@dataclass
class Totals:
    """Sums since the last quiet moment; sizes in bytes."""

    files: int = 0
    deletes: int = 0
    logical_bytes: int = 0
    literal_bytes: int = 0
    saved_bytes: int = 0
    wire_bytes: int = 0

    @property
    def moved(self) -> bool:
        """Whether anything was changed."""
        return bool(self.files or self.deletes)


class TransferMetrics:
    """Counts what the engine reports. The engine's thread only, but for :meth:`count_wire`."""

    def __init__(self, metrics: Metrics, now: Monotonic = monotonic, log: TargetLog | None = None) -> None:
        """``log`` is that of the target; without one events are about the whole client."""
        self._metrics = metrics
        self._now = now
        self.log = TargetLog() if log is None else log
        """Where the target logs."""
        self.totals = Totals()
        self.travels = Travels()
        self.is_live = False
        """The first sync is done: only after that a change has an event, and a time from which its lag counts."""
        self._wire = {
            direction: metrics.counter("dirsync_wire_bytes_total", direction=direction)
            for direction in ("sent", "received")
        }
        self._wire_bytes = dict.fromkeys(self._wire, 0)
        self._wire_lock = Lock()
        self._wire_before = 0
        self._synced: list[dict[str, object]] = []
        self._deleted: list[dict[str, object]] = []
        self._built: list[tuple[list[dict[str, object]], dict[str, object]]] = []
        """The files of each directory that was sent as a whole, and what is the same for all of them."""
        self._changes = metrics.family("dirsync_changes_applied_total")
        self._strategies = metrics.family("dirsync_files_transferred_total")
        self._choices = metrics.family("dirsync_strategy_choices_total")
        self._content_lookups = metrics.family("dirsync_cache_lookups_total")
        self._saved = metrics.family("dirsync_saved_bytes_total")
        self.logical = metrics.counter("dirsync_logical_bytes_total")
        self._literal = metrics.counter("dirsync_literal_bytes_total")
        self._resumed = metrics.counter("dirsync_resumed_bytes_total")
        self._hashed = metrics.counter("dirsync_hashed_bytes_total")
        self._tally = Tally()
        self._lag = metrics.histogram("dirsync_change_lag_seconds")

    def count_wire(self, direction: str, size: int) -> None:
        """A message of ``size`` bytes was ``sent`` or ``received``; from any thread."""
        with self._wire_lock:
            self._wire_bytes[direction] += size
        self._wire[direction].inc(size)

    @property
    def sent_bytes(self) -> int:
        """Bytes of all messages that were sent."""
        return self._wire_bytes["sent"]

    def applied(self, sent: Sent) -> None:
        """The server applied an operation."""
        operation = sent.operation
        self._tally.note(self._changes[OPERATION_NAMES[type(operation)], "applied"])
        self._observe_lag(sent)
        if isinstance(operation, Delete):
            self.totals.deletes += 1
            self._deleted.append({"path": operation.path})
            return
        self.totals.files += 1
        match operation:
            case PutFile():
                self._content(sent, sent.choice, sent.literal_bytes)
            case CopyContent():
                self._content(sent, sent.choice, 0)
            case SetMetadata(entry=entry) if entry.kind is Kind.FILE:
                self._note_synced(sent, METADATA, entry.size, 0)

    def built(self, sent: Sent, below: Sequence[Below]) -> None:
        """The server made a directory as a whole, with these files and directories in it."""
        self._tally.note(self._changes[OPERATION_NAMES[BuildDirectory], "applied"])
        self._observe_lag(sent)
        size, saved, choice = sent.literal_bytes, sent.compressed_bytes, sent.choice
        way, reason, now = choice.strategy.value, choice.reason.value, self._now()
        duration = round((now - sent.started) * _MILLISECONDS, 1)
        rows: list[dict[str, object]] = []
        for (path, record), share in zip(below, sent.shares or repeat(0), strict=False):
            if record[0] != Kind.FILE:
                continue
            length = size_of(record)
            self.travels.note(path, Travel(choice, length, length, now, None))
            rows.append({"path": path, "size": length, "literal_bytes": length, "saved_bytes": share})
        self._built.append((rows, {"strategy": way, "reason": reason, "duration_ms": duration}))
        files = len(rows)
        self._tally.note(self._changes[OPERATION_NAMES[PutFile], "applied"], files)
        self._tally.note(self._changes[OPERATION_NAMES[MakeDirectory], "applied"], len(below) - files)
        self._tally.note(self._strategies[(way,)], files)
        self._tally.note(self._choices[way, reason], files)
        self._tally.note(self._content_lookups["content", "miss"], files)
        self._tally.note(self.logical, size)
        self._tally.note(self._literal, size)
        self._tally.note(self._hashed, size)
        self._tally.note(self._saved[("compression",)], saved)
        self.totals.files += 1 + len(below)
        self.totals.logical_bytes += size
        self.totals.literal_bytes += size
        self.totals.saved_bytes += saved

    def moved(self, sent: Sent, files: int, size: int) -> None:
        """The server moved so many files, of ``size`` bytes in all, with one operation."""
        self._tally.note(self._changes[OPERATION_NAMES[Move], "applied"])
        self._observe_lag(sent)
        self.totals.files += max(files, 1)
        self._tally.note(self.logical, size)
        self._tally.note(self._saved[("rename",)], size)
        self.totals.logical_bytes += size
        self.totals.saved_bytes += size
        self._note_synced(sent, sent.choice, size, size, files)

    def _observe_lag(self, sent: Sent) -> None:
        if self.is_live:
            self._lag.observe(self._now() - sent.transmit.changed_at)

    def flush(self) -> None:
        """Count and log what was applied since the last time."""
        self._tally.flush()
        synced, self._synced = self._synced, []
        deleted, self._deleted = self._deleted, []
        built, self._built = self._built, []
        for rows, shared in built:
            self.log.info_each(Event.FILE_SYNCED, rows, shared)
        self.log.info_each(Event.FILE_SYNCED, synced)
        self.log.info_each(Event.FILE_DELETED, deleted)

    def failed(self, sent: Sent, failure: Failure) -> None:
        """The server did not apply an operation."""
        outcome = "unsupported" if failure.outcome is Outcome.UNKNOWN else failure.outcome.name.lower()
        self._tally.note(self._changes[OPERATION_NAMES[type(sent.operation)], outcome])
        if failure.outcome is Outcome.MISMATCH and sent.choice.strategy in (Strategy.DEDUP, Strategy.DELTA):
            self._tally.note(self._content_lookups["content", "stale"])
            self.log.warning(
                Event.FILE_PROBLEM,
                path=sent.path,
                kind="mismatch",
                strategy=sent.choice.strategy.value,
                problem=f"{failure.message}; the file is sent whole",
            )

    def proved(self, size: int) -> None:
        """A file of ``size`` bytes that was moved by its inode was read, and is what the replica has."""
        self._tally.note(self._hashed, size)

    def unchanged(self, size: int) -> None:
        """A file of ``size`` bytes was read again and found equal to the replica's."""
        self._tally.note(self._saved[("unchanged",)], size)
        self._tally.note(self.logical, size)
        self._tally.note(self._hashed, size)
        self.totals.logical_bytes += size
        self.totals.saved_bytes += size

    def completed(self, root_digest: bytes, duration: float) -> None:
        """Everything that was known to differ was settled; the sums start again."""
        totals, self.totals = self.totals, Totals()
        wire = sum(self._wire_bytes.values())
        totals.wire_bytes, self._wire_before = wire - self._wire_before, wire
        self._metrics.observe("dirsync_cycle_duration_seconds", duration)
        sums = {field.name: getattr(totals, field.name) for field in fields(totals)}
        self.log.info(
            Event.SYNC_COMPLETED, **sums, duration_ms=round(duration * _MILLISECONDS, 1), root_digest=root_digest.hex()
        )

    def _content(self, sent: Sent, choice: Choice, literal: int) -> None:
        """A file was made: ``literal`` bytes of it were sent, the rest the replica had."""
        size = sent.size
        had = max(0, size - literal)
        self._tally.note(self.logical, literal + had)
        self._tally.note(self._literal, literal)
        self._tally.note(self._resumed, sent.continued_bytes)
        if had:
            self._tally.note(self._saved[(choice.strategy.value,)], had)
        if choice.reason is not Reason.SAME_FILE:
            self._tally.note(self._hashed, size)
        self._tally.note(self._saved[("compression",)], sent.compressed_bytes)
        self._tally.note(self._content_lookups["content", "hit" if choice.strategy is Strategy.DEDUP else "miss"])
        self.totals.logical_bytes += literal + had
        self.totals.literal_bytes += literal
        self.totals.saved_bytes += had + sent.compressed_bytes
        self._note_synced(sent, choice, size, had + sent.compressed_bytes)

    def _note_synced(self, sent: Sent, choice: Choice, size: int, saved: int, files: int = 1) -> None:
        way, reason = choice.strategy.value, choice.reason.value
        now, former = self._now(), sent.operation.source if isinstance(sent.operation, Move) else None
        self.travels.note(sent.path, Travel(choice, size, sent.literal_bytes, now, former))
        self._tally.note(self._strategies[(way,)], files)
        self._tally.note(self._choices[way, reason], files)
        fields: dict[str, object] = {
            "path": sent.path,
            "strategy": way,
            "reason": reason,
            "size": size,
            "literal_bytes": sent.literal_bytes,
            "saved_bytes": saved,
            "duration_ms": round((now - (sent.started or sent.transmit.changed_at)) * _MILLISECONDS, 1),
        }
        if former is not None:
            fields |= {"source": former, "files": files}
        self._synced.append(fields)
