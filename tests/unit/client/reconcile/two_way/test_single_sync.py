"""What a single sync asks of the server before it is over."""

from collections.abc import Sequence

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.entry import file_entry, pack
from dirsync.tree.merge.policy import Policy
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Command, LookAt, RequestCommit, WakeAt
from dirsync_client.reconcile.context import PROMPT_ATTEMPTS, Options
from dirsync_client.reconcile.events import Connected, Received, Settled, SourceChanged, Tick
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.reconcile.two_way.commands import Receive
from tests.unit.client.reconcile.model import Model

PATH = RelPath(b"notes.txt")
THEIRS = file_entry(mode=0o644, size=1, mtime_ns=9 * 10**9, digest=b"2" * 32)
DISK_FULL = Failure(0, Outcome.STORAGE, None, "NO_SPACE", "the disk is full")


def received(commands: Sequence[Command]) -> list[Receive]:
    """What is to be received."""
    return [command for command in commands if isinstance(command, Receive)]


@pytest.mark.parametrize(
    "two_way, at_once, asks", [(True, True, True), (True, False, False), (False, True, False), (False, False, False)]
)
def test_looks_at_the_replica(two_way: bool, at_once: bool, asks: bool) -> None:
    """Both ways, what was written there by hand a moment before belongs to it; it waits until the server has looked."""
    options = Options(at_once=at_once, two_way=Policy() if two_way else None)
    reconciler = Reconciler(Model(), options)
    commands = reconciler.handle(
        [Connected(Tree(), frozenset(Strategy), False, None, frozenset(), ancestor=Tree())], 1.0
    )

    assert asks == any(isinstance(command, RequestCommit) for command in commands)
    assert asks == reconciler.view.is_rescanning


def test_tries_again_what_failed_before_the_server_had_looked() -> None:
    """It may have failed because somebody had removed it by hand, or changed it."""
    replica = Tree()
    replica.put(PATH, pack(THEIRS))
    reconciler = Reconciler(Model(), Options(at_once=True, two_way=Policy()))
    event = Connected(replica, frozenset(Strategy), False, None, frozenset(), ancestor=Tree())
    (receive,) = received(reconciler.handle([event], 1.0))

    assert [] == received(reconciler.handle([Received(receive, DISK_FULL)], 2.0))
    assert [PATH] == list(reconciler.view.problems)
    looked = Settled([], [], replica.digest(), rescanned=True)
    assert [receive] == received(reconciler.handle([looked], 3.0))


CHANGED = Failure(0, Outcome.CHANGED, None, "CHANGED", "it is not what the client expected")


def tried(reconciler: Reconciler, receive: Receive, failures: int) -> list[float]:
    """When that is tried, if it fails so often; it is not over meanwhile."""
    times, now = [1.0], 1.0
    for _ in range(failures):
        commands = list(reconciler.handle([Received(receive, CHANGED)], now))
        while not received(commands):
            if not reconciler.view.is_working:
                return times
            (now,) = [command.time for command in commands if isinstance(command, WakeAt)]
            looks = [command for command in reconciler.handle([Tick()], now) if isinstance(command, LookAt)]
            commands = reconciler.handle([SourceChanged([], retried=look.paths) for look in looks], now)
        times.append(now)
    return times


def connected(*, at_once: bool) -> tuple[Reconciler, Receive]:
    """One that receives a file."""
    replica = Tree()
    replica.put(PATH, pack(THEIRS))
    reconciler = Reconciler(Model(), Options(at_once=at_once, two_way=Policy()))
    event = Connected(replica, frozenset(Strategy), False, None, frozenset(), ancestor=Tree())
    (receive,) = received(reconciler.handle([event], 1.0))
    reconciler.handle([Settled([], [], replica.digest(), rescanned=True)], 1.0)
    return reconciler, receive


def test_tries_again_what_is_likely_to_pass() -> None:
    """What was changed a moment ago cannot be told from what is being changed: it is tried again when it can."""
    reconciler, receive = connected(at_once=True)
    times = tried(reconciler, receive, failures=8)

    assert 9 == len(times)
    assert times[4] - times[3] > LIMITS.racy_window_ns / 1e9
    assert reconciler.view.is_working
    reconciler.handle([Received(receive, None)], times[-1])
    assert not reconciler.view.problems


def test_ends_with_what_lasts() -> None:
    """A single sync tries that for some seconds, and then says what the problem is."""
    reconciler, receive = connected(at_once=True)
    times = tried(reconciler, receive, failures=100)

    assert PROMPT_ATTEMPTS + 1 + LIMITS.passing_retries == len(times)
    assert 3 < times[-1] - times[0] < 10
    assert [PATH] == list(reconciler.view.problems)
    assert not reconciler.view.is_working


def test_a_problem_of_another_kind_is_told_at_once() -> None:
    """A full disk does not pass by itself."""
    reconciler, receive = connected(at_once=True)
    reconciler.handle([Received(receive, DISK_FULL)], 2.0)

    assert [PATH] == list(reconciler.view.problems)
    assert not reconciler.view.is_working
