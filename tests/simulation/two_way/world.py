"""A world of clients that carry changes both ways: one server, one or two clients, people at each, and hands.

All sides end equal. Each version that somebody wrote and nobody took away is there at the end, under its name or a
conflict name. What was gone everywhere when all were equal does not come back. A second run does nothing.
"""

import errno
import os
from collections.abc import Callable
from random import Random
from typing import Final

from dirsync.errors import DirsyncError
from dirsync.fs.write.durable import Fsync
from dirsync.tree.merge.policy import Conflicts, Policy
from dirsync.tree.path import RelPath
from dirsync_client.reconcile.context import Options
from tests.simulation.invariants import ReplicaInvariants, Versions, Violation, below, differences, find
from tests.simulation.machine.disk import Disk
from tests.simulation.machine.patching import current, turn, wall_ns
from tests.simulation.machine.process import Crashed
from tests.simulation.machine.strikes import Strikes
from tests.simulation.scenario import Scenario, Step
from tests.simulation.scheduler import Scheduler
from tests.simulation.sides.client import SOURCE, Client
from tests.simulation.sides.client_parts import State
from tests.simulation.sides.server import ROOT, Server
from tests.simulation.sides.transport import Network
from tests.simulation.sides.users import Deed, Person
from tests.simulation.two_way.scenario import clients_of
from tests.simulation.two_way.survival import Content, Survival

QUIET_SECONDS: Final = 70.0
"""More than a rescan interval, of the clients and of the server's watch."""
ROUNDS: Final = 12
SERVER_SCAN_SECONDS: Final = 60.0
CONFLICTS = Conflicts.KEEP_BOTH


class TwoWayServer(Server):
    """A server that several clients have sessions of, each over a network of its own."""

    def join(self, network: Network) -> None:
        """Serve another network."""
        network.accept = self._accept
        self.networks.append(network)

    networks: list[Network]
    cut: Callable[[Callable[[], None]], None]
    """Called with the death of the server, which may be a power cut."""

    def may_commit(self, session: bytes) -> bool:
        """Any two-way session may."""
        del session
        return True

    def die(self, *, power: bool) -> None:
        """End, for all."""
        was_up = self.process is not None
        self.cut(lambda: super(TwoWayServer, self).die(power=power))
        if was_up:
            for network in self.networks:
                network.lose_server()

    def look(self, path: bytes | None) -> None:
        """The watch of the replica's files saw something; ``None``: it looks at everything."""
        if self.replica is None or self.process is None:
            return
        try:
            with turn(self.process):
                if path is None:
                    self.replica.scanner.rescan()
                else:
                    self.replica.scanner.look([RelPath(path)])
        except (Crashed, DirsyncError):
            return
        self.changed()


