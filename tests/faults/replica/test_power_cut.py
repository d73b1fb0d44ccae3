"""Power cuts at the calls by which a server carries out commits: what was acknowledged is there, the rest old or new.

The disk forgets whatever was not made durable (:mod:`tests.support.faults.powercut`); replica and server state are on
it. By default a sample of the calls, all of them by ``make faults``.
"""

from itertools import count, islice
from pathlib import Path

import grpc
import pytest

from dirsync.v1 import replica_service_pb2
from tests.support.faults.crashes import Point, dies, points_of, sample
from tests.support.faults.powercut import Disk, Kind, disk
from tests.support.faults.syscalls import MUTATING, kill, traced
from tests.support.peers.history import COMMITS, Commit, told
from tests.support.peers.operations import commit
from tests.support.peers.wire import REPLICA, Push, Wire
from tests.support.running.programs import Pair, Server
from tests.support.trees.trees import Seen, look
from tests.support.trees.turns import neither

QUICK = (Kind.EXT4, "batch", 50)
"""Kind of disk, policy, and which of the calls: every so manieth."""
THOROUGH = [
    pytest.param(kind, fsync, 1, marks=[pytest.mark.faults, pytest.mark.timeout(1800)])
    for kind, fsync in ((Kind.EXT4, "batch"), (Kind.EXT4, "always"), (Kind.XFS, "batch"))
]

pytestmark = [pytest.mark.programs, pytest.mark.needs("loop", "strace")]


class Site:
    """A server on a disk, and what has been acknowledged there so far."""

    def __init__(self, pair: Pair, disk: Disk, fsync: str) -> None:
        self._pair = pair
        self._disk = disk
        self._fsync = fsync
        self._log = pair.place / "strace"
        self._areas = count(1)
        self._known: dict[str, Seen] = {}
        """What every answered commit left."""
        self.replica = disk.path / "replica"
        self.server = self._start()

    def points(self) -> list[Point]:
        """The calls of a history."""
        with traced(self.server.pid, self._log, names=MUTATING) as trace:
            assert self._tell() is None
        return points_of(trace.calls())

    def cut_at(self, point: Point) -> list[str] | None:
        """Cut the power before that call; what is wrong then, or ``None`` if there is no such call this time."""
        with traced(self.server.pid, self._log, kill(*point)):
            unanswered = self._tell()
            if not dies(self.server):
                return None
        self.cut()
        found = look(self.replica)
        wrong = neither(found, self._known, self._known if unanswered is None else self._after(unanswered))
        self._known = found
        self.server = self._start()
        return wrong + self._index_lies()

    def cut_after(self, steps: int) -> list[str]:
        """Cut the power when so many commits of a history have just been answered; what is not there then."""
        with Wire(self.server.address) as wire:
            push = wire.push(wire.open_session().session_id)
            for step in islice(told(f"area-{next(self._areas)}", builds=self._fsync == "batch"), steps):
                assert self.send(push, step)
            self.cut()
        known, self._known = self._known, look(self.replica)
        self.server = self._start()
        return neither(self._known, known, known) + self._index_lies()

    def cut(self) -> None:
        """Cut the power."""
        if not self.server.ended:
            self.server.kill()
        self.server.excused = True
        self.server.wait()
        self._disk.cut_power()

    def send(self, push: Push, step: Commit) -> bool:
        """Send a commit; whether it was answered, and then by success."""
        try:
            answer = push.send(*step.messages, commit()).receive()
        except (grpc.RpcError, StopIteration):
            return False
        assert [] == list(answer.failures)
        self._known = self._after(step)
        return True

    def _tell(self) -> Commit | None:
        """Send a history in a directory of its own. Returns the commit that was not answered."""
        with Wire(self.server.address) as wire:
            try:
                push = wire.push(wire.open_session().session_id)
            except AssertionError:
                if not dies(self.server):
                    raise
                return Commit([], {})
            for step in told(f"area-{next(self._areas)}", builds=self._fsync == "batch"):
                if not self.send(push, step):
                    return step
            push.finish()
        return None

    def _after(self, step: Commit) -> dict[str, Seen]:
        return {path: now for path, now in {**self._known, **step.after}.items() if now is not None}

    def _index_lies(self) -> list[str]:
        """Whether the server believes what the disk does not hold: it should have looked at it at its start."""
        with Wire(self.server.address) as wire:
            request = replica_service_pb2.VerifyContentRequest(namespace="default", deep=True)
            *_, last = wire.call(REPLICA + "VerifyContent", request).as_messages(
                replica_service_pb2.VerifyContentResponse
            )
        repaired = last.summary.repaired
        return [f"the server believed {repaired} entries that are not so"] if repaired else []

    def _start(self) -> Server:
        state = self._disk.path / "state"
        return self._pair.server(root=self.replica, state_dir=state, fsync=self._fsync, min_free_bytes=0)


@pytest.mark.case("A03", "A04")
@pytest.mark.parametrize("kind, fsync, share", [QUICK, *THOROUGH])
def test_every_call(tmp_path: Path, pair: Pair, kind: Kind, fsync: str, share: int) -> None:
    """Whatever was acknowledged before the power went is there; of the rest each path is old or new."""
    with disk(tmp_path, kind) as power:
        site = Site(pair, power, fsync)
        points = sample(site.points(), share)
        wrong = {point: site.cut_at(point) for point in points}
        site.server.kill()

    assert {} == {point: lines for point, lines in wrong.items() if lines}
    assert len(points) // 2 < sum(lines is not None for lines in wrong.values())


@pytest.mark.case("A03", "A04")
@pytest.mark.parametrize("kind, fsync", [(Kind.EXT4, "batch"), (Kind.EXT4, "always"), (Kind.XFS, "batch")])
def test_right_after_the_answer(tmp_path: Path, pair: Pair, kind: Kind, fsync: str) -> None:
    """A commit of any kind is on the disk when its answer arrives."""
    with disk(tmp_path, kind) as power:
        site = Site(pair, power, fsync)
        lost = {steps: site.cut_after(steps) for steps in range(1, COMMITS + 1)}
        site.server.kill()

    assert {} == {steps: lines for steps, lines in lost.items() if lines}


@pytest.mark.case("A03", "A04")
@pytest.mark.parametrize("kind", Kind)
def test_control(tmp_path: Path, pair: Pair, kind: Kind) -> None:
    """The disk does lose what was not made durable: with FSYNC=never an acknowledged commit is gone."""
    with disk(tmp_path, kind) as power:
        site = Site(pair, power, "never")
        lost = site.cut_after(1)
        site.server.kill()

    assert any("small-0" in line for line in lost)
