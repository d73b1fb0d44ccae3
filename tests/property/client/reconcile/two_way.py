"""Several two-way clients of one replica, in memory: what the reconcilers say is done, step by step, in any order."""

import random
from collections.abc import Callable, Iterable

from dirsync.endpoint.judge import Facts, Judgement, judge, judge_move
from dirsync.tree.diff import Change
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, directory_entry, pack, unpack
from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.merge.policy import Policy
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, ancestors, split
from dirsync.tree.plan import (
    BuildDirectory,
    CopyContent,
    Delete,
    MakeDirectory,
    Move,
    Operation,
    PutFile,
    SetMetadata,
    TryFile,
)
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    CheckSource,
    Command,
    CompareFile,
    HashFile,
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
    Disconnected,
    Event,
    FileHashed,
    FileProbed,
    Received,
    ReplicaChanged,
    ReplicaListed,
    Settled,
    SourceChanged,
    SourceChecked,
    SourceScanned,
    Tick,
    Unsent,
)
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.reconcile.two_way.commands import Agree, AgreeMove, Receive, ReportConflict
from tests.unit.client.reconcile.model import Model

_ORDERED = ((Transmit,), (Receive,), (Agree, AgreeMove))
"""What is done in the order in which it was asked for."""
NO_GUARDS = GuardPolicy(100, 10**9)