class Unique(Person):
    """Somebody who writes nothing twice."""

    def _content(self, random: Random, size: int) -> bytes:
        self._count += 1
        word = b"%d %d %s " % (random.getrandbits(60), self._count, self.base)
        size = max(size, len(word))
        return (word * (size // len(word) + 1))[:size]


class Laptop:
    """A client's machine: its disk, what it remembers, the network, and whoever works there."""

    def __init__(self, world: "TwoWayWorld", number: int) -> None:
        seed = world.scenario.seed
        self.number = number
        self.disk = Disk(110 + number, wall_ns, Random(f"laptop {number} {seed}"))
        self.network = Network(world.scheduler, Random(f"network {number} {seed}"))
        self.state = State(Random(f"state {number} {seed}"))
        self.strikes = Strikes(world.scheduler, lambda _call: self.invariants.check_content())
        self.client: Client | None = None
        self.user = Unique(self.disk, SOURCE, world.versions.record, self._changed, syncs=True)
        self.deeds = 0
        self._world = world
        self._random = Random(f"events {number} {seed}")
        _make_directories(self.disk, SOURCE)
        self.invariants = ReplicaInvariants(self.disk, SOURCE, world.versions)

    def start(self) -> None:
        """Start the client."""
        random = Random(self._random.getrandbits(32))
        policy = Policy(CONFLICTS, f"laptop{self.number}")
        options = Options(two_way=policy)
        world = self._world
        self.client = Client(world.scheduler, [self.network], self.disk, self.state, random, self.strikes.hook, options)
        self.client.start()

    def die(self, *, power: bool = False, loses_state: bool = False) -> None:
        """End the client; it comes back by itself."""
        if self.client is None:
            return
        self.client.die()
        self.client = None
        scheduler = self._world.scheduler
        scheduler.note(f"client {self.number} dies{' of a power cut' if power else ''}")
        if power:
            self._world.survival.power_cut(self.disk, SOURCE, self.disk.cut_power)
            for _, inode in below(find(self.disk, SOURCE)):
                if inode.is_file:
                    self._world.versions.record(bytes(inode.content))
            self.state.cut_power(self._random)
        if loses_state:
            self.state = State(self._random)
        scheduler.after(3.0 * self._random.random(), f"client {self.number} starts", self.start)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing goes on here."""
        client = self.client
        return client is not None and client.is_quiet and not self.deeds and client.target.view.hold is None

    def _changed(self, path: bytes) -> None:
        if self._random.random() < 0.85:
            delay = self._random.choice((0.0, 0.001, 0.1))
            self._world.scheduler.after(delay, "", lambda: self.client.changed(path) if self.client else None)


class TwoWayWorld:
    """One world, and what happens in it."""

    def __init__(self, scenario: Scenario) -> None:
        seed = scenario.seed
        self.scenario = scenario
        self.scheduler = Scheduler(seed, limit=30_000)
        current.random = Random(f"two-way chance {seed}")
        self._random = Random(f"two-way world {seed}")
        self.versions = Versions()
        self.survival = Survival()
        self.laptops = [Laptop(self, number) for number in range(clients_of(seed))]
        self.replica_disk = Disk(102, wall_ns, Random(f"replica {seed}"))
        _make_directories(self.replica_disk, ROOT)
        self.invariants = ReplicaInvariants(self.replica_disk, ROOT, self.versions)
        first = self.laptops[0].network
        fsync = self._random.choice((Fsync.BATCH, Fsync.BATCH, Fsync.ALWAYS))
        self.server = TwoWayServer(self.scheduler, first, self.replica_disk, Random(f"server {seed}"), fsync)
        self.server.networks = []
        self.server.cut = self._cut_server
        for laptop in self.laptops:
            self.server.join(laptop.network)
        self.server_strikes = Strikes(self.scheduler, lambda _call: self.invariants.check_content())
        self.server.hook = self.server_strikes.hook
        self.hands = Unique(self.replica_disk, ROOT, self.versions.record, self._hands_changed, syncs=True)
        self.scheduler.after_each = self._check

    @property
    def disks(self) -> list[tuple[Disk, bytes]]:
        """All directories that are to be equal."""
        return [(self.replica_disk, ROOT), *((laptop.disk, SOURCE) for laptop in self.laptops)]

    # The course of things.

    def run(self) -> str:
        """Let everything happen; gives the digest of the trace.

        Raises:
            AssertionError: a promise was broken.
        """
        seconds, middle = self.scenario.seconds, [step for step in self.scenario.steps if step.at >= 0]
        for step in self.scenario.steps:
            if step.at < 0:
                self._go_on(self._deed(step.kind, step.deed, Random(step.seed)), None)
        self.scheduler.after(0.1 * self._random.random(), "server starts", self.server.start)
        for laptop in self.laptops:
            self.scheduler.after(0.1 * self._random.random(), f"client {laptop.number} starts", laptop.start)
        self._scan_at_server()
        self._let_happen([step for step in middle if step.at < seconds], 0.0)
        weathers = [dict(vars(laptop.network.weather)) for laptop in self.laptops]
        self._stabilise()
        gone = self.survival.gone(*self.disks[0])
        for laptop, weather in zip(self.laptops, weathers, strict=True):
            vars(laptop.network.weather).update(weather)
        self._let_happen([step for step in middle if step.at >= seconds], seconds)
        self._stabilise()
        self._check_gone(gone)
        self._check_nothing_happens()
        return self.scheduler.digest

    def _let_happen(self, steps: list[Step], begin: float) -> None:
        start = self.scheduler.elapsed
        for step in steps:
            self.scheduler.after(
                step.at - begin,
                f"{step.kind} {step.deed}",
                lambda s=step: self._do(s),  # type: ignore[misc]
            )
        self.scheduler.run_until(start + self.scenario.seconds)

    def _stabilise(self) -> None:
        for laptop in self.laptops:
            laptop.network.weather.clear()
            laptop.network.is_partitioned = False
            laptop.strikes.clear()
        self.server_strikes.clear()
        self.scheduler.note("everything is well from here on")
        for _ in range(ROUNDS):
            self.scheduler.run_until(self.scheduler.elapsed + QUIET_SECONDS)
            if all(laptop.is_quiet for laptop in self.laptops) and not self._unexplained():
                break
            self._approve()
        self._check_equal()
        self.survival.check(self.disks)

    def _check_equal(self) -> None:
        different = self._unexplained()
        if different:
            msg = f"P4: the sides differ at {different[:3]}, and nobody says why"
            raise Violation(msg)
        if not all(laptop.is_quiet for laptop in self.laptops):
            msg = "P4: a client never comes to rest"
            raise Violation(msg)
        for disk, root in self.disks:
            above = find(disk, root.rpartition(b"/")[0])
            left = [name for name in above.entries if b"staging" in name]
            if left:
                msg = f"staging is left behind: {left}"
                raise Violation(msg)

    def _unexplained(self) -> list[bytes]:
        (disk, root), *others = self.disks
        replica = find(disk, root)
        return [path for other, top in others for path in differences(find(other, top), replica)]

    def _check_gone(self, gone: set[Content]) -> None:
        again = gone & (self.survival._known - self.survival.gone(*self.disks[0]))
        if again:
            msg = f"P14: {len(again)} versions that were gone everywhere are there again"
            raise Violation(msg)

    def _check_nothing_happens(self) -> None:
        """A second run, with the same clients and with new ones, does nothing."""
        before = self._shown()
        self.scheduler.run_until(self.scheduler.elapsed + QUIET_SECONDS)
        for laptop in self.laptops:
            laptop.die()
        self.scheduler.run_until(self.scheduler.elapsed + QUIET_SECONDS)
        if before != self._shown():
            msg = "F09: something is changed though nothing differs"
            raise Violation(msg)
        self._check_equal()

    def _shown(self) -> list[list[tuple[bytes, int, int, int]]]:
        return [
            [(path, inode.number, inode.mode, inode.modified_ns) for path, inode in below(find(disk, root))]
            for disk, root in self.disks
        ]

    def _check(self) -> None:
        for laptop in self.laptops:
            laptop.invariants.check_content()
        self.invariants.check_content()

    # Steps.

    def _do(self, step: Step) -> None:
        random = Random(step.seed)
        within = random.choice((3, 30, 300))
        kind, _, number = step.kind.rpartition(" ") if step.kind[-1].isdigit() else (step.kind, "", "0")
        laptop = self.laptops[int(number)]
        match kind:
            case "user":
                self._go_on(self._deed(step.kind, step.deed, random), laptop)
            case "hands":
                self._go_on(self._deed("hands", step.deed, random), None)
            case "race":
                deed = self._deed(f"user {number}", step.deed, random)
                laptop.strikes.arm(within, lambda _call: self._go_on(deed, laptop))
            case "hands race":
                hands = self._deed("hands", step.deed, random)
                self.server_strikes.arm(within, lambda _call: self._go_on(hands, None))
            case _:
                self._fail(kind, laptop, random, within)

    def _fail(self, kind: str, laptop: Laptop, random: Random, within: int) -> None:
        match kind:
            case "cut":
                random.choice(self.laptops).network.cut_all()
            case "partition":
                self._partition(random.choice(self.laptops), random)
            case "server dies" | "power cut":
                self.server.die(power=kind == "power cut")
            case "server dies within" | "power cut within":
                power = kind == "power cut within"
                self.server_strikes.arm(random.randrange(within), lambda _call: self.server.die(power=power))
            case "client dies":
                laptop.die()
            case "client dies within":
                laptop.strikes.arm(random.randrange(within), lambda _call: laptop.die())
            case "client loses power within":
                laptop.strikes.arm(random.randrange(within), lambda _call: laptop.die(power=True))
            case "client loses its state":
                laptop.die(loses_state=True)
            case "fsync fails":
                self.server_strikes.arm(random.randrange(within), self._failing(self.server_strikes))
            case "client's fsync fails":
                laptop.strikes.arm(random.randrange(within), self._failing(laptop.strikes))
            case _:
                raise AssertionError(kind)

    def _cut_server(self, die: Callable[[], None]) -> None:
        self.survival.power_cut(self.replica_disk, ROOT, die)
        for _, inode in below(find(self.replica_disk, ROOT)):
            if inode.is_file:
                self.versions.record(bytes(inode.content))

    def _partition(self, laptop: Laptop, random: Random) -> None:
        def heal() -> None:
            laptop.network.is_partitioned = False

        laptop.network.is_partitioned = True
        laptop.network.cut_all()
        self.scheduler.after(random.choice((1.0, 20.0)), "partition ends", heal)

    def _failing(self, strikes: Strikes) -> Callable[[str], None]:
        def fail(call: str) -> None:
            if call not in ("fsync", "syncfs"):
                strikes.arm(1, fail)
                return
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        return fail

    def _deed(self, who: str, deed: str, random: Random) -> Deed:
        if who == "hands":
            return self.survival.acts(self.replica_disk, ROOT, who, self.hands.do(deed, random))
        laptop = self.laptops[int(who.rpartition(" ")[2])]
        return self.survival.acts(laptop.disk, SOURCE, who, laptop.user.do(deed, random))

    def _go_on(self, deed: Deed, laptop: Laptop | None) -> None:
        """The next act of a deed, and the rest later. What is not at rest is not synced at once."""
        pause = next(deed, None)
        if pause is None:
            return
        if laptop is not None:
            laptop.deeds += 1

        def later() -> None:
            if laptop is not None:
                laptop.deeds -= 1
            self._go_on(deed, laptop)

        self.scheduler.after(max(pause, 0.0), "", later)

    def _hands_changed(self, path: bytes) -> None:
        if self._random.random() < 0.85:
            self.scheduler.after(self._random.choice((0.0, 0.01, 0.1)), "", lambda: self.server.look(path))

    def _scan_at_server(self) -> None:
        self.server.look(None)
        self.scheduler.after(SERVER_SCAN_SECONDS, "", self._scan_at_server)

    def _approve(self) -> None:
        for laptop in self.laptops:
            approved = laptop.client.approve() if laptop.client else ""
            if approved:
                self.scheduler.note(f"somebody approves {approved}")


def _make_directories(disk: Disk, root: bytes) -> None:
    person = Person(disk, root, lambda _content: None, lambda _path: None)
    above = root.rpartition(b"/")[0]
    person.os.mkdir(above)
    person.os.mkdir(root)
    person.os.mkdir(above + b"/other")
    disk.sync_all()
