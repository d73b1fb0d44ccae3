"""Does what the reconciler says: on the source, on the session, in the state directory, and in the log.

The engine's thread only. What is known at once is returned; what takes longer comes back through the mailbox.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dirsync.endpoint.source.source import Source
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync_client.lifecycle.activity import Activity, Part
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    Adopt,
    CheckSource,
    Command,
    CompareFile,
    DropEstimate,
    EstimateSimilarity,
    HashFile,
    ListReplica,
    LookAt,
    ProbeFile,
    ProbeSource,
    RememberRecord,
    RememberRecords,
    Report,
    ReportMovedOn,
    RequestCommit,
    SourceCommand,
    SpendApproval,
    Transmit,
    WakeAt,
)
from dirsync_client.reconcile.events import Event, Settled, SourceChanged
from dirsync_client.reconcile.two_way.commands import Agree, AgreeMove, Receive
from dirsync_client.report.reporter import Reporter
from dirsync_client.source_executor import SourceExecutor
from dirsync_client.state import ReplicaPairing, StateDirectory

if TYPE_CHECKING:
    from dirsync_client.receive.executor import ReceiveExecutor
    from dirsync_client.receive.reception import AgreedTrees
    from dirsync_client.targets.source_view import SourceView
    from dirsync_client.transfer.executor import TransferCommand
    from dirsync_client.transfer.opening.on_demand import TransferOnDemand


class Executor:
    """The hands of one target."""

    def __init__(
        self,
        source: Source,
        view: "Source | SourceView",
        state: StateDirectory,
        reporter: Reporter,
        activity: Activity,
        list_replica: Callable[[ListReplica], None],
    ) -> None:
        """``view``: what the target sees of ``source``. ``activity``: that of the engine's thread.

        ``list_replica`` has the replica listed again.
        """
        self.looked: list[RelPath] = []
        """Paths of the source that turned out to be different when this target looked or read: for the others."""
        self.replica_id = ""
        """Of the present session."""
        self.transfer: TransferOnDemand | None = None
        """Of the present session; without one, what is to be sent is dropped."""
        self.receiver: ReceiveExecutor | None = None
        """Of the present session, if it is a two-way one."""
        self.agreed: AgreedTrees | None = None
        """Of a two-way client."""
        self.wake_at: float | None = None
        """When the reconciler wants to go on."""
        self._source = source
        self._state = state
        self._reporter = reporter
        self._list_replica = list_replica
        self._activity = activity
        self._source_executor = SourceExecutor(source, view)

    def execute(self, commands: Iterable[Command]) -> list[Event]:
        """Do what the commands say; returns what is known at once."""
        events: list[Event | None] = []
        reports: list[Report] = []
        to_transfer: list[TransferCommand] = []
        self.wake_at = None
        remembered: list[tuple[RelPath, Record]] = []
        two_way: list[Receive | Agree | AgreeMove] = []
        for command in commands:
            match command:
                case RememberRecord() | RememberRecords():
                    remembered += command.records
                case Transmit() | CompareFile() | EstimateSimilarity() | DropEstimate() | RequestCommit():
                    to_transfer.append(command)
                case HashFile(size=size) if size > LIMITS.inline_file_bytes:
                    to_transfer.append(command)
                case HashFile() | ProbeFile() | LookAt() | ProbeSource() | CheckSource() | AcceptMounts():
                    # What a look finds is newer than what was read before.
                    self._remember(remembered)
                    self._activity.begin(Part.SOURCE)
                    events.append(self._on_source(command))
                    self._activity.begin(Part.CLIENT)
                case Receive() | Agree() | AgreeMove():
                    two_way.append(command)
                case WakeAt(time=time):
                    self.wake_at = time
                case Adopt() | SpendApproval() | ReportMovedOn():
                    self._keep(command)
                case ListReplica():
                    self._list_replica(command)
                case _:
                    reports.append(command)
        self._remember(remembered)
        if to_transfer and self.transfer is not None:
            self.transfer.execute(to_transfer)
        events += self._execute_two_way(two_way)
        if reports:
            self._reporter.report(reports)
        return [event for event in events if event is not None]

    def _on_source(self, command: SourceCommand | ProbeFile | HashFile) -> Event | None:
        found = self._source_executor.execute(command)
        if isinstance(found, SourceChanged):
            self.looked += found.paths
        return found

    def _remember(self, records: list[tuple[RelPath, Record]]) -> None:
        """Have the index keep these, and forget them here."""
        if records:
            self._activity.begin(Part.SOURCE)
            self._source_executor.remember(records)
            records.clear()
            self._activity.begin(Part.CLIENT)

    def taken_over(self, events: Iterable[Event]) -> None:
        """The reconciler knows of these: what they settled is not assumed any more."""
        if self.transfer is None:
            return
        for event in events:
            if isinstance(event, Settled):
                self.transfer.taken_over(event.applied, (sent for sent, _ in event.failed))

    def _execute_two_way(self, commands: list[Receive | Agree | AgreeMove]) -> list[Event]:
        to_receive = [command for command in commands if isinstance(command, Receive)]
        if self.agreed is not None:
            self.agreed.keep([command for command in commands if not isinstance(command, Receive)])
        if not to_receive or self.receiver is None:
            return []
        self._activity.begin(Part.SOURCE)
        events = self.receiver.execute(to_receive)
        self._activity.begin(Part.CLIENT)
        return events

    def _keep(self, command: Adopt | SpendApproval | ReportMovedOn) -> None:
        if isinstance(command, ReportMovedOn):
            self.looked += command.paths
            return
        if isinstance(command, SpendApproval):
            self._state.spend(command.hold_id)
            return
        self._state.agree(self.replica_id, ReplicaPairing(True, self._source.identity, len(self._source.tree)))
