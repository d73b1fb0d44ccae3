"""A world: a client with its source, a network, a server with its replica, and all that happens to them.

Everything runs in one thread and in virtual time, and is decided by a seed: the same seed gives the same trace.
"""

import errno
import os
from random import Random
from typing import Final

from dirsync.fs.write.durable import Fsync
from dirsync.fs.write.staging import KEPT_PREFIX
from dirsync.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath, is_within
from dirsync.wire.session import OpenRequest
from tests.simulation.invariants import ReplicaInvariants, Versions, Violation, below, differences, find
from tests.simulation.machine.disk import Disk, Inode
from tests.simulation.machine.patching import current, wall_ns
from tests.simulation.machine.strikes import CHANGING, Strikes, must_not_change
from tests.simulation.scenario import Scenario, Step
from tests.simulation.scheduler import Scheduler
from tests.simulation.sides.client import SOURCE, Client
from tests.simulation.sides.client_parts import State
from tests.simulation.sides.server import ROOT, Server
from tests.simulation.sides.transport import Network
from tests.simulation.sides.users import Deed, Person

QUIET_SECONDS: Final = 70.0
"""More than a rescan interval."""
ROUNDS: Final = 12
"""After so many of these everything has to be equal."""
APPROVED_SECONDS: Final = 30.0
"""How long what was approved may take."""


