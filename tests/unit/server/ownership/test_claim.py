"""How servers of a shared volume become the owner of a namespace, and stop being it."""

import errno
import fcntl
import threading
from pathlib import Path
from typing import Any

import pytest

from dirsync.errors import Unavailable, UsageError
from dirsync_server.ownership.claim import KEPT_RECORDS, Claim, Taken
from dirsync_server.ownership.volume import DIRECTORY, Volume
from tests.unit.server.ownership.conftest import LEASE, NAMESPACE, Shared


def test_the_first_one_that_asks_is_the_owner(shared: Shared) -> None:
    """The next one is told nothing but that it is not, and the owner that another one is asked."""
    one, other = shared.server(), shared.server()
    taken = shared.taken(one)
    claim = Claim(other, NAMESPACE)
    again = [claim.attempt() for _ in range(3)]
    wanted = one.wanted()
    claim.close()

    assert (1, "none") == (taken.owned.number, taken.cause)
    assert [None] * 3 == again
    assert ([NAMESPACE], []) == (wanted, one.wanted())


def test_what_was_let_go_of_can_be_had_at_once(shared: Shared) -> None:
    """The next owner has a higher number; the one before may come back after it."""
    one, other = shared.server(), shared.server()
    shared.taken(one).owned.release()
    second = shared.taken(other)
    second.owned.release()
    third = shared.taken(one)

    assert [(2, "released"), (3, "released")] == [(each.owned.number, each.cause) for each in (second, third)]


def test_a_dead_owner_is_not_waited_for(shared: Shared) -> None:
    """Its lock says that it is gone, however fresh its beat is."""
    one, other = shared.server(), shared.server()
    shared.taken(one)
    shared.kill(one)
    taken = shared.taken(other)

    assert (2, "gone") == (taken.owned.number, taken.cause)
    assert not list((shared.place / DIRECTORY).glob(f"server-{one.server}*"))


def test_a_slow_owner_is_waited_for_for_a_lease(shared: Shared) -> None:
    """It is the owner for as long as it may publish, and no longer when another one is."""
    one, other = shared.server(), shared.server()
    owned = shared.taken(one).owned
    claim = Claim(other, NAMESPACE)
    claim.attempt()
    shared.now += LEASE - 1
    early = claim.attempt()
    shared.now += 1
    taken = claim.attempt()

    assert early is None
    assert taken is not None
    assert (2, "slow") == (taken.owned.number, taken.cause)
    assert (False, True) == (owned.is_owner, taken.owned.is_owner)


def test_an_owner_that_beats_keeps_its_namespace(shared: Shared) -> None:
    """However long another server waits."""
    one, other = shared.server(), shared.server()
    shared.taken(one)
    claim = Claim(other, NAMESPACE)
    for _ in range(10):
        shared.now += LEASE / 2
        one.beat()

        assert claim.attempt() is None


def test_the_longer_lease_of_two_counts(shared: Shared) -> None:
    """A server with a short lease does not take from one that relies on a long one."""
    one, other = shared.server(lease=10 * LEASE), shared.server()
    shared.taken(one)
    claim = Claim(other, NAMESPACE)
    claim.attempt()
    shared.now += 9 * LEASE
    early = claim.attempt()
    shared.now += LEASE

    assert early is None
    assert claim.attempt() is not None