class Hub:
    """What the replica has, and who is to be told of changes."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.version = 1
        """Which moment it is."""
        self.clients: list[Client] = []

    def apply(self, operation: Operation, record: Record | None, by: "Client") -> Failure | None:
        """Apply an operation as a server does."""
        if not apply(self.tree, operation, record):
            return Failure(0, Outcome.CHANGED, self.tree.get(operation.path), "CHANGED", "it is something else")
        self.version += 1
        paths = (operation.source, operation.path) if isinstance(operation, Move) else (operation.path,)
        for client in self.clients:
            if client is not by:
                client.changed(paths)
        return None

    def settled(self, applied: list[Sent], failed: list[tuple[Sent, Failure]], *, rescanned: bool = False) -> Settled:
        """The answer to a commit."""
        return Settled(applied, failed, self.tree.digest(), rescanned, self.version)


def apply(tree: Tree, operation: Operation, record: Record | None) -> bool:
    """Judge an operation, and apply it to a tree; whether it may be."""

    def facts(path: RelPath) -> Facts:
        return Facts(tree.get(path), has_parent=tree.directory(split(path)[0]) is not None)

    path = operation.path
    if isinstance(operation, Move):
        judgement = judge_move(operation, facts(path), facts(operation.source))
    else:
        judgement = judge(operation, facts(path), tree.attributes)
    if judgement is Judgement.DONE:
        return True
    if judgement is not Judgement.APPLY:
        return False
    directory = tree.directory(path)
    if isinstance(operation, Delete | PutFile) and directory is not None and directory.children:
        return False
    if isinstance(operation, CopyContent) and not has_content(tree, operation.entry.digest):
        return False
    _carry_out(tree, operation, record)
    return True


def has_content(tree: Tree, digest: bytes) -> bool:
    """Whether a file of the tree has this content."""
    return any(unpack(found).digest == digest for _, found in tree.files())


def _carry_out(tree: Tree, operation: Operation, record: Record | None) -> None:
    path = operation.path
    match operation:
        case TryFile():
            pass
        case Delete():
            tree.remove(path)
        case Move(source=source, exchange=True):
            tree.exchange(path, source)
        case Move(source=source):
            tree.move(source, path)
        case MakeDirectory(mode=mode):
            tree.put(path, pack(directory_entry(mode)))
        case SetMetadata(entry=entry):
            there = tree.get(path)
            assert there is not None
            digest = UNKNOWN if entry.is_directory else there.digest
            tree.put(path, pack(entry._replace(size=there.size, digest=digest)))
        case BuildDirectory():
            raise AssertionError("two-way clients build no directories")
        case _:
            tree.put(path, record or pack(operation.entry))


class Client:
    """One client: its directory, what it knows of it, and its reconciler."""

    def __init__(self, hub: Hub, number: int, chance: random.Random) -> None:
        self.hub = hub
        self.disk = Tree()
        """What its directory really has."""
        self.kept = Tree()
        """The ancestor as it is kept."""
        self.chance = chance
        self.policy = Policy(client=f"c{number}")
        self.conflicts: list[ReportConflict] = []
        self.dirty: dict[RelPath, None] = {}
        """Edits that it was not told of."""
        self.failing = 0.0
        """How likely it is that its disk fails when something is received."""
        self.now = 0.0
        self._todo: list[Command] = []
        self._unreported: dict[RelPath, None] = {}
        """What others changed at the hub, and no report has."""
        self._reports: list[ReplicaChanged] = []
        """Those that are on their way."""
        self.start()

    @property
    def told(self) -> bool:
        """Whether it has heard of everything that others changed at the hub."""
        return not (self._unreported or self._reports)

    def changed(self, paths: Iterable[RelPath]) -> None:
        """Others changed these paths at the hub. It is reported at once, and may come late, or later."""
        self._unreported |= dict.fromkeys(paths)
        if self.chance.random() < 0.5:
            self._report()

    def _report(self) -> None:
        hub, paths = self.hub, sorted(self._unreported)
        self._unreported.clear()
        says_what = self.chance.random() < 0.8
        changes = tuple((path, hub.tree.get(path)) for path in paths) if says_what else None
        self._reports.append(ReplicaChanged(hub.tree.digest(), hub.version, changes))

    def start(self) -> None:
        """Begin without any memory but what is kept."""
        self.model = Model()
        self._scan()
        self.reconciler = Reconciler(self.model, Options(at_once=True, two_way=self.policy, policy=NO_GUARDS))
        self._todo.clear()
        self.wake = False
        self._connect()

    def _connect(self) -> None:
        self._unreported.clear()
        self._reports.clear()
        offered = frozenset(Strategy)
        self.tell(Connected(self.hub.tree.copy(), offered, False, None, frozenset(), ancestor=self.kept.copy()))

    def reconnect(self) -> None:
        """Lose the connection, and what was under way."""
        self._todo = [command for command in self._todo if isinstance(command, Agree | AgreeMove)]
        while self._todo:
            self._do(self._todo.pop(0))
        self.tell(Disconnected())
        self._todo.clear()
        self._connect()

    def crash(self, *, lose: bool) -> None:
        """End without a word; with ``lose``, the last part of what was to be kept is lost."""
        self._todo = [command for command in self._todo if isinstance(command, Agree | AgreeMove)]
        if not lose:
            while self._todo:
                self._do(self._todo.pop(0))
        self.dirty.clear()
        self.start()

    def edit(self, change: Callable[[Tree], list[RelPath]]) -> None:
        """Change the directory."""
        self.dirty |= dict.fromkeys(change(self.disk))

    def tell(self, *events: Event) -> None:
        """Give the reconciler events."""
        commands = self.reconciler.handle(events, self.now)
        self.wake = any(isinstance(command, WakeAt) for command in commands)
        self._todo += [command for command in commands if not isinstance(command, WakeAt)]

    def step(self) -> bool:
        """Do one thing that is to be done, if there is any."""
        self.now += 1000.0  # everything that waits for time is due
        if self._reports and self.chance.random() < 0.3:
            self.tell(self._reports.pop(0))
            return True
        if self._todo:
            chosen = self.chance.choice(self._todo)
            same = next((kinds for kinds in _ORDERED if isinstance(chosen, kinds)), ())
            self._do(
                self._take(next(command for command in self._todo if command is chosen or isinstance(command, same)))
            )
        elif self.dirty:
            paths = list(self.dirty)
            self.dirty.clear()
            self._look(paths)
            self.tell(SourceChanged(paths, self.now))
        elif not self.told:
            if not self._reports:
                self._report()
            self.tell(self._reports.pop(0))
        elif self.wake:
            self.wake = False
            self.tell(Tick())
        else:
            return False
        return True

    def _take(self, command: Command) -> Command:
        del self._todo[next(at for at, found in enumerate(self._todo) if found is command)]
        return command

    def rescan(self) -> None:
        """Look at everything; what turns out to be different is told, and nothing else."""
        self.dirty.clear()
        before = self.model.tree.copy()
        paths = {path for path, _ in before.walk()} | {path for path, _ in self.disk.walk()}
        self._look(sorted(paths))
        changed = [path for path in sorted(paths) if before.record(path) != self.model.tree.record(path)]
        self.tell(SourceChanged(changed, self.now, changed), SourceScanned(both_sides=False))

    def _scan(self) -> None:
        self.model.tree = Tree()
        for path, record in self.disk.walk():
            self.model.tree.put(path, _unread(record))

    def _look(self, paths: list[RelPath]) -> None:
        for path in sorted(paths):
            record, known = self.disk.record(path), self.model.tree.record(path)
            if record is None:
                self.model.tree.remove(path)
            elif known is None or not _same(unpack(known), unpack(record)):
                for above in [path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"]:
                    found = self.disk.record(RelPath(above))
                    if found is not None and self.model.tree.directory(RelPath(above)) is None:
                        self.model.tree.put(RelPath(above), found)
                self.model.tree.put(path, _unread(record))
                if self.disk.directory(path) is not None:
                    self._look([below for below, _ in self.disk.walk(path)])

    def _do(self, command: Command) -> None:
        match command:
            case Transmit():
                self._transmit(command)
            case Receive():
                self._receive(command)
            case Agree() | AgreeMove():
                self._agree(command)
            case ReportConflict():
                self.conflicts.append(command)
            case HashFile(path=path, planned=planned) | CompareFile(path=path, planned=planned):
                record = self.disk.record(path)
                gone = Problem(path, ProblemKind.VANISHED, "gone")
                is_file = record is not None and record[0] == Kind.FILE
                self.tell(FileHashed(path, planned, record if is_file else gone))
            case _:
                self._answer(command)

    def _answer(self, command: Command) -> None:
        match command:
            case LookAt(paths=paths, retry=retry):
                self._look(list(paths))
                self.tell(SourceChanged(paths, self.now, paths if retry else ()))
            case ListReplica():
                self.tell(ReplicaListed(self.hub.tree.copy()))
            case ProbeFile(path=path):
                self.tell(FileProbed(path, path))
            case RequestCommit():
                self.tell(self.hub.settled([], [], rescanned=True))
            case CheckSource():
                self.tell(SourceChecked(in_place=True))
            case AcceptMounts():
                self.model.mounts_changed.clear()
            case _:
                pass

    def _agree(self, command: Agree | AgreeMove) -> None:
        match command:
            case Agree(changes=changes):
                for change in changes:
                    _keep(self.kept, change)
            case AgreeMove(source=source, path=path, exchange=True):
                self.kept.exchange(path, source)
            case AgreeMove(source=source, path=path):
                self.kept.move(source, path)

    def _transmit(self, transmit: Transmit) -> None:
        step, record = transmit.operation, transmit.planned
        if isinstance(step, PutFile):
            there = self.disk.record(step.path)
            if there is None or there[0] != Kind.FILE or record is None or not _same(unpack(record), unpack(there)):
                self.tell(Unsent(transmit, Problem(step.path, ProblemKind.VANISHED, "it changed")))
                return
            record = there
            step = step._replace(entry=unpack(there))
        sent = Sent(transmit, step, transmit.choice, record)
        failure = self.hub.apply(step, record, self)
        if failure is None:
            self.tell(self.hub.settled([sent], []))
        else:
            self.tell(self.hub.settled([], [(sent, failure)]))

    def _receive(self, receive: Receive) -> None:
        step = receive.operation
        if self.failing and self.chance.random() < self.failing:
            self.tell(Received(receive, Failure(0, Outcome.STORAGE, None, "NOT_DURABLE", "the disk fails")))
            return
        looked = [*reversed([*ancestors(step.path)][:-1]), step.path]
        before = {path: self.model.tree.record(path) for path in looked}
        self._look(looked)
        found = [path for path in looked if self.model.tree.record(path) != before[path]]
        changed = SourceChanged(found, self.now)
        if isinstance(step, PutFile):
            near = None if receive.near is None else self.disk.get(receive.near)
            here = near is not None and near.digest == step.entry.digest
            if not here and not has_content(self.hub.tree, step.entry.digest):
                gone = Failure(0, Outcome.MISMATCH, None, "CONTENT_NOT_FOUND", "it is gone")
                self.tell(changed, Received(receive, gone, vanished=True))
                return
        current = self.model.tree.get(step.path)
        record = pack(step.entry) if not isinstance(step, MakeDirectory | Delete) else None
        there = self.disk.directory(step.path)
        not_empty = there is not None and bool(there.children) and not isinstance(step, MakeDirectory | SetMetadata)
        if not_empty:
            below = [path for path, _ in self.disk.walk(step.path)]
            self._look(below)
            changed = SourceChanged([*found, *below], self.now)
        if not_empty or not apply(self.model.tree, step, record):
            failure = Failure(0, Outcome.CHANGED, current, "CHANGED", "it is something else")
            self.tell(changed, Received(receive, failure))
            return
        made = self.model.tree.record(step.path)
        if made is None:
            self.disk.remove(step.path)
        else:
            self.disk.put(step.path, made)
        self.tell(changed, Received(receive))


def _keep(tree: Tree, change: Change) -> None:
    if change.new is None:
        tree.remove(change.path)
    else:
        tree.put(change.path, pack(change.new))


def _unread(record: Record) -> Record:
    entry = unpack(record)
    return pack(entry._replace(digest=UNKNOWN)) if entry.kind is Kind.FILE else record


def _same(known: Entry, there: Entry) -> bool:
    """Whether a look finds no change: a file that was not read is told by size and mtime."""
    if known.kind is not there.kind:
        return False
    if known.kind is Kind.FILE:
        return (known.mode, known.size, known.mtime_ns) == (there.mode, there.size, there.mtime_ns) and (
            known.digest in (UNKNOWN, there.digest)
        )
    return known.mode == there.mode and known.target == there.target
