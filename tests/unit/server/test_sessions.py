"""Who may write a replica, as time goes by."""

from collections.abc import Callable

import pytest

from dirsync.errors import (
    DirsyncError,
    LimitExceeded,
    OutOfTurn,
    SessionBusy,
    SessionSuperseded,
    SessionUnknown,
    Unavailable,
)
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.wire.session import OpenRequest, SessionMode
from dirsync_server.sessions import MAX_REMEMBERED, Session, Sessions, StreamKind

IDLE = LIMITS.session_idle_seconds


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Desk:
    """Sessions of at most three clients, and a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sessions = Sessions(3, self.clock)
        self.generation = 0

    def open(
        self,
        client: str = "ann",
        instance: str = "1",
        namespace: str = "default",
        mode: SessionMode = SessionMode.MIRROR,
    ) -> Session:
        """Open a session, as the servicer does."""
        self.generation += 1
        request = OpenRequest(namespace, client, instance, TreeOptions(), Location("", ()), mode=mode)
        return self.sessions.open(request, self.generation)

    def both(self, client: str, instance: str = "1") -> Session:
        """Open a two-way session."""
        return self.open(client, instance, mode=SessionMode.TWO_WAY)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds


@pytest.fixture
def desk() -> Desk:
    """An empty desk."""
    return Desk()


def refusal(act: Callable[[], object]) -> type[DirsyncError] | None:
    """The class of the error that an act ends with."""
    try:
        act()
    except DirsyncError as error:
        return type(error)
    return None


def test_free_replica_goes_to_whoever_asks(desk: Desk) -> None:
    """Without a session any client becomes the writer."""
    session = desk.open()

    assert session is desk.sessions.writer("default")
    assert session is desk.sessions.use(session.id)
    assert 1 == len(desk.sessions)


@pytest.mark.case("H01")
def test_other_client_waits(desk: Desk) -> None:
    """Another client is refused while the session lives by its calls, and comes in once they have stopped for long."""
    first = desk.open()
    desk.wait(IDLE - 0.1)
    desk.sessions.use(first.id)
    desk.wait(IDLE - 0.1)

    assert SessionBusy is refusal(lambda: desk.open("bob"))

    desk.wait(0.2)
    second = desk.open("bob")

    assert second is desk.sessions.writer("default")
    assert SessionSuperseded is refusal(lambda: desk.sessions.use(first.id))


@pytest.mark.case("H01")
def test_stream_keeps_alive(desk: Desk) -> None:
    """A session with an open push stream never gets too old; its time starts when the stream ends."""
    session = desk.open()
    number = desk.sessions.attach(session, lambda: None)
    desk.wait(100 * IDLE)

    assert SessionBusy is refusal(lambda: desk.open("bob"))

    desk.sessions.detach(session, number)
    desk.wait(IDLE - 0.1)

    assert SessionBusy is refusal(lambda: desk.open("bob"))

    desk.wait(0.2)

    assert None is refusal(lambda: desk.open("bob"))


@pytest.mark.case("H04")
def test_same_client_at_once(desk: Desk) -> None:
    """The same client gets its replica again at once; the old session's streams are ended and it can commit nothing."""
    ended: list[str] = []
    old = desk.open()
    desk.sessions.attach(old, lambda: ended.append("old"))
    desk.sessions.check(old)
    new = desk.open()

    assert ["old"] == ended
    assert SessionSuperseded is refusal(lambda: desk.sessions.check(old))
    assert SessionSuperseded is refusal(lambda: desk.sessions.use(old.id))
    assert SessionSuperseded is refusal(lambda: desk.sessions.attach(old, lambda: None))
    assert None is refusal(lambda: desk.sessions.check(new))
    assert new.generation > old.generation


@pytest.mark.case("H02")
def test_late_close_of_the_old(desk: Desk) -> None:
    """Closing a superseded session late does not harm the one that took over."""
    old, new = desk.open(), desk.open()
    desk.sessions.close(old.id)

    assert new is desk.sessions.writer("default")
    assert None is refusal(lambda: desk.sessions.check(new))


def test_two_processes_with_one_id(desk: Desk) -> None:
    """Of two processes with one client id the newer one keeps the replica, as long as it lives."""
    desk.open(instance="1")
    newer = desk.open(instance="2")

    assert SessionSuperseded is refusal(lambda: desk.open(instance="1"))
    assert newer is desk.sessions.writer("default")

    desk.wait(IDLE + 0.1)

    assert None is refusal(lambda: desk.open(instance="1"))