def test_one_of_many_wins(shared: Shared) -> None:
    """Of servers that all find the owner gone, one becomes the owner; there is one owner at any time."""
    dead = shared.server()
    shared.taken(dead)
    shared.kill(dead)
    servers = [shared.server() for _ in range(6)]
    start = threading.Barrier(len(servers))
    won = []

    def race(volume: Volume) -> None:
        start.wait()
        taken = Claim(volume, NAMESPACE).attempt()
        if taken is not None:
            won.append(taken)

    threads = [threading.Thread(target=race, args=(volume,)) for volume in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(won)
    assert won[0].owned.is_owner


def test_taking_over_waits_for_what_is_being_published(shared: Shared) -> None:
    """An owner that is only late is let finish what it publishes; the next one begins after that."""
    one, other = shared.server(), shared.server()
    owned = shared.taken(one).owned
    claim = Claim(other, NAMESPACE)
    claim.attempt()
    taken: list[Taken | None] = []
    with owned.publishing():
        shared.now += LEASE
        thread = threading.Thread(target=lambda: taken.append(claim.attempt()))
        thread.start()
        thread.join(0.1)
        under_way = list(taken)
    thread.join()

    assert [] == under_way
    assert taken[0] is not None
    assert "slow" == taken[0].cause


def test_a_take_over_that_stopped_half_way_is_gone_on_with(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is marked, and nobody has the next number: whoever comes takes it, although the owner beats."""
    one, other, third = shared.server(), shared.server(), shared.server()
    owned = shared.taken(one).owned
    claim = Claim(other, NAMESPACE)
    claim.attempt()
    shared.now += LEASE
    monkeypatch.setattr(claim, "_take", lambda _number, _cause: None)
    claim.attempt()
    one.beat()
    taken = shared.taken(third)

    assert (False, True) == (owned.is_owner, taken.owned.is_owner)


def test_an_owner_that_was_stopped_in_the_middle_is_not_waited_for(shared: Shared) -> None:
    """It has the lock in its hands; the other one takes over without, and nothing that it had begun goes on."""
    one, other = shared.server(), shared.server()
    owned = shared.taken(one).owned
    with owned.publishing() as require_owner:
        require_owner()
        taken = shared.taken_from_the_slow(other)
        one.beat()  # it goes on: its other threads may come first
        with pytest.raises(Unavailable) as refused:
            require_owner()

    assert "slow" == taken.cause
    assert "OWNERSHIP_LOST" == refused.value.reason
    with pytest.raises(Unavailable), owned.publishing():
        pass


def test_a_lapse_without_a_successor_costs_what_was_under_way(shared: Shared) -> None:
    """An owner that was stopped while nobody asked publishes again, but nothing of what it had begun."""
    one = shared.server()
    owned = shared.taken(one).owned
    with owned.publishing() as require_owner:
        shared.now += LEASE
        one.beat()
        with pytest.raises(Unavailable):
            require_owner()
    with owned.publishing() as require_owner:
        require_owner()


def test_an_owner_is_told_that_it_was_superseded(shared: Shared) -> None:
    """It closes the namespace then, instead of refusing one commit after the other."""
    one, other = shared.server(), shared.server()
    owned = shared.taken(one).owned
    told: list[str] = []
    owned.on_lost = told.append
    shared.taken_from_the_slow(other)
    one.beat()
    with pytest.raises(Unavailable), owned.publishing():
        pass

    assert [NAMESPACE] == told


def test_a_superseded_owner_releases_nothing(shared: Shared) -> None:
    """What it lets go of is not its own any more."""
    one, other = shared.server(), shared.server()
    owned = shared.taken(one).owned
    taken = shared.taken_from_the_slow(other)
    owned.release()

    assert taken.owned.is_owner
    assert Claim(one, NAMESPACE).attempt() is None


def test_a_claim_that_slept_for_ages_takes_no_old_number(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number was taken, given up and forgotten meanwhile; it must not come back beside the owner of today."""
    one, other, sleeper = shared.server(), shared.server(), shared.server()
    shared.taken(one).owned.release()
    claim = Claim(sleeper, NAMESPACE)
    take = claim._take

    def asleep(number: int, cause: str) -> Any:
        for _ in range(KEPT_RECORDS + 2):
            shared.taken(other).owned.release()
        return take(number, cause)

    monkeypatch.setattr(claim, "_take", asleep)
    woken = claim.attempt()
    today = shared.taken(other)

    assert woken is None
    assert KEPT_RECORDS + 4 == today.owned.number
    assert today.owned.is_owner


def test_an_owner_finds_what_the_one_before_remembered(shared: Shared) -> None:
    """The index goes from owner to owner, so that nothing is read again; old ones are removed."""
    one, other = shared.server(), shared.server()
    first = shared.taken(one).owned
    (first.state_directory / f"{NAMESPACE}.sqlite").write_bytes(b"what is known")
    first.release()
    second = shared.taken(other).owned

    assert b"what is known" == (second.state_directory / f"{NAMESPACE}.sqlite").read_bytes()
    assert not first.state_directory.exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The error says what is missing, where, and what to do."""

    def fail(_descriptor: int, _operation: int) -> None:
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(UsageError, match=r"has no locks .* which STORAGE=shared needs: mount a volume with locks"):
        Volume(tmp_path / DIRECTORY, LEASE)


def test_locks_that_lock_nobody_out_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that grants everybody everything is found out."""
    monkeypatch.setattr(fcntl, "flock", lambda _descriptor, _operation: None)
    with pytest.raises(UsageError, match="has no locks"):
        Volume(tmp_path / DIRECTORY, LEASE)
