"""Namespaces that are opened for a call and closed when nobody uses them, on a clock that is moved by hand."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dirsync.endpoint.changes.hand_edits import HandEdits
from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.errors import SessionUnknown, Unavailable, UsageError
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.wire.session import OpenRequest
from dirsync_server.namespaces.open_namespaces import OpenNamespaces
from dirsync_server.namespaces.slot import Hold, OpenReplica
from dirsync_server.sessions import Session, Sessions
from tests.support.running.waiting import until

IDLE = 60.0
NAMES = ("red", "blue")
POLICY = ReplicaPolicy(Quota(1 << 20, 1 << 20, 100, 0))


class Calls(NamedTuple):
    """A call that the test ends."""

    ended: list[Callable[[], None]]
    told_to_end: list[str]

    @property
    def hold(self) -> Hold:
        """What the namespaces know of it."""
        return Hold(lambda: self.told_to_end.append("end"), self.ended.append)

    def end(self) -> None:
        """It ends."""
        for each in self.ended:
            each()


class House:
    """Two namespaces."""

    def __init__(self, place: Path) -> None:
        self.now = 100.0
        self.opened: list[str] = []
        self.released: list[str] = []
        self.failing = False
        self.may_open = threading.Event()
        self.may_open.set()
        self._place = place
        self.sessions = Sessions(8, self.clock)
        self.namespaces = OpenNamespaces(NAMES, self._open, self.sessions, idle_seconds=IDLE, now=self.clock)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def _open(self, namespace: str) -> OpenReplica:
        self.may_open.wait(10)
        if self.failing:
            msg = "the disk is gone"
            raise UsageError(msg, reason="ROOT_GONE")
        self.opened.append(namespace)
        root = self._place / namespace
        root.mkdir(exist_ok=True)
        replica = Replica.open(namespace, root, self._place, POLICY)
        replica.scan()
        return OpenReplica(replica, HandEdits(replica), lambda: self.released.append(namespace))

    def call(self, namespace: str) -> Calls:
        """A call begins to use a namespace."""
        calls = Calls([], [])
        self.namespaces.use(namespace, calls.hold)
        return calls

    def session(self, namespace: str) -> Session:
        """A session of it."""
        return self.sessions.open(OpenRequest(namespace, "client", "1", TreeOptions(), Location("", ())), 1)

    def names(self) -> list[str]:
        """What is open."""
        return sorted(self.namespaces.replicas())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The namespaces of a test."""
    house = House(tmp_path)
    yield house
    house.may_open.set()
    house.namespaces.close()


def test_a_namespace_is_opened_for_the_first_call_that_names_it(house: House) -> None:
    """Before it nothing is open, and a second call finds it open."""
    before = house.names()
    for _ in range(2):
        house.call("red")

    assert ([], ["red"], ["red"]) == (before, house.names(), house.opened)


def test_a_namespace_that_nobody_uses_is_closed(house: House) -> None:
    """It is closed some time after its last call has ended, not before, and can be opened again."""
    call = house.call("red")
    house.now += 2 * IDLE
    house.namespaces.sweep()
    used = house.names()
    call.end()
    house.now += IDLE - 1
    house.namespaces.sweep()
    recent = house.names()
    house.now += 1
    house.namespaces.sweep()
    idle = house.names()
    house.call("red")

    assert (["red"], ["red"], []) == (used, recent, idle)
    assert ["red", "red"] == house.opened
    assert ["red"] == house.released


def test_a_session_that_lives_keeps_its_namespace_open(house: House) -> None:
    """A client between two calls finds its session."""
    house.call("red").end()
    house.now += IDLE
    session = house.session("red")
    house.namespaces.sweep()
    living = house.names()
    house.now += LIMITS.session_idle_seconds
    house.namespaces.sweep()

    assert (["red"], []) == (living, house.names())
    with pytest.raises(SessionUnknown):
        house.sessions.use(session.id)


def test_giving_a_namespace_up_ends_its_calls_and_sessions_first(house: House) -> None:
    """Its files are there until the last call has ended; other namespaces do not notice."""
    call, other = house.call("red"), house.call("blue")
    session = house.session("red")
    begun = house.namespaces.give_up("red", "wanted")
    until(lambda: bool(call.told_to_end), "the call is told to end")
    released = list(house.released)
    call.end()
    until(lambda: house.released == ["red"], "it is closed")

    assert begun
    assert ([], []) == (released, other.told_to_end)
    assert ["blue"] == house.names()
    with pytest.raises(SessionUnknown):
        house.sessions.use(session.id)


def test_a_namespace_is_not_given_up_right_after_it_was_opened(house: House) -> None:
    """Two servers that both are asked for it do not take it from each other without end."""
    house.call("red")
    early = house.namespaces.give_up("red", "wanted", least_seconds=10)
    house.now += 10
    later = house.namespaces.give_up("red", "wanted", least_seconds=10)

    assert (False, True) == (early, later)


def test_who_comes_while_a_namespace_is_opened_waits_or_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call waits for a moment; after that it is told to try again, and finds it open then."""
    monkeypatch.setattr("dirsync_server.namespaces.open_namespaces.LIMITS", _hasty())
    house.may_open.clear()
    with pytest.raises(Unavailable) as refused:
        house.call("red")
    house.may_open.set()
    until(lambda: house.names() == ["red"], "it is open")
    house.call("red")

    assert "SCANNING" == refused.value.reason
    assert ["red"] == house.opened


def test_a_namespace_that_cannot_be_opened_says_why_and_is_tried_again(house: House) -> None:
    """The error is told to the caller as one that may pass, with its reason; the next call tries again."""
    house.failing = True
    with pytest.raises(Unavailable, match="the disk is gone") as refused:
        house.call("red")
    house.failing = False
    house.call("red")

    assert "ROOT_GONE" == refused.value.reason
    assert ["red"] == house.names()


def test_a_closed_namespace_leaves_nothing_open(house: House, tmp_path: Path) -> None:
    """After many rounds there are as many threads and descriptors as after the first one."""
    counts = []
    for _ in range(4):
        house.call("red").end()
        house.now += IDLE
        house.namespaces.sweep()
        counts.append((threading.active_count(), len(list(Path("/dev/fd").iterdir()))))

    assert [counts[0]] * 4 == counts
    assert 4 == len(house.released)
    assert (tmp_path / "red").is_dir()


def _hasty() -> Any:
    class Hasty:
        namespace_open_seconds = 0.05
        namespace_close_seconds = LIMITS.namespace_close_seconds

    return Hasty()
