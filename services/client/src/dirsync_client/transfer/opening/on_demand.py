"""The threads of a session, which need not be started where there is nothing to send.

A client that lives opens its stream with the session: the next change should not have to wait for it. A single sync
that finds nothing to do saves the stream, its threads, and loading what they need.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dirsync_client.reconcile.commands import Sent
    from dirsync_client.transfer.executor import TransferCommand, TransferExecutor


class TransferOnDemand:
    """What a session sends, from the first command on. The engine's thread only."""

    def __init__(self, start: "Callable[[], TransferExecutor]") -> None:
        """``start`` starts the threads of the session."""
        self._start = start
        self._executor: TransferExecutor | None = None
        self._is_finishing = False

    def open(self) -> "TransferExecutor":
        """Start the threads, unless that was done."""
        if self._executor is None:
            self._executor = self._start()
            if self._is_finishing:
                self._executor.finish()
        return self._executor

    def execute(self, commands: "Iterable[TransferCommand]") -> None:
        """Do what these say; what is to be sent goes together."""
        self.open().execute(commands)

    def taken_over(self, applied: "Iterable[Sent]", failed: "Iterable[Sent]") -> None:
        """The reconciler knows what became of these."""
        self.open().taken_over(applied, failed)

    def finish(self) -> None:
        """Begin nothing more: have what was sent committed."""
        self._is_finishing = True
        if self._executor is not None:
            self._executor.finish()

    @property
    def is_committed(self) -> bool:
        """Whether nothing that was sent waits for its commit."""
        return self._executor is None or self._executor.is_committed

    @property
    def unsettled(self) -> "Sequence[Sent]":
        """What was sent and is not settled."""
        return () if self._executor is None else self._executor.unsettled

    def drop_uploads(self) -> None:
        """Nothing that was interrupted is to be continued any more."""
        self.open().drop_uploads()

    def warm_up(self) -> None:
        """Load what the first delta would have to wait for."""
        if self._executor is not None:
            self._executor.warm_up()

    def close(self) -> None:
        """End the threads; what was not settled is unknown."""
        if self._executor is not None:
            self._executor.close()
