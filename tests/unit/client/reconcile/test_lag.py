"""Lag: the age of the oldest change that is not acknowledged, whatever else goes on."""

from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Disconnected, HoldApproved, SourceChanged
from dirsync_client.reconcile.path_states import PathTable, Phase
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path

A, B, C = path("a"), path("b"), path("c")


def oldest(sync: Harness) -> float | None:
    """When the oldest change was noticed."""
    return sync.reconciler.view.oldest_change


def test_settled() -> None:
    """In sync there is no such change."""
    sync = Harness()
    sync.write("a", b"one")
    sync.connect()
    sync.run()

    assert oldest(sync) is None


def test_written_all_the_time() -> None:
    """What was acknowledged counts no more, although the same file has changed again meanwhile."""
    sync = Harness()
    sync.connect()
    sync.run()
    for now in (10.0, 11.0, 12.0):
        sync.now = now
        sync.write("a", b"at %d" % now)
        sync.tell(SourceChanged([A], now - 0.5))

        assert oldest(sync) in (now - 0.5, now - 1.5)
        if now > 10:
            sync.settle()  # of what was sent before this change
            assert now - 0.5 == oldest(sync)


def test_what_was_read_is_acknowledged() -> None:
    """A change that was noticed before the content was read that is acknowledged is no older than that reading."""
    table = PathTable()
    table.changed_at = 1.0
    table.to(A, Phase.SENDING).again_since = 2.0
    table.to(B, Phase.SENDING).again_since = 6.0
    table.acknowledged(A, Phase.DIRTY, 7.0, read_at=5.0)
    table.acknowledged(B, Phase.SENDING, 7.0, read_at=5.0)

    assert 5.0 == table.oldest_change
    table.to(A, Phase.IDLE)
    assert 6.0 == table.oldest_change


def test_without_a_session() -> None:
    """What changes while there is no session is as old as it was noticed, then too when it is compared later."""
    sync = Harness()
    sync.connect()
    sync.run()
    sync.tell(Disconnected())
    assert oldest(sync) is None
    sync.write("a", b"one")
    sync.now = 20.0
    sync.tell(SourceChanged([A], 19.0))
    sync.now = 50.0

    assert 19.0 == oldest(sync)
    sync.connect()
    assert 19.0 == oldest(sync)
    sync.run()
    assert oldest(sync) is None


def test_named_elsewhere() -> None:
    """What has a problem or is held is named there, and is no lag."""
    table = PathTable()
    table.changed_at = 1.0
    table.to(A, Phase.FAILED).problem = Problem(A, ProblemKind.UNREADABLE, "")
    table.to(B, Phase.HELD)

    assert table.oldest_change is None
    table.changed_at = 2.0
    table.to(C, Phase.SENDING)
    assert 2.0 == table.oldest_change


def test_removal() -> None:
    """The time of a removal counts from its event, so with the time in which further ones were waited for."""
    sync = Harness(Options(at_once=False, delete_settle=2.0))
    for name in ("a", "b", "c"):
        sync.write(name, b"one")
    sync.connect()
    sync.run()
    sync.now = 10.0
    sync.source.tree.remove(A)
    sync.change("a")
    sync.wait(5.0)

    assert [(A, 10.0)] == [(transmit.path, transmit.changed_at) for transmit in sync.outgoing]


def test_removal_that_was_held() -> None:
    """What a guard held is due when it is released: how long a person took to approve it is no lag."""
    sync = Harness(Options(at_once=False, delete_settle=2.0, policy=GuardPolicy(50, 1)))
    for name in ("a", "b", "c"):
        sync.write(name, b"one")
    sync.connect()
    sync.run()
    sync.now = 10.0
    for at in (A, B):
        sync.source.tree.remove(at)
    sync.change("a", "b")
    sync.wait(5.0)
    hold = sync.reconciler.view.hold
    assert hold is not None
    sync.now = 1000.0
    sync.tell(HoldApproved(hold.id))
    sync.wait(2.0)

    assert {(A, 1002.0), (B, 1002.0)} == {(transmit.path, transmit.changed_at) for transmit in sync.outgoing}