class World:
    """One world, and what happens in it."""

    def __init__(self, scenario: Scenario) -> None:
        seed = scenario.seed
        self.scenario = scenario
        self.scheduler = Scheduler(seed)
        current.random = Random(f"chance {seed}")
        self._random = Random(f"world {seed}")
        self.source_disk = Disk(101, wall_ns, Random(f"source {seed}"))
        self.replica_disk = Disk(102, wall_ns, Random(f"replica {seed}"))
        self._make_directories()
        self.versions = Versions()
        self.invariants = ReplicaInvariants(self.replica_disk, ROOT, self.versions)
        self.network = Network(self.scheduler, Random(f"network {seed}"))
        self.networks = [self.network]
        fsync = self._random.choice((Fsync.BATCH, Fsync.BATCH, Fsync.ALWAYS))
        self.server = Server(self.scheduler, self.network, self.replica_disk, Random(f"server {seed}"), fsync)
        self.server.acknowledging = self._acknowledging
        self.server.deleted = lambda count: self.invariants.deleted(self.scheduler.now, count)
        self.server_strikes = Strikes(self.scheduler, lambda _call: self.invariants.check_content())
        self.client_strikes = Strikes(self.scheduler, must_not_change)
        self.server.hook = self.server_strikes.hook
        self.client: Client | None = None
        self.state = State(Random(f"state {seed}"))
        self.user = Person(self.source_disk, SOURCE, self.versions.record, self._source_changed)
        self.hands = Person(self.replica_disk, ROOT, self.versions.record, lambda _path: None, syncs=True)
        self.invariants.hand_made = self.hands.touched
        self.scheduler.after_each = self._check
        self._deeds = 0
        self._excuse_due = False

    def _make_directories(self) -> None:
        for disk, root in ((self.source_disk, SOURCE), (self.replica_disk, ROOT)):
            person = Person(disk, root, lambda _content: None, lambda _path: None)
            person.os.mkdir(root.rpartition(b"/")[0])
            person.os.mkdir(root)
            person.os.mkdir(root.rpartition(b"/")[0] + b"/other")
            disk.sync_all()

    # The course of things.

    def run(self) -> str:
        """Let everything happen; gives the digest of the trace.

        Raises:
            AssertionError: a promise was broken.
        """
        for number, step in enumerate(self.scenario.steps):
            if step.at < 0:
                self._all_at_once(step)
            else:
                self.scheduler.after(step.at, f"step {number}: {step.kind} {step.deed}", lambda s=step: self._do(s))  # type: ignore[misc]
        self.scheduler.after(0.1 * self._random.random(), "server starts", self.server.start)
        self.scheduler.after(0.1 * self._random.random(), "client starts", self._start_client)
        self.scheduler.run_until(self.scenario.seconds)
        self._stabilise()
        return self.scheduler.digest

    def _stabilise(self) -> None:
        """People stop, the network heals, disks work: after a while both sides are equal, and nothing goes on."""
        self.network.weather.clear()
        self.network.is_partitioned = False
        self.replica_disk.capacity = 1 << 40
        self.server_strikes.clear()
        self.client_strikes.clear()
        self.scheduler.note("everything is well from here on")
        for _ in range(ROUNDS):
            self.scheduler.run_until(self.scheduler.elapsed + QUIET_SECONDS)
            if self._is_stable():
                break
            self._approve()
        self._check_equal()
        version = self.replica_disk.version
        self.scheduler.run_until(self.scheduler.elapsed + 2 * QUIET_SECONDS)
        if version != self.replica_disk.version and not (self.client and self.client.target.view.problems):
            msg = "F09: the replica is changed though nothing differs"
            raise Violation(msg)
        self._check_equal()

    def _is_stable(self) -> bool:
        client = self.client
        quiet = client is not None and client.is_quiet and self.server.is_up and not self._deeds
        return quiet and not self._unexplained() and not (client and client.target.view.hold)

    def _unexplained(self) -> list[bytes]:
        """Differences for which there is neither a problem nor a hold."""
        client = self.client
        source = find(self.source_disk, SOURCE)
        different = differences(source, self.invariants.root)
        if client is None:
            return different
        named = [*client.target.view.problems]
        hold = client.target.view.hold
        named += [step.path for step in hold.operations] if hold else []
        directories = {path for path, inode in below(source) if inode.is_directory}

        def is_explained(path: RelPath) -> bool:
            # A directory that is to be replaced waits for what is in it and cannot be removed.
            replaced = path not in directories
            return any(is_within(path, known) or (replaced and is_within(known, path)) for known in named)

        return [path for path in different if not is_explained(RelPath(path))]

    def _check_equal(self) -> None:
        different = self._unexplained()
        if different:
            msg = f"P4: the sides differ at {different[:3]}, and nobody says why"
            raise Violation(msg)
        client = self.client
        if client is None or not client.is_quiet:
            msg = "P4: the client never comes to rest"
            raise Violation(msg)
        left = [name for name, inode in find(self.replica_disk, b"/data").entries.items() if self._is_left(name, inode)]
        if left:
            msg = f"staging is left behind: {left}"
            raise Violation(msg)

    def _is_left(self, name: bytes, inode: Inode) -> bool:
        """Whether this is staging that nobody needs any more."""
        if b"staging" not in name:
            return False
        # While something has a problem, an interrupted upload may still be continued; it is dropped by its age.
        waits = self.client is not None and bool(self.client.target.view.problems)
        return not (waits and all(child.startswith(KEPT_PREFIX) for child in inode.entries))

    def _acknowledging(self) -> None:
        self._excuse()
        self.invariants.check_acknowledged()

    def _excuse(self) -> None:
        """What a failing disk has not made durable is not acknowledged as done."""
        if self._excuse_due:
            self._excuse_due = False
            self.invariants.excuse()

    def _check(self) -> None:
        self._excuse()
        entries = len(find(self.source_disk, SOURCE).entries)
        self.invariants.check(self.scheduler.now, entries)

    # Steps.

    def _all_at_once(self, step: Step) -> None:
        for _ in (self.hands if step.kind == "hands" else self.user).do(step.deed, Random(step.seed)):
            pass

    def _do(self, step: Step) -> None:
        random = Random(step.seed)
        within = random.choice((3, 30, 300))
        match step.kind:
            case "user":
                self._go_on(self.user.do(step.deed, random))
            case "hands":
                self._use_hands(step.deed, random)
            case "race":
                self.client_strikes.arm(within, lambda _call: self._go_on(self.user.do(step.deed, random)))
            case "torn read":
                self.client_strikes.arm(random.randrange(within), lambda call: self._tear(call, random))
            case "hands race":
                self.server_strikes.arm(within, lambda _call: self._use_hands(step.deed, random))
            case "approve":
                self._approve()
            case "another client":
                self._intrude()
            case _:
                self._fail(step.kind, random, within)

    def _fail(self, kind: str, random: Random, within: int) -> None:
        match kind:
            case "cut":
                self.network.cut_all()
            case "partition":
                self.network.is_partitioned = True
                self.network.cut_all()
                self.scheduler.after(random.choice((1.0, 20.0)), "partition ends", self._heal)
            case "server dies" | "power cut":
                self._kill_server(power=kind == "power cut")
            case "server dies within" | "power cut within":
                power = kind == "power cut within"
                self.server_strikes.arm(random.randrange(within), lambda _call: self._kill_server(power=power))
            case "client dies" | "client loses its state":
                self._kill_client(random, loses_state=kind != "client dies")
            case "client dies within":
                self.client_strikes.arm(random.randrange(within), lambda _call: self._kill_client(random))
            case "disk full":
                self.replica_disk.capacity = self.replica_disk.used + random.choice((0, 1000))
                self.scheduler.after(random.choice((1.0, 10.0)), "disk has room again", self._make_room)
            case "fsync fails":
                self.server_strikes.arm(random.randrange(within), self._fail_fsync)
            case "write fails":
                self.server_strikes.arm(random.randrange(within), self._fail_write)
            case _:
                raise AssertionError(kind)

    def _go_on(self, deed: Deed) -> None:
        """The next act of a deed, and the rest later."""
        self._deeds += 1
        pause = next(deed, None)
        self._deeds -= 1
        if pause is not None:
            self._deeds += 1

            def later() -> None:
                self._deeds -= 1
                self._go_on(deed)

            self.scheduler.after(pause, "", later)

    def _tear(self, call: str, random: Random) -> None:
        """Somebody edits the next file that the client reads in more than one call, between two of them."""
        client = self.client
        if client is None:
            return
        if call == "read" and any(file.is_partly_read for file in client.process.descriptors.values()):
            self.user.edit_open(client.process, random)
        else:
            self.client_strikes.arm(1, lambda again: self._tear(again, random))

    def _use_hands(self, deed: str, random: Random) -> None:
        for _ in self.hands.do(deed, random):
            pass
        self.invariants.allow_deletes()

    def _source_changed(self, path: bytes) -> None:
        """The watcher tells the client, mostly; what it does not tell is found by the next rescan."""
        if self._random.random() < 0.85:
            delay = self._random.choice((0.0, 0.001, 0.1))
            self.scheduler.after(delay, "", lambda: self.client.changed(path) if self.client else None)

    def _approve(self) -> None:
        approved = self.client.approve() if self.client else ""
        if approved:
            self.scheduler.note(f"somebody approves {approved}")
            self.invariants.allow_deletes(self.scheduler.now + APPROVED_SECONDS)

    def _start_client(self) -> None:
        state, random = self.state, Random(self._random.getrandbits(32))
        hook = self.client_strikes.hook
        self.client = Client(self.scheduler, self.networks, self.source_disk, state, random, hook)
        self.client.start()

    def _kill_client(self, random: Random, *, loses_state: bool = False) -> None:
        if self.client is None:
            return
        self.client.die()
        self.client = None
        self.invariants.allow_deletes()
        if loses_state:
            self.state = State(random)
        self.scheduler.note("client dies")
        self.scheduler.after(3.0 * random.random(), "client starts", self._start_client)

    def _kill_server(self, *, power: bool) -> None:
        if self.server.process is None:
            return
        self.server.die(power=power)
        if power:
            self.invariants.forget_excuses()
            self.invariants.allow_deletes()

    def _heal(self) -> None:
        self.network.is_partitioned = False

    def _make_room(self) -> None:
        self.replica_disk.capacity = 1 << 40

    def _intrude(self) -> None:
        """Another client asks for the replica, whoever has it."""
        where = Location("elsewhere", ())
        self.server.intrude(OpenRequest("default", "intruder", "instance", TreeOptions(), where))

    def _fail_fsync(self, call: str) -> None:
        if call not in ("fsync", "syncfs"):
            self.server_strikes.arm(1, self._fail_fsync)
            return
        self._excuse_due = True
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _fail_write(self, call: str) -> None:
        if call not in CHANGING:
            self.server_strikes.arm(1, self._fail_write)
            return
        self._excuse_due = True
        raise OSError(errno.EIO, os.strerror(errno.EIO))
