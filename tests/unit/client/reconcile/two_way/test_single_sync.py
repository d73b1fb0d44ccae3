"""What a single sync asks of the server before it is over."""

from collections.abc import Sequence

import pytest

from dirsync.tree.entry import file_entry, pack
from dirsync.tree.merge.policy import Policy
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Command, RequestCommit
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Connected, Received, Settled
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