def test_reconnect_of_the_same_process(desk: Desk) -> None:
    """A process that reconnects is not taken for an older one of itself, however often it does."""
    for _ in range(5):
        desk.open(instance="1")

    assert None is refusal(lambda: desk.open(instance="1"))


def test_close_frees(desk: Desk) -> None:
    """A closed session frees the replica at once; closing it again is fine, using it is not."""
    ended: list[str] = []
    session = desk.open()
    desk.sessions.attach(session, lambda: ended.append("stream"))
    desk.sessions.close(session.id)
    desk.sessions.close(session.id)

    assert ["stream"] == ended
    assert None is desk.sessions.writer("default")
    assert SessionUnknown is refusal(lambda: desk.sessions.use(session.id))
    assert SessionUnknown is refusal(lambda: desk.sessions.check(session))
    assert None is refusal(lambda: desk.open("bob"))


def test_one_stream(desk: Desk) -> None:
    """A session has one push stream at a time."""
    session = desk.open()
    number = desk.sessions.attach(session, lambda: None)

    assert OutOfTurn is refusal(lambda: desk.sessions.attach(session, lambda: None))

    desk.sessions.detach(session, number)

    assert None is refusal(lambda: desk.sessions.attach(session, lambda: None))


def test_unknown_session(desk: Desk) -> None:
    """An id that was never given out is unknown."""
    assert SessionUnknown is refusal(lambda: desk.sessions.use(bytes(16)))
    assert None is desk.sessions.find(bytes(16))


@pytest.mark.case("I18")
def test_bounded(desk: Desk) -> None:
    """Sessions over the limit are refused by its name; those that were abandoned do not count after their time."""
    for name in ("a", "b", "c"):
        desk.open(namespace=name)

    assert LimitExceeded is refusal(lambda: desk.open(namespace="d"))
    assert None is refusal(lambda: desk.open(namespace="c"))

    desk.wait(IDLE + 0.1)

    assert None is refusal(lambda: desk.open(namespace="d"))
    assert 1 == len(desk.sessions)


def test_refusals_change_nothing(desk: Desk) -> None:
    """A refused client has neither taken the replica nor ended anything."""
    session = desk.open()
    ended: list[str] = []
    desk.sessions.attach(session, lambda: ended.append("stream"))
    for _ in range(3):
        refusal(lambda: desk.open("bob"))

    assert [] == ended
    assert session is desk.sessions.writer("default")


@pytest.mark.case("I18")
def test_memory_is_bounded(desk: Desk) -> None:
    """However many sessions come and go, only so many are remembered; a forgotten one is unknown."""
    first = desk.open()
    for _ in range(MAX_REMEMBERED + 1):
        desk.open()

    assert SessionUnknown is refusal(lambda: desk.sessions.use(first.id))
    assert 1 == len(desk.sessions)


def test_end_all(desk: Desk) -> None:
    """When the server stops every stream is ended, and none opens any more."""
    late = desk.open(namespace="c")
    ended: list[str] = []
    for name in ("a", "b"):
        desk.sessions.attach(desk.open(namespace=name), lambda name=name: ended.append(name))  # type: ignore[misc]
    desk.sessions.end_all()

    assert ["a", "b"] == sorted(ended)
    assert Unavailable is refusal(lambda: desk.sessions.attach(late, lambda: None))


def test_two_way_sessions_go_together(desk: Desk) -> None:
    """Several clients have two-way sessions at the same time; none ends another's, and each can commit."""
    ann, bob, eve = (desk.both(name) for name in ("ann", "bob", "eve"))

    assert [eve, bob, ann] == desk.sessions.writers("default")
    assert [bob, ann] == desk.sessions.fellows(eve.request)
    assert (3, 3) == (len(desk.sessions), desk.sessions.two_way)
    assert [None] * 3 == [refusal(lambda s=s: desk.sessions.check(s)) for s in (ann, bob, eve)]  # type: ignore[misc]


@pytest.mark.parametrize("first, second", [("mirror", "two-way"), ("two-way", "mirror")])
def test_mirror_excludes_two_way(desk: Desk, first: str, second: str) -> None:
    """A mirror session of another client excludes a two-way one, and the reverse; the refusal names that client."""
    session = desk.open("ann", mode=SessionMode(first))
    with pytest.raises(SessionBusy) as refused:
        desk.open("bob", mode=SessionMode(second))

    assert "REPLICA_BUSY" == refused.value.reason
    assert "'ann'" in str(refused.value)
    assert f"MODE={first}" in str(refused.value)
    assert None is refusal(lambda: desk.sessions.check(session))

    desk.wait(IDLE + 0.1)

    assert None is refusal(lambda: desk.open("bob", mode=SessionMode(second)))
    assert SessionSuperseded is refusal(lambda: desk.sessions.use(session.id))


