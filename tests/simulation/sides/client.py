"""The client's half of a world: the real engine, one step at a time, with workers that the scheduler lets run."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final, cast

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.fs.read.shared import SharedReads
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT as TOP
from dirsync.tree.path import RelPath
from dirsync.wire.session import SessionMode
from dirsync_client.engine import Engine
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.reconcile.context import Options
from dirsync_client.session.connector import Connector
from dirsync_client.session.link import ClientIdentity
from dirsync_client.target import Target
from dirsync_client.targets.source_view import SourceSide, SourceView, views
from dirsync_client.targets.target_engine import TargetEngine
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.opening.parts import TransferOptions, TransferParts
from dirsync_client.transfer.uploads.memory import UploadMemory
from tests.simulation.machine.disk import Disk
from tests.simulation.machine.fakeos import FakeOs
from tests.simulation.machine.memory_index import MemoryIndex
from tests.simulation.machine.patching import Quiet, turn
from tests.simulation.machine.process import Crashed, Hook
from tests.simulation.machine.threads import Worker
from tests.simulation.scheduler import Scheduler
from tests.simulation.sides.client_parts import (
    Channels,
    Signatures,
    SimulatedStream,
    State,
    WakingMailbox,
    uncounted,
)
from tests.simulation.sides.transport import Network

if TYPE_CHECKING:
    from dirsync.fs.index.index import Index
    from dirsync_client.report.reporter import Reporter
    from dirsync_client.report.source_reporter import SourceReporter
    from dirsync_client.state import StateDirectory
    from dirsync_client.transfer.delta.signature_store import RememberedSignatures

SOURCE: Final = b"/home/source"
RESCAN_SECONDS: Final = 60.0
BLOCK_SIZE: Final = 4096
MIN_BUILT_FILES: Final = 1
"""So few, because the trees are small: each new directory with a file in it is built as a whole."""
ROUND_SECONDS: Final = 0.0
"""What a round of the engine takes."""


class Client:
    """A client that runs, from its start to its death."""

    def __init__(
        self,
        scheduler: Scheduler,
        networks: Sequence[Network],
        disk: Disk,
        state: State,
        random: Random,
        hook: Hook | None,
        options: Options | None = None,
    ) -> None:
        """Make it.

        Args:
            scheduler: of the world.
            networks: the way to each server; of several each is a target of its own.
            disk: that of the source.
            state: what the last one remembered.
            random: its chance.
            hook: told of each of its calls of the kernel.
            options: those of a two-way client; without them it mirrors.
        """
        self.process = FakeOs(disk, random)
        self.process.hook = hook
        self.networks = networks
        self._scheduler = scheduler
        self._random = random
        self._workers: list[Worker] = []
        self._streams: dict[Network, SimulatedStream] = {}
        """The last one to each server."""
        self._due: float | None = None
        self._options = options or Options(min_built_files=MIN_BUILT_FILES)
        self._note_workers()
        self.mailbox = WakingMailbox(self._wake_in, lambda: scheduler.now)
        several = len(networks) > 1
        with turn(self.process):
            root = Root.open(SOURCE)
            root.reads = SharedReads(len(networks)) if several else None
            index = cast("Index", MemoryIndex(state.store))
            self.source = Source(root, index, SourceOptions(b".dirsyncignore"))
            names = [f"t{place}" for place in range(len(networks))]
            seen: Sequence[Source | SourceView] = views(self.source, names) if several else (self.source,)
            self.targets = [
                self._target(state, place, SourceSide(self.source, view)) for place, view in enumerate(seen)
            ]
            self.target = self.targets[0]
            engines = [self._target_engine(place, target) for place, target in enumerate(self.targets)]
            reporter = cast("SourceReporter", Quiet())
            self.engine = Engine(self.source, Schedule(0.05, RESCAN_SECONDS), self.mailbox, engines, reporter)

    def _target(self, state: State, place: int, side: SourceSide) -> Target:
        post = partial(self.mailbox.complete, target=place)
        mode = SessionMode.MIRROR if self._options.two_way is None else SessionMode.TWO_WAY
        identity = ClientIdentity("default", state.client_id, mode)
        connector = Connector(Channels(self.networks[place]), identity, uncounted, post)
        parts = TransferParts(
            cast("RememberedSignatures", Signatures(state.signatures)),
            TokenBucket(0),
            uncounted,
            UploadMemory(),
            TransferOptions(block_size=BLOCK_SIZE),
            Activities(),
        )
        kept, reporter = cast("StateDirectory", state), cast("Reporter", Quiet())
        return Target(side, kept, connector, parts, reporter, post, self._options)

    def _target_engine(self, place: int, target: Target) -> TargetEngine:
        reporter, alone = cast("Reporter", Quiet()), len(self.networks) == 1
        return TargetEngine(f"t{place}", target, reporter, lambda: self.engine.is_idle(place), fails_alone=not alone)

    def start(self) -> None:
        """Begin."""
        self._guarded(self._begin)
        self._wake_in(0.0)

    def die(self) -> None:
        """End without any warning."""
        self.process.kill()
        for network in self.networks:
            network.lose_client()

    def changed(self, path: bytes) -> None:
        """The watcher saw something."""
        kind = self._random.choice((HintKind.CHANGED, HintKind.CHANGED, HintKind.WRITING, HintKind.LOST))
        hint = Hint(TOP, kind) if kind is HintKind.LOST else Hint(RelPath(path), kind)
        if not self.process.is_dead:
            self.mailbox.hint(hint)

    def approve(self) -> str:
        """A person releases whatever is held; gives its id, empty if nothing is."""
        held = [target.view.hold.id for target in self.targets if target.view.hold is not None]
        for hold_id in held:
            self.mailbox.approve(hold_id, lambda _count: None)
        return " ".join(held)

    @property
    def is_quiet(self) -> bool:
        """Whether it has nothing to do."""
        return self.mailbox.empty and all(target.is_open and not target.view.is_working for target in self.targets)

    def _begin(self) -> None:
        self.engine._start_scan(both_sides=False)

    def _wake_in(self, seconds: float) -> None:
        when = self._scheduler.now + seconds
        if self._due is None or when < self._due:
            self._due = when
            self._scheduler.after(seconds, "", lambda: self._step(when))

    def _step(self, when: float) -> None:
        if self._due != when:
            return
        self._due = None
        self._guarded(self._once_round)

    def _once_round(self) -> None:
        self.mailbox.has_waited = False
        self.engine._step()
        if self.engine._scan is None:
            self.engine._sleep()
        if not (self.mailbox.has_waited and self.mailbox.empty):
            self._wake_in(ROUND_SECONDS)
        self._let_others_run()

    def _let_others_run(self) -> None:
        for worker in self._workers:
            if worker.has_work:
                self._scheduler.after(0.001 * self._random.random(), "", lambda w=worker: self._run(w))  # type: ignore[misc]
        for stream in self._streams.values():
            self._scheduler.after(0.001 * self._random.random(), "", lambda s=stream: self._send(s))  # type: ignore[misc]

    def _run(self, worker: Worker) -> None:
        if worker.has_work:
            self._guarded(worker.run_some)
            self._guarded(self._let_others_run)

    def _send(self, stream: SimulatedStream) -> None:
        def send() -> None:
            if stream.send_some():
                self._let_others_run()

        if stream is self._streams.get(stream.network):
            self._guarded(send)

    def _note_workers(self) -> None:
        """What is made from now on is this client's."""
        Worker.created = staticmethod(self._workers.append)
        SimulatedStream.created = staticmethod(lambda stream: self._streams.update({stream.network: stream}))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do it in the client's name, unless it is dead; it may die of it."""
        if self.process.is_dead:
            return
        try:
            with turn(self.process):
                self._note_workers()
                action()
        except Crashed:
            pass
