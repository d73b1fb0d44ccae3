"""A world with two servers: what happens to one of them is no matter of the other."""

from random import Random
from typing import Final

from dirsync.fs.write.durable import Fsync
from dirsync.tree.path import RelPath, is_within
from tests.simulation.invariants import ReplicaInvariants, differences, find
from tests.simulation.machine.disk import Disk
from tests.simulation.machine.patching import wall_ns
from tests.simulation.scenario import Scenario
from tests.simulation.sides.client import SOURCE
from tests.simulation.sides.server import ROOT, Server
from tests.simulation.sides.transport import Network
from tests.simulation.sides.users import Person
from tests.simulation.world import World

SLOWEST: Final = 2.0
"""Seconds that a message to the second server may take: it is never in step with the first one."""


class FanOutWorld(World):
    """The first server is that of :class:`World`, with all that befalls it. The second one is far away and is cut off.

    At the end both are equal to the source, or what differs has a name there.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        seed = scenario.seed
        self.other_disk = Disk(103, wall_ns, Random(f"other replica {seed}"))
        person = Person(self.other_disk, ROOT, lambda _content: None, lambda _path: None)
        person.os.mkdir(ROOT.rpartition(b"/")[0])
        person.os.mkdir(ROOT)
        person.os.mkdir(ROOT.rpartition(b"/")[0] + b"/other")
        self.other_disk.sync_all()
        self.other_replica = ReplicaInvariants(self.other_disk, ROOT, self.versions)
        self.other_network = Network(self.scheduler, Random(f"other network {seed}"))
        self.networks.append(self.other_network)
        random = Random(f"other server {seed}")
        self.other_server = Server(self.scheduler, self.other_network, self.other_disk, random, Fsync.BATCH)
        self.scheduler.after(0.1 * random.random(), "other server starts", self.other_server.start)
        self.other_network.weather.slowest = SLOWEST
        for _ in range(random.randrange(4)):
            at = scenario.seconds * random.random()
            self.scheduler.after(at, "other network is cut", self.other_network.cut_all)

    def _stabilise(self) -> None:
        self.other_network.weather.clear()
        super()._stabilise()

    def _unexplained(self) -> list[bytes]:
        return [*super()._unexplained(), *self._unexplained_at_other()]

    def _unexplained_at_other(self) -> list[bytes]:
        client = self.client
        source = find(self.source_disk, SOURCE)
        different = differences(source, self.other_replica.root)
        if client is None:
            return different
        view = client.targets[1].view
        named = [*view.problems, *(step.path for step in (view.hold.operations if view.hold else ()))]

        def is_explained(path: RelPath) -> bool:
            return any(is_within(path, known) or is_within(known, path) for known in named)

        return [path for path in different if not is_explained(RelPath(path))]

    def _is_stable(self) -> bool:
        held = self.client is not None and self.client.targets[1].view.hold is not None
        return super()._is_stable() and self.other_server.is_up and not held

    def _check(self) -> None:
        super()._check()
        self.other_replica.check_content()
