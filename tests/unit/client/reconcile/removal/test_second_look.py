"""The replica is looked at again before something is held that was not held before."""

import pytest

from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import HoldApproved, Settled, SourceScanned
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path, record

NAMES = [f"theirs{number}" for number in range(12)]


@pytest.fixture
def foreign() -> Harness:
    """A replica of which the source knows nothing; what the server lists may be out of date."""
    sync = Harness()
    sync.scans_at_once = False
    sync.write("ours", b"ours")
    for name in NAMES:
        sync.server.put(path(name), record(name.encode()))
    sync.connect()
    sync.run()
    return sync


def scanned(sync: Harness) -> None:
    """The server has scanned its replica."""
    sync.tell(Settled([], [], sync.server.digest(), rescanned=True))
    sync.run()


def test_nothing_is_held_before_it(foreign: Harness) -> None:
    """Nothing is shown, nothing is removed, and it is not over while the server looks."""
    view = foreign.reconciler.view

    assert 1 == foreign.rescans
    assert view.hold is None
    assert view.is_working
    assert not view.in_sync
    assert all(path(name) in foreign.server for name in NAMES)


@pytest.mark.case("G07")
def test_still_there(foreign: Harness) -> None:
    """What the replica really has is held, and the server is not asked twice."""
    scanned(foreign)
    hold = foreign.reconciler.view.hold

    assert hold is not None
    assert {path(name) for name in NAMES} == {step.path for step in hold.operations}
    assert 1 == foreign.rescans
    assert not foreign.reconciler.view.is_working


@pytest.mark.case("G07", "G11")
def test_gone(foreign: Harness) -> None:
    """The replica was emptied by hand: there is nothing to ask a person about."""
    for name in NAMES:
        foreign.server.remove(path(name))
    foreign.server.remove(path("ours"))
    scanned(foreign)

    assert foreign.reconciler.view.hold is None
    assert foreign.reconciler.view.in_sync
    assert path("ours") in foreign.server


def test_scan_that_had_begun(foreign: Harness) -> None:
    """A scan that began before is no second look: what it saw may be what is known already."""
    sync = Harness()
    sync.scans_at_once = False
    for name in ("a", *NAMES):
        sync.write(name, b"")
    sync.connect(adopted=True)
    sync.run()
    sync.tell(SourceScanned(both_sides=True))
    for name in NAMES:
        sync.source.tree.remove(path(name))
    sync.change(*NAMES)
    scanned(sync)
    first = sync.reconciler.view.hold
    scanned(sync)

    assert first is None
    assert sync.reconciler.view.hold is not None
    assert 2 == sync.rescans


def test_hold_that_changes(foreign: Harness) -> None:
    """What joins a hold that is shown costs no further scan."""
    scanned(foreign)
    foreign.server.put(path("theirs too"), record(b"too"))
    foreign.tell(Settled([], [], foreign.server.digest()))
    foreign.run()
    hold = foreign.reconciler.view.hold

    assert hold is not None
    assert path("theirs too") in {step.path for step in hold.operations}
    assert 1 == foreign.rescans


def test_next_hold(foreign: Harness) -> None:
    """After a hold is over, another one is preceded by another look."""
    scanned(foreign)
    hold = foreign.reconciler.view.hold
    assert hold is not None
    foreign.tell(HoldApproved(hold.id))
    foreign.run()
    for name in NAMES:
        foreign.write(name, b"")
    foreign.change(*NAMES)
    foreign.run()
    foreign.now += 100.0
    for name in NAMES:
        foreign.source.tree.remove(path(name))
    foreign.change(*NAMES)

    assert foreign.reconciler.view.hold is None
    assert 2 == foreign.rescans


def test_session_that_ends_meanwhile(foreign: Harness) -> None:
    """The next session asks again, and its answer counts."""
    foreign.connect()
    foreign.run()
    asked = foreign.rescans
    scanned(foreign)

    assert 2 == asked
    assert foreign.reconciler.view.hold is not None


def test_more_leaves_meanwhile() -> None:
    """In a live sync, what is removed while the server looks is judged with the rest."""
    sync = Harness(Options(delete_settle=1.0))
    sync.scans_at_once = False
    for name in ("a", *NAMES):
        sync.write(name, b"")
    sync.connect(adopted=True)
    sync.run()
    for name in NAMES[:11]:
        sync.source.tree.remove(path(name))
    sync.change(*NAMES[:11])
    sync.wait(1.0)
    asked = sync.rescans
    sync.source.tree.remove(path(NAMES[11]))
    sync.change(NAMES[11])
    scanned(sync)
    sync.wait(1.0)
    hold = sync.reconciler.view.hold

    assert 1 == asked
    assert hold is not None
    assert 12 == len(hold.operations)
