"""A reconciler with a source that is only a tree, and a server that does what it is told, step by step."""

import hashlib
from collections.abc import Iterable

from dirsync.tree.entry import Record, pack
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import BuildDirectory, CopyContent, Delete, Move, TryFile
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    CheckSource,
    Command,
    ListReplica,
    LookAt,
    ProbeFile,
    RequestCommit,
    Sent,
    Transmit,
    WakeAt,
)
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import (
    Connected,
    Event,
    FileProbed,
    ReplicaListed,
    Settled,
    SourceChanged,
    SourceChecked,
    Tick,
)
from dirsync_client.reconcile.reconciler import Reconciler
from tests.unit.client.reconcile.model import Model, path, record


class Harness:
    """Nothing happens here by itself: each step is asked for."""

    def __init__(self, options: Options | None = None) -> None:
        self.source = Model()
        self.server = Tree()
        """What the replica really has."""
        self.reconciler = Reconciler(self.source, options or Options(at_once=True))
        self.now = 0.0
        self.in_place = True
        """The source's root is where it was."""
        self.seen: list[Command] = []
        """All commands so far."""
        self.wake_at: float | None = None
        self.looked: list[LookAt] = []
        """Looks that were asked for and not answered."""
        self.outgoing: list[Transmit] = []
        self.listings: list[ListReplica] = []
        self.rescans = 0
        """Scans of the replica that were asked for."""
        self.scans_at_once = True
        """They are answered at once."""

    def write(self, name: str, content: bytes) -> None:
        """The source has this file; it is read."""
        self.source.tree.put(path(name), record(content))

    def connect(self, *, adopted: bool = False, approvals: Iterable[str] = (), builds: bool = False) -> None:
        """Open a session."""
        root = self.source.identity if adopted else None
        offered = frozenset(Strategy)
        self.tell(Connected(self.server.copy(), offered, adopted, root, frozenset(approvals), builds=builds))

    def change(self, *names: str, retried: Iterable[str] = ()) -> None:
        """The source was found to be different at these paths."""
        self.tell(SourceChanged([path(name) for name in names], self.now, [path(name) for name in retried]))

    def tell(self, *events: Event) -> None:
        """Give the reconciler events, and do at once what needs no server."""
        while events:
            commands = self.reconciler.handle(events, self.now)
            self.seen += commands
            self.wake_at = next((command.time for command in commands if isinstance(command, WakeAt)), None)
            answers = [answer for command in commands if (answer := self._answer(command)) is not None]
            if self.wake_at is not None and self.wake_at <= self.now and not answers:
                answers = [Tick()]
            events = tuple(answers)

    def wait(self, seconds: float) -> None:
        """Let time pass, and wake the reconciler."""
        self.now += seconds
        self.tell(Tick())

    def look(self) -> None:
        """Answer the looks: nothing new was found."""
        looked, self.looked = self.looked, []
        for command in looked:
            self.tell(SourceChanged((), None, command.paths if command.retry else ()))

    def settle(self, *outcomes: Outcome) -> list[Transmit]:
        """The server takes what was sent: operations fail as listed, further ones are applied. Returns them."""
        outgoing, self.outgoing = self.outgoing, []
        applied: list[Sent] = []
        failed: list[tuple[Sent, Failure]] = []
        for number, transmit in enumerate(outgoing):
            sent = self._sent(transmit)
            if number < len(outcomes):
                current = self.server.get(transmit.path)
                failed.append((sent, Failure(number, outcomes[number], current, "REASON", "it failed")))
            else:
                self._apply(sent)
                applied.append(sent)
        self.tell(Settled(applied, failed, self.server.digest()))
        return outgoing

    def run(self) -> None:
        """Let the server apply everything until nothing more is sent."""
        for _ in range(100):
            if self.listings:
                self.listings.clear()
                self.tell(ReplicaListed(self.server.copy()))
            elif self.outgoing:
                self.settle()
            elif self.looked:
                self.look()
            else:
                return
        raise AssertionError("it does not end")

    def _answer(self, command: Command) -> Event | None:
        match command:
            case Transmit():
                self.outgoing.append(command)
            case LookAt():
                self.looked.append(command)
            case ListReplica():
                self.listings.append(command)
            case RequestCommit():
                self.rescans += 1
                return Settled([], [], self.server.digest(), rescanned=True) if self.scans_at_once else None
            case ProbeFile(path=probed):
                return FileProbed(probed, hashlib.sha256(probed).digest())
            case AcceptMounts():
                self.source.mounts_changed.clear()
            case CheckSource():
                return SourceChecked(self.in_place)
            case _:
                pass
        return None

    def _sent(self, transmit: Transmit) -> Sent:
        found: Record | None = transmit.planned
        return Sent(transmit, transmit.operation, transmit.choice, found, content_assumed=False)

    def _apply(self, sent: Sent) -> None:
        match sent.operation:
            case TryFile():
                pass
            case Delete(path=at):
                self.server.remove(at)
            case Move(path=at, source=source, exchange=True):
                self.server.exchange(at, source)
            case Move(path=at, source=source):
                self.server.move(source, at)
            case CopyContent(path=at, entry=entry):
                self.server.put(at, pack(entry))
            case BuildDirectory(path=at, below=below):
                assert sent.record is not None
                for below_at, below_record in ((at, sent.record), *below):
                    self.server.put(below_at, below_record)
            case operation:
                assert sent.record is not None
                self.server.put(operation.path, sent.record)


def paths(transmits: Iterable[Transmit]) -> list[RelPath]:
    """Where operations apply."""
    return [transmit.path for transmit in transmits]