def test_every_two_way_client_excludes_a_mirror(desk: Desk) -> None:
    """A client that has a two-way session cannot make a mirror of it while others have theirs."""
    desk.both("ann")
    desk.both("bob")

    assert SessionBusy is refusal(lambda: desk.open("ann"))

    desk.sessions.close(desk.sessions.writers("default")[0].id)

    assert None is refusal(lambda: desk.open("ann"))
    assert 0 == desk.sessions.two_way


@pytest.mark.case("H04")
def test_two_way_client_again(desk: Desk) -> None:
    """A client that opens again supersedes its own session, and no other's."""
    ended: list[str] = []
    old, bob = desk.both("ann"), desk.both("bob")
    desk.sessions.attach(old, lambda: ended.append("ann"))
    desk.sessions.attach(bob, lambda: ended.append("bob"))
    desk.both("ann")

    assert ["ann"] == ended
    assert SessionSuperseded is refusal(lambda: desk.sessions.check(old))
    assert None is refusal(lambda: desk.sessions.check(bob))

    desk.both("ann", "2")

    assert SessionSuperseded is refusal(lambda: desk.both("ann", "1"))


def test_two_way_sessions_that_are_gone(desk: Desk) -> None:
    """A two-way session without a sign of life is over when a fellow opens one; its client is not fenced off."""
    ann, bob = desk.both("ann"), desk.both("bob")
    desk.wait(IDLE - 1)
    desk.sessions.use(bob.id)
    desk.wait(2)
    eve = desk.both("eve")

    assert [eve, bob] == desk.sessions.writers("default")
    assert SessionUnknown is refusal(lambda: desk.sessions.use(ann.id))
    assert SessionUnknown is refusal(lambda: desk.sessions.check(ann))
    assert SessionUnknown is refusal(lambda: desk.sessions.attach(ann, lambda: None))
    assert None is refusal(lambda: desk.both("ann"))


@pytest.mark.case("I18")
def test_two_way_sessions_are_bounded() -> None:
    """More two-way clients of one replica than the limit are refused by its name; one that returns is not."""
    desk = Desk()
    desk.sessions = Sessions(100, desk.clock)
    for number in range(LIMITS.max_two_way_sessions):
        desk.both(f"client {number}")
    with pytest.raises(LimitExceeded) as refused:
        desk.both("one more")

    assert "MAX_TWO_WAY_SESSIONS" == refused.value.reason
    assert None is refusal(lambda: desk.both("client 0"))
    assert None is refusal(lambda: desk.open("one more", namespace="elsewhere", mode=SessionMode.TWO_WAY))


def test_streams_of_a_two_way_session(desk: Desk) -> None:
    """It has one push stream, one stream of reports and a few reads, and lives as long as any of them."""
    session = desk.both("ann")
    read, watch = LIMITS.max_content_reads, StreamKind.WATCH
    numbers = [desk.sessions.attach(session, lambda: None, kind) for kind in (StreamKind.PUSH, watch)]
    numbers += [desk.sessions.attach(session, lambda: None, StreamKind.READ) for _ in range(read)]

    assert OutOfTurn is refusal(lambda: desk.sessions.attach(session, lambda: None))
    assert OutOfTurn is refusal(lambda: desk.sessions.attach(session, lambda: None, watch))
    assert LimitExceeded is refusal(lambda: desk.sessions.attach(session, lambda: None, StreamKind.READ))

    for number in numbers:
        desk.wait(100 * IDLE)

        assert [session] == desk.sessions.writers("default")

        desk.sessions.detach(session, number)
    desk.wait(IDLE + 0.1)

    assert [] == desk.sessions.writers("default")


@pytest.mark.parametrize("kind", [StreamKind.WATCH, StreamKind.READ])
def test_streams_of_a_mirror_session(desk: Desk, kind: StreamKind) -> None:
    """A mirror session has nothing to watch or read for."""
    session = desk.open()

    assert OutOfTurn is refusal(lambda: desk.sessions.attach(session, lambda: None, kind))
